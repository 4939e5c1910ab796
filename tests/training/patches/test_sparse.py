import numpy as np
import pytest

from napari_meunet.errors import MeUNetError
from napari_meunet.training.label_values import IGNORE
from napari_meunet.training.patches.sampler import PatchSampler
from napari_meunet.training.patches.sparse import only_painted_planes
from napari_meunet.training.patches.specimen import Specimen
from napari_meunet.volume.volume import Volume


@pytest.fixture
def painted():
    labels = np.zeros((9, 12, 12), np.uint8)
    labels[4, 3:6, 3:6] = 1
    return labels


def test_planes_without_paint_are_ignored_and_painted_ones_are_complete(painted):
    sparse = only_painted_planes(Volume.from_array(painted))
    expected = np.full_like(painted, IGNORE)
    expected[4] = painted[4]
    np.testing.assert_array_equal(sparse.read(0, 9), expected)
    np.testing.assert_array_equal(sparse.planes[3:6, 2:9, 1:4], expected[3:6, 2:9, 1:4])
    np.testing.assert_array_equal(sparse.planes[4], expected[4])
    np.testing.assert_array_equal(sparse.planes[0], expected[0])
    assert painted[0, 0, 0] == 0


def test_a_dot_without_a_label_marks_a_plane_as_empty(painted):
    painted[0, 5, 5] = IGNORE
    sparse = only_painted_planes(Volume.from_array(painted)).read(0, 2)
    np.testing.assert_array_equal(sparse[0], painted[0])
    assert np.all(sparse[1] == IGNORE)


def test_labels_that_nobody_painted_are_ignored_where_that_is_known(painted):
    painted[6] = 1
    by_hand = np.arange(9) == 4
    sparse = only_painted_planes(Volume.from_array(painted), by_hand).read(0, 9)
    np.testing.assert_array_equal(sparse[4], painted[4])
    assert np.all(sparse[~by_hand] == IGNORE)


def test_labels_without_paint_are_refused():
    with pytest.raises(MeUNetError, match="paint a few planes"):
        only_painted_planes(Volume.from_array(np.zeros((3, 4, 5), np.uint8)))


@pytest.mark.parametrize("foreground", [0, 1])
def test_every_patch_of_a_sparse_specimen_has_a_label(painted, rng, foreground):
    labels = np.pad(painted, ((60, 60), (30, 30), (30, 30)))
    image = rng.integers(0, 255, labels.shape, dtype=np.uint8)
    one = Specimen.index(
        Volume.from_array(image),
        only_painted_planes(Volume.from_array(labels)),
        2,
        rng,
    )
    assert one.is_sparse
    assert sorted(one.voxels) == [0, 1]
    sampler = PatchSampler([one], foreground, 8)
    for turn in range(20):
        _, patch = sampler.draw(32, rng, turn)
        assert np.any(patch != IGNORE)
        assert foreground == 0 or np.any(patch == 1)


def test_a_volume_of_nothing_but_ignored_voxels_is_refused(rng):
    image = rng.integers(0, 255, (8, 8, 8), dtype=np.uint8)
    nothing = Volume.from_array(np.full_like(image, IGNORE))
    with pytest.raises(MeUNetError, match="some voxels must have a label"):
        Specimen.index(Volume.from_array(image), nothing, 2, rng)
