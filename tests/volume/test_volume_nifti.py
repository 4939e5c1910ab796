import errno
import gzip
import tempfile
import threading
from pathlib import Path

import nibabel
import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra.numpy import basic_indices

from napari_meunet.errors import MeUNetError
from napari_meunet.volume.formats import nifti
from napari_meunet.volume.formats.nifti import GunzippedPlanes
from napari_meunet.volume.open import open_volume

SUFFIXES = [".nii", ".nii.gz"]


@pytest.fixture
def array(rng):
    return rng.integers(-900, 900, (4, 6, 7), dtype=np.int16)


def image_of(array, zooms=None, unit=None, cls=nibabel.Nifti1Image):
    """Return an image of an array (..., z, y, x), with sizes (x, y, z) in `unit`."""
    image = cls(array.T, np.eye(4))
    if zooms:
        image.header.set_zooms((*zooms, *[1.0] * (array.ndim - 3)))
    if unit:
        image.header.set_xyzt_units(unit)
    return image


def write(path, array, **options):
    nibabel.save(image_of(array, **options), path)
    return path


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("cls", [nibabel.Nifti1Image, nibabel.Nifti2Image])
@pytest.mark.parametrize("dtype", ["u1", "i2", "u2", "f4", "f8"])
def test_what_was_written_is_read(tmp_path, array, suffix, cls, dtype):
    array = array.astype(dtype)
    volume = open_volume(write(tmp_path / f"a{suffix}", array, cls=cls))
    assert volume.shape == array.shape
    assert volume.dtype == array.dtype
    np.testing.assert_array_equal(volume.read(0, 4), array)
    np.testing.assert_array_equal(volume.planes[1, 2:5, ::3], array[1, 2:5, ::3])


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_big_endian_file_is_read_in_the_order_of_the_machine(tmp_path, array, suffix):
    header = nibabel.Nifti1Header(endianness=">")
    header.set_data_dtype(">i2")
    path = tmp_path / f"a{suffix}"
    nibabel.save(nibabel.Nifti1Image(array.T, np.eye(4), header), path)
    volume = open_volume(path)
    assert volume.dtype.isnative
    np.testing.assert_array_equal(volume.read(0, 4), array)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_scale_that_changes_values_is_applied(tmp_path, array, suffix):
    image = image_of(array)
    image.header.set_slope_inter(0.5, -3.0)
    stored = tmp_path / f"a{suffix}"
    nibabel.save(image, stored)
    volume = open_volume(stored)
    assert volume.dtype == np.float32
    np.testing.assert_array_equal(volume.read(0, 4), array * 0.5 - 3.0)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize(
    ("zooms", "unit", "expected"),
    [
        ((0.141, 0.2, 0.3), "mm", (300.0, 200.0, 141.0)),
        ((2.95, 2.95, 5.0), "micron", (5.0, 2.95, 2.95)),
        ((1e-6, 2e-6, 3e-6), "meter", (3.0, 2.0, 1.0)),
        ((1.0, 1.0, 1.0), "mm", (1000.0, 1000.0, 1000.0)),
    ],
)
def test_spacing_is_in_micrometres(tmp_path, array, suffix, zooms, unit, expected):
    path = write(tmp_path / f"a{suffix}", array, zooms=zooms, unit=unit)
    volume = open_volume(path)
    assert volume.spacing.zyx == expected
    assert volume.spacing.origin == "NIfTI header"


def test_a_missing_unit_is_taken_as_millimetres_and_said(tmp_path, array):
    image = image_of(array, (0.5, 0.5, 0.25))
    image.header["xyzt_units"] = 0
    nibabel.save(image, tmp_path / "a.nii")
    spacing = open_volume(tmp_path / "a.nii").spacing
    assert spacing.zyx == (250.0, 500.0, 500.0)
    assert spacing.origin == "NIfTI header, unit missing, millimetres assumed"


def test_a_header_that_nobody_filled_in_has_no_spacing(tmp_path, array):
    image = image_of(array)
    image.header["xyzt_units"] = 0
    nibabel.save(image, tmp_path / "a.nii")
    assert open_volume(tmp_path / "a.nii").spacing is None


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_time_and_a_channel_are_chosen(tmp_path, rng, suffix):
    array = rng.integers(0, 255, (2, 3, 4, 6, 7), dtype=np.uint8)
    path = write(tmp_path / f"a{suffix}", array)
    volume = open_volume(path, channel=1, time=2)
    assert volume.shape == (4, 6, 7)
    np.testing.assert_array_equal(volume.read(0, 4), array[1, 2])
    with pytest.raises(MeUNetError, match="got 3 time points; pass --time 0 to 2"):
        open_volume(path, channel=1)


def test_a_volume_of_one_plane_is_a_volume_if_the_header_says_so(tmp_path, array):
    volume = open_volume(write(tmp_path / "a.nii", array[:1]))
    np.testing.assert_array_equal(volume.read(0, 1), array[:1])
    with pytest.raises(MeUNetError, match="got y=6 x=7"):
        open_volume(write(tmp_path / "b.nii", array[0]))


@pytest.fixture(scope="module")
def gzipped(tmp_path_factory):
    array = np.random.default_rng(0).integers(0, 255, (6, 9, 8), dtype=np.uint8)
    path = tmp_path_factory.mktemp("nifti") / "scan.nii.gz"
    return array, open_volume(write(path, array))


@given(basic_indices((6, 9, 8), allow_ellipsis=False, max_dims=3))
def test_a_part_of_a_gzipped_file_is_that_part_of_the_array(gzipped, index):
    array, volume = gzipped
    np.testing.assert_array_equal(volume.planes[index], array[index])


def test_a_gzipped_file_is_unpacked_once_by_many_threads(tmp_path, array, monkeypatch):
    calls = []
    unpacked = GunzippedPlanes._unpacked
    monkeypatch.setattr(
        GunzippedPlanes, "_unpacked", lambda self: calls.append(1) or unpacked(self)
    )
    volume = open_volume(write(tmp_path / "a.nii.gz", array))
    assert calls == []
    threads = [threading.Thread(target=volume.read, args=(0, 4)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert calls == [1]


def test_unpacking_leaves_no_file_behind(tmp_path, array, monkeypatch):
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    monkeypatch.setattr(tempfile, "tempdir", None)
    volume = open_volume(write(tmp_path / "a.nii.gz", array))
    np.testing.assert_array_equal(volume.read(0, 4), array)
    del volume
    assert list(temporary.iterdir()) == []


def test_a_full_disk_is_said_before_unpacking(tmp_path, array, monkeypatch):
    volume = open_volume(write(tmp_path / "a.nii.gz", array))
    usage = type("Usage", (), {"free": 100})
    monkeypatch.setattr(nifti.shutil, "disk_usage", lambda folder: usage)
    with pytest.raises(MeUNetError, match=r"got 0\.0 GB free; set TMPDIR"):
        volume.read(0, 1)


def test_a_disk_that_fills_up_meanwhile_is_not_called_damage(
    tmp_path, array, monkeypatch
):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    volume = open_volume(write(tmp_path / "a.nii.gz", array))
    monkeypatch.setattr(nifti, "_copy", full)
    with pytest.raises(MeUNetError, match="must be unpacked to be read"):
        volume.read(0, 1)


@pytest.mark.parametrize("damage", ["cut", "cut before gzipping", "checksum"])
def test_a_damaged_gzipped_file_is_an_error_at_the_first_access(tmp_path, rng, damage):
    array = rng.integers(0, 255, (8, 64, 64), dtype=np.uint8)
    path = write(tmp_path / "a.nii.gz", array)
    packed = bytearray(path.read_bytes())
    if damage == "cut":
        packed = packed[: len(packed) // 2]
    elif damage == "checksum":
        packed[len(packed) // 2] ^= 0xFF
    else:
        packed = gzip.compress(gzip.decompress(packed)[:-1])
    path.write_bytes(packed)
    volume = open_volume(path)
    with pytest.raises(MeUNetError, match=r"a\.nii\.gz.* truncated"):
        volume.read(0, 1)


def test_a_truncated_file_is_refused(tmp_path, array):
    path = write(tmp_path / "a.nii", array)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(MeUNetError, match="got 335 of 336 bytes of voxels"):
        open_volume(path)


def test_a_header_that_claims_497_gb_is_refused_without_allocating(tmp_path, array):
    path = write(tmp_path / "a.nii", array)
    data = bytearray(path.read_bytes())
    # dim[1..3], 16-bit numbers from byte 42 on (nifti1.h)
    data[42:48] = np.array([6287] * 3, "<i2").tobytes()
    path.write_bytes(data)
    with pytest.raises(MeUNetError, match=f"got 336 of {2 * 6287**3} bytes"):
        open_volume(path)
    path.with_suffix(".nii.gz").write_bytes(gzip.compress(data))
    volume = open_volume(path.with_suffix(".nii.gz"))
    assert volume.shape == (6287, 6287, 6287)
    with pytest.raises(MeUNetError, match=r"takes 497\.0 GB"):
        volume.read(0, 1)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("length", [1, 100, 347])
def test_a_truncated_header_is_refused(tmp_path, array, suffix, length):
    path = write(tmp_path / f"a{suffix}", array)
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(MeUNetError, match=r"must be whole, got .*copy"):
        open_volume(path)


def test_colour_is_refused(tmp_path):
    rgb = np.zeros((5, 6, 7), [("R", "u1"), ("G", "u1"), ("B", "u1")])
    nibabel.save(nibabel.Nifti1Image(rgb, np.eye(4)), tmp_path / "a.nii")
    with pytest.raises(MeUNetError, match="got a colour image"):
        open_volume(tmp_path / "a.nii")


def test_complex_voxels_are_refused(tmp_path):
    path = write(tmp_path / "a.nii", np.zeros((3, 4, 5), np.complex64))
    with pytest.raises(MeUNetError, match="got complex64"):
        open_volume(Path(path))
