"""The working copy: a valid TIFF at every moment."""

import sys

import numpy as np
import pytest
import SimpleITK
import tifffile

from napari_meunet.errors import MeUNetError
from napari_meunet.labels.tiff import (
    calibrate_tiff,
    create_tiff,
    hole_bytes,
    open_tiff,
    require_room,
)
from napari_meunet.volume.volume import Spacing

SPACING = Spacing((10.0, 3.0, 4.0), "given by the user")


@pytest.mark.parametrize(
    "shape", [(5, 7, 19), (1, 7, 19), (5, 1, 3), (1, 1, 1), (3, 4, 4)]
)
def test_what_is_written_is_what_every_reader_finds(tmp_path, shape):
    path = tmp_path / "labels.tif"
    create_tiff(path, shape, SPACING)
    voxels = open_tiff(path, shape, writable=True)
    assert voxels.shape == shape
    assert not voxels.any()
    voxels[:] = np.arange(voxels.size).reshape(shape) % 251
    voxels.flush()
    for found in (
        tifffile.imread(path),
        SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(path))),
    ):
        np.testing.assert_array_equal(found.reshape(shape), voxels)


def test_the_file_is_one_contiguous_uncompressed_bigtiff(tmp_path):
    path = tmp_path / "labels.tif"
    create_tiff(path, (5, 7, 19), SPACING)
    with tifffile.TiffFile(path) as tif:
        assert tif.is_bigtiff
        assert len(tif.pages) == 5
        assert tif.pages.first.compression == tifffile.COMPRESSION.NONE
        assert tif.series[0].dataoffset is not None  # contiguous
        assert tif.series[0].axes == "ZYX"


def test_fiji_and_itk_find_the_spacing(tmp_path):
    path = tmp_path / "labels.tif"
    create_tiff(path, (5, 7, 19), SPACING)
    with tifffile.TiffFile(path) as tif:
        pixels = tifffile.xml2dict(tif.ome_metadata)["OME"]["Image"]["Pixels"]
    for axis, size in zip("ZYX", SPACING.zyx, strict=True):
        assert pixels[f"PhysicalSize{axis}"] == size
        assert pixels[f"PhysicalSize{axis}Unit"] == "µm"
    # ITK reads millimetres along (x, y) from the tags; TIFF has no tag for z
    spacing_mm = SimpleITK.ReadImage(str(path)).GetSpacing()
    assert spacing_mm[:2] == pytest.approx((0.004, 0.003), rel=1e-6)


def test_a_spacing_that_comes_later_is_written_beside_the_voxels(tmp_path):
    path = tmp_path / "labels.tif"
    create_tiff(path, (5, 7, 19), None)
    voxels = open_tiff(path, (5, 7, 19), writable=True)
    voxels[:] = np.arange(665).reshape(5, 7, 19) % 251
    voxels.flush()
    calibrate_tiff(path, (5, 7, 19), SPACING)
    with tifffile.TiffFile(path) as tif:
        pixels = tifffile.xml2dict(tif.ome_metadata)["OME"]["Image"]["Pixels"]
    assert [pixels[f"PhysicalSize{axis}"] for axis in "ZYX"] == [10, 3, 4]
    image = SimpleITK.ReadImage(str(path))
    assert image.GetSpacing()[:2] == pytest.approx((0.004, 0.003), rel=1e-6)
    np.testing.assert_array_equal(SimpleITK.GetArrayFromImage(image), voxels)
    voxels[0, 0, 0] = 7
    assert open_tiff(path, (5, 7, 19), writable=False)[0, 0, 0] == 7


@pytest.mark.parametrize("um", [1e-9, 0.0029513, 0.05, 2.951345, 700.3, 1e9])
def test_a_spacing_of_any_size_is_written_early_or_late(tmp_path, um):
    """A size in millimetres is soon given for one in micrometres."""
    spacing = Spacing((um, um, um), "given by the user")
    early, late = tmp_path / "early.tif", tmp_path / "late.tif"
    create_tiff(early, (5, 7, 19), spacing)
    create_tiff(late, (5, 7, 19), None)
    calibrate_tiff(late, (5, 7, 19), spacing)
    for path in (early, late):
        with tifffile.TiffFile(path) as tif:
            pixels = tifffile.xml2dict(tif.ome_metadata)["OME"]["Image"]["Pixels"]
            per_cm, cm = tif.pages.first.tags["XResolution"].value
        assert pixels["PhysicalSizeX"] == um
        # the tag of TIFF holds no more than 32 bits
        assert 1e4 * cm / per_cm == pytest.approx(max(um, 1e4 / 2**32), rel=1e-6)


def test_an_unknown_spacing_is_not_claimed(tmp_path):
    path = tmp_path / "labels.tif"
    create_tiff(path, (5, 7, 19), None)
    with tifffile.TiffFile(path) as tif:
        assert "PhysicalSize" not in tif.ome_metadata
        assert tif.pages.first.tags["ResolutionUnit"].value == tifffile.RESUNIT.NONE


@pytest.mark.skipif(sys.platform == "win32", reason="NTFS makes holes only if asked")
def test_eight_billion_voxels_take_neither_disk_nor_memory(tmp_path):
    resource = pytest.importorskip("resource")
    path = tmp_path / "labels.tif"
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    create_tiff(path, (2000, 2000, 2000), SPACING)
    voxels = open_tiff(path, (2000, 2000, 2000), writable=True)
    voxels[1999, 1999, 1999] = 7
    voxels.flush()
    grown_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown_kib < 100_000
    assert path.stat().st_size > 8_000_000_000
    assert hole_bytes(path) > 7_990_000_000
    assert voxels[1999, 1999, 1998:].tolist() == [0, 7]


def test_a_replaced_file_is_refused(tmp_path):
    path = tmp_path / "labels.tif"
    with pytest.raises(MeUNetError, match="restore the file"):
        open_tiff(path, (5, 7, 19), writable=True)
    tifffile.imwrite(path, np.zeros((5, 7, 19), np.uint8), compression="zlib")
    with pytest.raises(MeUNetError, match="mapped into memory"):
        open_tiff(path, (5, 7, 19), writable=True)
    create_tiff(path, (5, 7, 18), None)
    with pytest.raises(MeUNetError, match=r"shape \(5, 7, 19\), got uint8 \(5, 7, 18"):
        open_tiff(path, (5, 7, 19), writable=True)
    path.write_bytes(b"no TIFF")
    with pytest.raises(MeUNetError, match="restore the file"):
        open_tiff(path, (5, 7, 19), writable=True)


def test_room_is_asked_for_in_advance(tmp_path):
    require_room(tmp_path, 1)
    with pytest.raises(MeUNetError, match=r"1e\+09 GB free for"):
        require_room(tmp_path, 10**18)
