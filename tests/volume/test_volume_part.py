"""A part of a scan against a part of an array."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_meunet.volume.part import part_of
from napari_meunet.volume.reduced import reduced
from napari_meunet.volume.volume import Spacing, Volume

SHAPE = (7, 9, 11)
VOXELS = np.arange(np.prod(SHAPE), dtype=np.uint16).reshape(SHAPE)
BOX = np.s_[2:6, 1:9, 3:11]


def part():
    return part_of(Volume.from_array(VOXELS, Spacing((3.0, 2.0, 1.0), "test")), BOX)


@st.composite
def indices(draw):
    """Return what a part may be asked for: fewer than three axes are allowed."""
    parts = []
    for n in part().shape[: draw(st.integers(1, 3))]:
        start = draw(st.integers(-n, n - 1))
        stop = draw(st.none() | st.integers(-n, n + 2))
        parts.append(draw(st.sampled_from([start, slice(start, stop), slice(None)])))
    return tuple(parts) if len(parts) > 1 else parts[0]


@settings(max_examples=100)
@given(index=indices())
def test_a_part_is_read_as_that_of_an_array(index):
    np.testing.assert_array_equal(part().planes[index], VOXELS[BOX][index])


def test_a_part_is_a_scan_of_its_own():
    whole = Volume.from_array(VOXELS, Spacing((3.0, 2.0, 1.0), "test"))
    whole.known["sample"] = "of the whole"
    found = part_of(whole, BOX)
    assert found.shape == (4, 8, 8)
    assert found.dtype == np.uint16
    assert found.spacing == whole.spacing
    assert not found.known
    np.testing.assert_array_equal(found.data.compute(), VOXELS[BOX])


def test_a_part_that_begins_with_whole_blocks_is_reduced_as_the_whole():
    whole = Volume.from_array(VOXELS[:6, :8, :10])
    found = part_of(whole, np.s_[2:6, 2:8, 4:10])
    np.testing.assert_array_equal(
        reduced(found, (2, 2, 2)).planes[:],
        reduced(whole, (2, 2, 2)).planes[1:, 1:, 2:],
    )
