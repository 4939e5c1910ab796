"""The memory of mapped files is given back, and nothing of what they hold is lost."""

import numpy as np
import pytest

from napari_meunet.mapped import give_back
from napari_meunet.volume.formats.planes import ConvertedPlanes
from napari_meunet.volume.volume import Volume

SHAPE = 64, 256, 256


@pytest.fixture
def path(tmp_path, rng):
    path = tmp_path / "voxels"
    rng.integers(0, 256, SHAPE, np.uint8).tofile(path)
    return path


@pytest.mark.parametrize("mode", ["r", "r+"])
def test_what_was_read_takes_no_memory_any_more_and_can_be_read_again(
    path, mode, resident
):
    voxels = np.memmap(path, np.uint8, mode, shape=SHAPE)
    total = voxels.sum()
    assert resident(path) == voxels.nbytes
    planes = ConvertedPlanes(voxels[3:], np.dtype(np.float32))
    Volume.from_array(planes).give_back()
    assert resident(path) == 0
    assert voxels.sum() == total


def test_what_was_written_is_in_the_file(path, resident):
    voxels = np.memmap(path, np.uint8, "r+", shape=SHAPE)
    voxels[5:9] = 7
    give_back(voxels)
    assert resident(path) == 0
    assert (voxels[5:9] == 7).all()
    assert (np.fromfile(path, np.uint8).reshape(SHAPE)[5:9] == 7).all()


def test_changes_that_go_nowhere_else_are_kept(path):
    voxels = np.memmap(path, np.uint8, "c", shape=SHAPE)
    before = np.array(voxels[4])
    voxels[5] = 7
    give_back(voxels)
    assert (voxels[5] == 7).all()
    np.testing.assert_array_equal(voxels[4], before)


def test_arrays_in_memory_stay_as_they_are():
    voxels = np.arange(12).reshape(3, 2, 2)
    Volume.from_array(voxels).give_back()
    assert voxels.sum() == 66
