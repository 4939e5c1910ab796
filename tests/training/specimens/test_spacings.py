import numpy as np
import pytest

from napari_meunet.training.specimens.spacings import spacing_remarks
from napari_meunet.volume.volume import Spacing, Volume


def scan(*zyx):
    spacing = Spacing(zyx, "made up") if zyx else None
    return Volume.from_array(np.zeros((2, 2, 2), np.uint8), spacing)


@pytest.mark.parametrize(
    "scans", [[], [scan()], [scan(3, 3, 3), scan(4.5, 3, 3), scan()]]
)
def test_spacings_that_are_alike_need_no_remark(scans):
    assert spacing_remarks(scans, turned=True) == []


def test_scans_of_other_resolutions_are_named():
    scans = [scan(10, 3, 3), scan(10.1, 3, 3), scan(10, 12, 12)]
    (remark,) = spacing_remarks(scans, turned=False)
    assert "voxels of 10 x 3 x 3 um (z, y, x) to 10.1 x 12 x 12 um" in remark


def test_voxels_that_are_no_cubes_should_not_be_turned_about_all_axes():
    flat = [scan(10, 2, 2), scan(2, 2, 2)]
    assert spacing_remarks([flat[0]], turned=False) == []
    (remark,) = spacing_remarks([flat[0]], turned=True)
    assert "10 x 2 x 2 um (z, y, x), which right-angle turns" in remark
    assert len(spacing_remarks(flat, turned=True)) == 2
