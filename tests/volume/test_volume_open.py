import os
import subprocess
import sys

import numpy as np
import pytest
import tifffile

from napari_meunet.errors import MeUNetError
from napari_meunet.volume.open import open_volume


def test_a_missing_path_is_named(tmp_path):
    with pytest.raises(MeUNetError, match=r"must exist, got .*nothing\.tif"):
        open_volume(tmp_path / "nothing.tif")


def test_a_path_may_be_text_and_begin_at_home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    array = np.arange(60, dtype=np.uint8).reshape(3, 4, 5)
    tifffile.imwrite(tmp_path / "a.tif", array, photometric="minisblack")
    volume = open_volume("~/a.tif")
    np.testing.assert_array_equal(volume.read(0, 3), array)
    assert volume.source.path == tmp_path / "a.tif"
    assert volume.source.n_bytes == (tmp_path / "a.tif").stat().st_size


@pytest.mark.parametrize("name", ["a.tif", "a.nii", "a.nii.gz", "a.raw"])
def test_an_empty_file_is_refused(tmp_path, name):
    (tmp_path / name).touch()
    with pytest.raises(MeUNetError, match="got the empty file"):
        open_volume(tmp_path / name)


def test_the_content_decides_not_the_name(tmp_path):
    array = np.arange(60, dtype=np.uint8).reshape(3, 4, 5)
    path = tmp_path / "scan.dat"
    tifffile.imwrite(path, array, photometric="minisblack")
    np.testing.assert_array_equal(open_volume(path).read(0, 3), array)


@pytest.mark.parametrize(
    ("name", "head", "format_"),
    [
        ("a.nrrd", b"NRRD0004", "NRRD"),
        ("a.dat", b"NRRD0005", "NRRD"),
        ("a.nhdr", b"NRRD0004", "NRRD"),
        ("a.mha", b"ObjectType = Image", "MetaImage"),
        ("a.mhd", b"ObjectType = Image", "MetaImage"),
        ("a.DCM", b"x", "DICOM"),
        ("slice", bytes(128) + b"DICM", "DICOM"),
        ("a.h5", b"\x89HDF", "HDF5"),
    ],
)
@pytest.mark.parametrize("in_folder", [False, True])
def test_formats_that_are_not_read_are_called_by_their_name(
    tmp_path, name, head, format_, in_folder
):
    (tmp_path / name).write_bytes(head)
    path = tmp_path if in_folder else tmp_path / name
    message = f"{format_} files are not read yet, got .*; convert it to TIFF"
    with pytest.raises(MeUNetError, match=message):
        open_volume(path)


@pytest.mark.parametrize("name", ["a.raw", "a.tif", "a.zarr", "notes.txt"])
def test_another_format_is_refused(tmp_path, name):
    (tmp_path / name).write_bytes(b"something else")
    with pytest.raises(MeUNetError, match="of another format; convert it"):
        open_volume(tmp_path / name)


def test_a_single_picture_is_refused(tmp_path):
    (tmp_path / "a.png").write_bytes(b"\x89PNG")
    with pytest.raises(MeUNetError, match=r"2-D image .*a\.png; open the folder"):
        open_volume(tmp_path / "a.png")


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read every file"
)
def test_a_file_without_permission_is_named(tmp_path):
    path = tmp_path / "a.tif"
    path.write_bytes(b"II*\0")
    path.chmod(0)
    with pytest.raises(MeUNetError, match="check its permissions"):
        open_volume(path)


MEMORY_SCRIPT = """
import contextlib, resource, sys
import nibabel, numpy, tifffile, zarr
from napari_meunet.errors import MeUNetError
from napari_meunet.volume.open import open_volume
from napari_meunet.volume.fingerprint import fingerprint
from napari_meunet.volume.intensity import intensity_range
from napari_meunet.volume.pyramid import pyramid
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
volume = open_volume(sys.argv[1])
pyramid(volume)
opened = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
fingerprint(volume)
with contextlib.suppress(MeUNetError):  # all zeros
    intensity_range(volume, 0.1, 99.9)
sampled = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(volume.shape, (opened - before) // 1024, (sampled - before) // 1024)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="sparse files and ru_maxrss in KiB")
@pytest.mark.parametrize("suffix", [".tif", ".nii"])
def test_opening_5_gb_takes_no_memory(tmp_path, suffix):
    path = tmp_path / f"large{suffix}"
    shape = (5000, 1000, 1000)
    if suffix == ".tif":
        tifffile.imwrite(path, shape=shape, dtype=np.uint8, bigtiff=True)
    else:
        import nibabel

        header = nibabel.Nifti1Header()
        header.set_data_dtype(np.uint8)
        header.set_data_shape(shape[::-1])
        header["vox_offset"] = 352
        path.write_bytes(header.binaryblock + bytes(4))
        os.truncate(path, 352 + 5_000_000_000)
    if path.stat().st_blocks * 512 > 100_000_000:
        pytest.skip("the file system does not keep files sparse")
    done = subprocess.run(
        [sys.executable, "-c", MEMORY_SCRIPT, str(path)],
        capture_output=True,
        text=True,
        check=True,
    )
    shape_read, opened, sampled = done.stdout.rsplit(maxsplit=2)
    assert shape_read == "(5000, 1000, 1000)"
    assert int(opened) < 20
    assert int(sampled) < 100
