import tracemalloc
from math import prod

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage

from napari_meunet.errors import MeUNetError
from napari_meunet.training.evaluation.surfaces import surface_distances, surface_voxels

UNIT = (1.0, 1.0, 1.0)
SPACING = (3.0, 0.5, 1.25)


def cube(start, edge=6, value=1):
    labels = np.zeros((20, 20, 20), np.uint8)
    labels[tuple(slice(s, s + edge) for s in start)] = value
    return labels


def test_the_surface_of_a_cube_is_its_shell():
    (voxels,) = surface_voxels(cube((4, 5, 6))).values()
    assert len(voxels) == 6**3 - 4**3
    assert voxels.min(axis=0).tolist() == [4, 5, 6]
    assert voxels.max(axis=0).tolist() == [9, 10, 11]


def test_where_the_scan_ends_a_class_has_a_surface():
    full = np.ones((5, 5, 5), np.uint8)
    assert len(surface_voxels(full)[1]) == 5**3 - 3**3


def test_two_classes_that_touch_have_a_surface_between_them():
    labels = np.ones((9, 9, 9), np.uint8)
    labels[:, :, 4:] = 2
    found = surface_voxels(labels)
    assert [4, 4, 3] in found[1].tolist()
    assert [4, 4, 4] in found[2].tolist()
    assert [4, 4, 2] not in found[1].tolist()


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_shifted_sheet_is_as_far_as_it_was_shifted(axis):
    sheet = np.zeros((16, 16, 16), np.uint8)
    reference = sheet.copy()
    np.moveaxis(sheet, axis, 0)[3] = 1
    np.moveaxis(reference, axis, 0)[7] = 1
    found = surface_distances(sheet, reference, SPACING)[1]
    distance = 4 * SPACING[axis]
    assert found.hausdorff() == pytest.approx(distance)
    assert found.surface_dice(distance - 0.01) == 0
    assert found.surface_dice(distance) == 1


class Ball:
    """Labels of a ball in the middle of a volume, computed plane by plane."""

    def __init__(self, shape, radius):
        self.shape, self.dtype, self._radius = shape, np.dtype(np.uint8), radius

    def __getitem__(self, z):
        far = [(np.arange(n) - n // 2) ** 2 for n in self.shape]
        inside = far[0][z] + np.add.outer(far[1], far[2]) <= self._radius**2
        return inside.astype(np.uint8)


def test_memory_goes_with_the_surfaces_and_not_with_the_volume():
    shape = (200, 400, 400)
    labels, reference = Ball(shape, 40), Ball(shape, 43)
    tracemalloc.start()
    found = surface_distances(labels, reference, UNIT)[1]
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found.hausdorff(100) == pytest.approx(3, abs=1)
    assert peak < prod(shape) / 4


def test_the_percentile_leaves_out_a_far_speck():
    labels = cube((4, 4, 4))
    reference = labels.copy()
    labels[19, 19, 19] = 1
    found = surface_distances(labels, reference, UNIT)[1]
    assert found.hausdorff(95) == 0
    assert found.hausdorff(100) == pytest.approx(np.sqrt(3) * 10)
    n = 6**3 - 4**3
    assert found.surface_dice(0) == pytest.approx(2 * n / (2 * n + 1))


def test_a_class_in_only_one_of_them_has_no_distance_and_no_surface_in_common():
    found = surface_distances(cube((4, 4, 4)), cube((4, 4, 4), value=2), UNIT)
    assert list(found) == [1, 2]
    for result in found.values():
        assert result.hausdorff() is None
        assert result.surface_dice(100) == 0


def test_volumes_of_different_shape_are_refused():
    with pytest.raises(MeUNetError, match="same shape"):
        surface_distances(np.zeros((2, 3, 4), "u1"), np.zeros((2, 3, 5), "u1"), UNIT)


volumes = arrays(np.uint8, (5, 6, 4), elements=st.sampled_from([0, 1, 1, 2]))


def whole_volume_distances(here, there):
    """Restate the definition with an erosion and a distance map of the volume."""
    edge_here, edge_there = (m & ~ndimage.binary_erosion(m) for m in (here, there))
    return ndimage.distance_transform_edt(~edge_there, sampling=SPACING)[edge_here]


@given(labels=volumes, reference=volumes)
def test_the_distances_are_those_of_distance_maps(labels, reference):
    for value, found in surface_distances(labels, reference, SPACING).items():
        here, there = labels == value, reference == value
        if here.any() and there.any():
            np.testing.assert_allclose(
                np.sort(found.to_reference),
                np.sort(whole_volume_distances(here, there)),
            )
            np.testing.assert_allclose(
                np.sort(found.to_labels), np.sort(whole_volume_distances(there, here))
            )


@given(labels=volumes, reference=volumes)
def test_it_does_not_matter_which_is_the_reference(labels, reference):
    swapped = surface_distances(reference, labels, SPACING)
    for value, found in surface_distances(labels, reference, SPACING).items():
        assert found.hausdorff() == swapped[value].hausdorff()
        assert found.surface_dice(1) == swapped[value].surface_dice(1)
