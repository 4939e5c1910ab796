import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_meunet.errors import MeUNetError
from napari_meunet.volume.open import open_volume


@pytest.fixture
def array(rng):
    return rng.integers(0, 255, (12, 9, 8), dtype=np.uint8)


def write_tiffs(folder, planes, name="slice_{}.tif", **options):
    folder.mkdir(exist_ok=True)
    for number, plane in enumerate(planes):
        tifffile.imwrite(folder / name.format(number), plane, **options)
    return folder


def write_pictures(folder, planes, suffix):
    folder.mkdir()
    for number, plane in enumerate(planes):
        Image.fromarray(plane).save(folder / f"rec{number:04d}{suffix}")
    return folder


@pytest.mark.parametrize("options", [{}, {"compression": "lzw"}, {"byteorder": ">"}])
def test_slices_are_stacked_in_natural_order(tmp_path, array, options):
    """Slice 10 comes after slice 9, not after slice 1."""
    volume = open_volume(write_tiffs(tmp_path / "scan", array, **options))
    assert volume.source.format == "folder of 12 TIFF slices"
    assert volume.spacing is None
    np.testing.assert_array_equal(volume.read(0, 12), array)
    np.testing.assert_array_equal(volume.planes[8:11, 2, ::3], array[8:11, 2, ::3])


@pytest.mark.parametrize("suffix", [".png", ".bmp"])
def test_lossless_pictures_are_read(tmp_path, array, suffix):
    volume = open_volume(write_pictures(tmp_path / "scan", array, suffix))
    assert volume.dtype == np.uint8
    np.testing.assert_array_equal(volume.read(0, 12), array)


def test_png_of_16_bits_is_read(tmp_path, rng):
    array = rng.integers(0, 65_535, (3, 9, 8), dtype=np.uint16)
    volume = open_volume(write_pictures(tmp_path / "scan", array, ".png"))
    assert volume.dtype == np.uint16
    np.testing.assert_array_equal(volume.read(0, 3), array)


def test_jpeg_is_read_as_pillow_decodes_it(tmp_path, array):
    folder = write_pictures(tmp_path / "scan", array, ".jpg")
    with Image.open(folder / "rec0003.jpg") as picture:
        expected = np.asarray(picture)
    np.testing.assert_array_equal(open_volume(folder).read(3, 4)[0], expected)


def test_a_picture_of_one_bit_is_read_as_0_and_1(tmp_path, array):
    volume = open_volume(write_pictures(tmp_path / "scan", array > 99, ".png"))
    assert volume.dtype == np.uint8
    np.testing.assert_array_equal(volume.read(0, 12), array > 99)


def test_a_skyscan_folder_is_read_with_its_log_and_without_its_preview(tmp_path, array):
    folder = write_pictures(tmp_path / "scan", array, ".bmp")
    for path in folder.iterdir():
        path.rename(path.with_name(path.name.replace("rec", "fly_rec")))
    Image.fromarray(array[0, :3]).save(folder / "fly_rec_spr.bmp")
    Image.fromarray(array[0]).save(folder / ".hidden.bmp")
    Image.fromarray(array[0]).save(folder / "screenshot.png")
    (folder / "notes.txt").write_text("no slice")
    (folder / "fly_rec.log").write_text("[Reconstruction]\nPixel Size (um)=2.95\n")
    volume = open_volume(folder)
    assert volume.shape == array.shape
    assert volume.spacing.zyx == (2.95, 2.95, 2.95)
    assert volume.spacing.origin == "fly_rec.log"
    np.testing.assert_array_equal(volume.read(0, 12), array)


def test_a_slice_of_another_size_is_named(tmp_path, array):
    folder = write_tiffs(tmp_path / "scan", array)
    tifffile.imwrite(folder / "slice_7.tif", array[7, :5])
    message = r"slice_0\.tif with 9 x 8 uint8; got slice_7\.tif with 5 x 8 uint8"
    with pytest.raises(MeUNetError, match=message):
        open_volume(folder)


def test_a_slice_of_another_type_is_named(tmp_path, array):
    folder = write_tiffs(tmp_path / "scan", array)
    tifffile.imwrite(folder / "slice_7.tif", array[7].astype(np.uint16))
    with pytest.raises(MeUNetError, match=r"got slice_7\.tif with 9 x 8 uint16"):
        open_volume(folder)


def test_a_truncated_slice_is_named(tmp_path, array):
    folder = write_tiffs(tmp_path / "scan", array)
    path = folder / "slice_7.tif"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(MeUNetError, match=r"slice_7\.tif .*truncated"):
        open_volume(folder)


@pytest.mark.parametrize("content", [b"", b"II*\0", b"no image"])
def test_a_slice_that_is_no_image_is_named(tmp_path, array, content, caplog):
    folder = write_tiffs(tmp_path / "scan", array)
    (folder / "slice_7.tif").write_bytes(content)
    with pytest.raises(MeUNetError, match=r"whole image, got .*slice_7\.tif"):
        open_volume(folder)


def test_colour_slices_are_refused(tmp_path, array):
    colour = np.stack([array] * 3, axis=-1)
    with pytest.raises(MeUNetError, match="in colour; convert"):
        open_volume(write_pictures(tmp_path / "png", colour, ".png"))
    folder = write_tiffs(tmp_path / "tiff", colour, photometric="rgb")
    with pytest.raises(MeUNetError, match="in colour; convert"):
        open_volume(folder)


def test_a_stack_among_the_slices_is_refused(tmp_path, array):
    folder = write_tiffs(tmp_path / "scan", array)
    tifffile.imwrite(folder / "slice_3.tif", array, metadata=None)
    with pytest.raises(MeUNetError, match=r"got several in .*slice_3\.tif"):
        open_volume(folder)


def test_a_stack_behind_a_single_imagej_header_among_the_slices_is_refused(
    tmp_path, array
):
    folder = write_tiffs(tmp_path / "scan", array)
    tifffile.imwrite(folder / "slice_3.tif", array, imagej=True, truncate=True)
    with pytest.raises(MeUNetError, match=r"got several in .*slice_3\.tif"):
        open_volume(folder)


def test_one_image_is_not_a_folder_of_slices(tmp_path, array):
    folder = write_tiffs(tmp_path / "scan", array[:1])
    with pytest.raises(MeUNetError, match=r"got slice_0\.tif alone; if it is a volume"):
        open_volume(folder)


def test_a_folder_without_images_is_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("no slice")
    with pytest.raises(MeUNetError, match=r"must hold slices .* got none in"):
        open_volume(tmp_path)


def test_slices_have_no_channel_to_choose(tmp_path, array):
    folder = write_tiffs(tmp_path / "scan", array)
    assert open_volume(folder, channel=0, time=0).shape == array.shape
    with pytest.raises(MeUNetError, match="got 1; pass --channel 0"):
        open_volume(folder, channel=1)


def test_a_slice_that_changed_since_opening_is_an_error(tmp_path, array):
    folder = write_tiffs(tmp_path / "scan", array)
    volume = open_volume(folder)
    (folder / "slice_5.tif").unlink()
    with pytest.raises(MeUNetError, match="in planes 4 to 6 of"):
        volume.read(4, 7)
