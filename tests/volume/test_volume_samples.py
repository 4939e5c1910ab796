"""Real scans, as they come from scanners and repositories."""

import numpy as np
import pytest
import tifffile

from napari_meunet.errors import MeUNetError
from napari_meunet.volume.intensity import intensity_range
from napari_meunet.volume.open import open_volume

ZARR = "formats/ome_zarr/xyz_8bit__mitotic_plate_calibrated.ome.zarr"


@pytest.mark.parametrize(
    ("path", "shape", "spacing"),
    [
        ("bone_slices", (200, 200, 200), None),
        # 100 dots an inch are the resolution of a print, not the size of a voxel
        ("weave/small_weave.tif", (150, 150, 150), None),
        ("weave/small_weave_tag.tif", (150, 150, 150), None),
        ("formats/imagej_tiff/bone_128x128x128.tif", (128, 128, 128), None),
        ("formats/imagej_tiff/shell_225x128x128.tif", (225, 128, 128), (1.0,) * 3),
        ("mouse_heads/template.nii.gz", (114, 206, 130), (141.1134,) * 3),
        (ZARR, (6, 263, 263), (3.0, 0.08519643016734027, 0.08519643016734027)),
    ],
)
def test_real_scans_open_with_their_shape_and_spacing(
    shared_data, path, shape, spacing
):
    volume = open_volume(shared_data / path)
    assert volume.shape == shape
    assert volume.dtype == np.uint8
    assert (volume.spacing and volume.spacing.zyx) == spacing
    low, high = intensity_range(volume, 0.5, 99.5)
    assert 0 <= low < high <= 255


def test_real_slices_are_the_planes_in_order(shared_data):
    folder = shared_data / "bone_slices"
    volume = open_volume(folder)
    for number in (0, 9, 10, 199):
        expected = tifffile.imread(folder / f"3155_D_4_bc_{number:04d}.tif")
        np.testing.assert_array_equal(volume.read(number, number + 1)[0], expected)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("formats/ome_zarr/cyx_uint8.zarr", "got 3 channels; pass --channel 0 to 2"),
        ("formats/nrrd_detached/tooth.nhdr", "NRRD files are not read yet"),
        ("formats/mha/3DCT_lung.mha", "MetaImage files are not read yet"),
        ("formats/mha/fixed.mhd", "MetaImage files are not read yet"),
        ("formats/dicom_jpeg2000", "DICOM files are not read yet"),
        ("formats/skyscan_logs", "must hold slices"),
    ],
)
def test_what_is_not_read_says_so(shared_data, path, message):
    with pytest.raises(MeUNetError, match=message):
        open_volume(shared_data / path)
