"""Pictures: the right planes, proportions, colours and scale bar."""

import numpy as np
import pytest
from PIL import Image

from napari_meunet.config import LabelClass
from napari_meunet.errors import MeUNetError
from napari_meunet.export.picture import length_text, round_length, save_picture
from napari_meunet.export.sections import cut_sections, labelled_centre
from napari_meunet.volume.volume import Spacing, Volume

CLASSES = (
    LabelClass(value=0, name="background", color="#000000"),
    LabelClass(value=2, name="gut", color="#ff0000"),
)


def test_sections_are_the_planes_through_a_voxel():
    array = np.arange(4 * 5 * 6).reshape(4, 5, 6)
    sections = cut_sections(array, (3, 1, 2), 1)
    np.testing.assert_array_equal(sections.xy, array[3])
    np.testing.assert_array_equal(sections.xz, array[:, 1, :])
    np.testing.assert_array_equal(sections.zy, array[:, :, 2].T)
    thinned = cut_sections(array, (3, 1, 2), 2)
    np.testing.assert_array_equal(thinned.xz, array[::2, 1, :])


def test_the_centre_is_that_of_the_labelled_part():
    labels = np.zeros((9, 40, 300), np.uint8)
    labels[2:5, 30:33, 200:241] = 1
    z, y, x = labelled_centre(labels)
    assert (z, y) == (3, 31)
    assert abs(x - 220) <= 2  # every second column is looked at
    assert labelled_centre(np.zeros((9, 40, 300), np.uint8)) == (4, 20, 150)


def picture_of(tmp_path, spacing, labels):
    volume = Volume.from_array(np.full(labels.shape, 50, np.uint8), spacing)
    save_picture(volume, labels, CLASSES, tmp_path / "picture.png")
    return np.asarray(Image.open(tmp_path / "picture.png"))


def is_red(picture):
    return (picture[..., 0].astype(int) - picture[..., 1]) > 60


def test_panels_have_the_proportions_of_the_specimen(tmp_path):
    labels = np.full((10, 20, 40), 2, np.uint8)
    red = is_red(picture_of(tmp_path, Spacing((8.0, 2.0, 4.0), "test"), labels))
    # 80 x 40 x 160 um at 4 pixels a um: depth 320, height 160, width 640
    assert red[12 : 12 + 160, 12 : 12 + 640].all()
    assert red[12 : 12 + 160, 664 : 664 + 320].all()
    assert red[184 : 184 + 320, 12 : 12 + 640].all()
    assert not red[184 : 184 + 320, 664:].any()
    assert red[:, 664:].sum() == 160 * 320


def test_labels_are_coloured_where_they_are(tmp_path):
    labels = np.zeros((20, 20, 20), np.uint8)
    labels[5:10, 10:15, 15:20] = 2
    red = is_red(picture_of(tmp_path, None, labels))
    # 32 pixels a voxel; xy: rows y, columns x
    rows, columns = np.nonzero(red[12:652, 12:652])
    assert (rows.min(), rows.max() + 1) == (320, 480)
    assert (columns.min(), columns.max() + 1) == (480, 640)
    # zy: rows y, columns z
    rows, columns = np.nonzero(red[12:652, 664:1304])
    assert (rows.min(), rows.max() + 1) == (320, 480)
    assert (columns.min(), columns.max() + 1) == (160, 320)
    # xz: rows z, columns x
    rows, columns = np.nonzero(red[664:1304, 12:652])
    assert (rows.min(), rows.max() + 1) == (160, 320)
    assert (columns.min(), columns.max() + 1) == (480, 640)


def test_a_scale_bar_has_its_length_and_needs_a_spacing(tmp_path):
    labels = np.zeros((20, 20, 20), np.uint8)
    picture = picture_of(tmp_path, Spacing((5.0, 5.0, 5.0), "test"), labels)
    # 100 um are 640 pixels; the longest round bar in a quarter is 20 um
    bar = (picture[-36 + 6, :, 0] > 200).nonzero()[0]
    assert (bar[:128] == np.arange(12, 140)).all()
    (tmp_path / "picture.png").unlink()
    without = picture_of(tmp_path, None, labels)
    assert picture.shape[0] - without.shape[0] == 24


@pytest.mark.parametrize(
    ("longest", "length", "text"),
    [
        (30, 20, "20 um"),
        (1000, 1000, "1 mm"),
        (999, 500, "500 um"),
        (0.7, 0.5, "0.5 um"),
    ],
)
def test_scale_bars_have_round_lengths(longest, length, text):
    assert round_length(longest) == pytest.approx(length)
    assert length_text(round_length(longest)) == text


@pytest.mark.parametrize("value", [np.nan, np.inf, 3.0])
def test_volumes_without_contrast_are_drawn(tmp_path, value):
    volume = Volume.from_array(np.full((3, 4, 5), value, np.float32))
    save_picture(volume, np.zeros((3, 4, 5), int), CLASSES, tmp_path / "p.png")
    assert Image.open(tmp_path / "p.png").size == (640 + 384 + 36, 512 + 384 + 72)


def test_grey_values_are_stretched_from_black_to_white(tmp_path):
    ramp = np.broadcast_to(np.linspace(0, 60_000, 200, dtype=np.uint16), (4, 200, 200))
    save_picture(Volume.from_array(ramp), ramp * 0, (), tmp_path / "p.png")
    row = np.asarray(Image.open(tmp_path / "p.png"))[100, 12:652].mean(axis=1)
    assert row[0] < 3
    assert row[-1] > 252
    assert row[320] == pytest.approx(127, abs=3)


def test_an_existing_picture_is_kept_unless_told_otherwise(tmp_path):
    volume = Volume.from_array(np.zeros((3, 4, 5), np.uint8))
    path = tmp_path / "p.png"
    path.write_bytes(b"mine")
    with pytest.raises(MeUNetError, match="must not exist yet"):
        save_picture(volume, volume.planes, CLASSES, path)
    assert path.read_bytes() == b"mine"
    save_picture(volume, volume.planes, CLASSES, path, overwrite=True)
    with pytest.raises(MeUNetError, match="must be writable"):
        save_picture(volume, volume.planes, CLASSES, tmp_path / "missing" / "p.png")
    with pytest.raises(ValueError, match="shape of the volume"):
        save_picture(volume, np.zeros((1, 1, 1)), CLASSES, tmp_path / "q.png")
