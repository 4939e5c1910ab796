import numpy as np
import pytest

from napari_meunet.errors import MeUNetError
from napari_meunet.volume.formats.axes import last_axes, select_zyx, selected_shape

ALL = slice(None)


@pytest.mark.parametrize(
    ("axes", "shape", "channel", "time", "expected"),
    [
        ("zyx", (4, 5, 6), None, None, (ALL, ALL, ALL)),
        ("zyx", (4, 5, 6), 0, 0, (ALL, ALL, ALL)),
        ("tzcyx-", (1, 4, 1, 5, 6, 1), None, None, (0, ALL, 0, ALL, ALL, 0)),
        ("tzcyx", (2, 4, 3, 5, 6), 2, 1, (1, ALL, 2, ALL, ALL)),
        ("zyxs", (4, 5, 6, 1), None, None, (ALL, ALL, ALL, 0)),
    ],
)
def test_the_selection_leaves_the_volume(axes, shape, channel, time, expected):
    selection = select_zyx(axes, shape, channel, time)
    assert selection == expected
    assert selected_shape(shape, selection) == np.empty(shape)[selection].shape


@pytest.mark.parametrize(
    ("axes", "shape", "choice", "message"),
    [
        ("czyx", (3, 4, 5, 6), {}, "got 3 channels; pass --channel 0 to 2"),
        ("tzyx", (9, 4, 5, 6), {}, "got 9 time points; pass --time 0 to 8"),
        ("czyx", (3, 4, 5, 6), {"channel": 3}, "got 3; pass --channel 0 to 2"),
        ("czyx", (3, 4, 5, 6), {"channel": -1}, "got -1; pass --channel 0 to 2"),
        ("zyx", (4, 5, 6), {"channel": 1}, "got 1; pass --channel 0"),
        ("zyx", (4, 5, 6), {"time": 2}, "got 2; pass --time 0"),
        ("zyxs", (4, 5, 6, 3), {}, "colour image with 3 samples; convert"),
        ("zsyx", (4, 4, 5, 6), {}, "colour image with 4 samples; convert"),
        ("yx", (5, 6), {}, "axes z, y, x, got y=5 x=6; open the folder"),
        ("cyx", (3, 5, 6), {}, "got c=3 y=5 x=6"),
        ("xyz", (4, 5, 6), {}, "got x=4 y=5 z=6"),
        ("pzyx", (2, 4, 5, 6), {}, "got p=2 z=4 y=5 x=6; save one volume a file"),
        ("zzyx", (2, 4, 5, 6), {}, "got z=2 z=4"),
    ],
)
def test_what_is_not_one_volume_is_refused_with_a_remedy(axes, shape, choice, message):
    with pytest.raises(MeUNetError, match=message):
        select_zyx(axes, shape, **choice)


def test_missing_leading_axes_have_no_name():
    assert last_axes("tczyx", 3) == "zyx"
    assert last_axes("tczyx", 5) == "tczyx"
    assert last_axes("tczyx", 7) == "--tczyx"
    assert last_axes("tczyx", 0) == ""
