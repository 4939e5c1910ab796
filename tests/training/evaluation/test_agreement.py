import numpy as np
import pytest

from napari_meunet.training.evaluation.agreement import Agreement, agreement
from napari_meunet.training.label_values import IGNORE

SPACING = (3.0, 2.0, 1.0)


def test_a_box_one_plane_too_long_by_hand():
    reference = np.zeros((12, 10, 10), np.uint8)
    reference[2:8, 2:8, 2:8] = 1
    labels = reference.copy()
    labels[8, 2:8, 2:8] = 1
    (found,) = agreement(labels, reference, SPACING, tolerance=2.9).values()
    assert found.dice == pytest.approx(2 * 6 / 13)
    assert found.iou == pytest.approx(6 / 7)
    assert found.volume_error == pytest.approx(1 / 6)
    assert found.hd95 == 3.0
    # of the labels' surface the new end lies 3 um off; of the reference's surface the
    # inner 4 x 4 voxels of its end are covered, and 3 um or a little less from the rim
    assert 0.7 < found.surface_dice < 1
    assert agreement(labels, reference, SPACING, 3)[1].surface_dice == 1


def test_what_has_no_value_is_none():
    ones, zeros = np.ones((2, 3, 4), np.uint8), np.zeros((2, 3, 4), np.uint8)
    assert agreement(ones, zeros, SPACING, 1) == {1: Agreement(0, 0, None, None, 0)}
    assert agreement(zeros, ones, SPACING, 1) == {1: Agreement(0, 0, -1, None, 0)}
    assert agreement(zeros, zeros, SPACING, 1) == {}


def test_voxels_without_a_label_count_on_neither_side():
    reference = np.zeros((4, 6, 6), np.uint8)
    reference[1:3, 1:4, 1:4] = 1
    labels = reference.copy()
    expected = agreement(labels, reference, SPACING, 1)
    reference[0] = IGNORE  # nobody looked at this plane
    labels[0, 4:] = 1
    labels[3, 0, 0] = IGNORE  # a mark
    assert agreement(labels, reference, SPACING, 1) == expected


def test_where_the_labelled_planes_end_there_is_no_surface():
    reference = np.full((9, 10, 10), IGNORE, np.uint8)
    for z in (2, 6):  # two painted planes of a bar along z
        reference[z] = 0
        reference[z, 2:8, 2:8] = 1
    labels = np.zeros(reference.shape, np.uint8)
    labels[:, 2:8, 3:9] = 1

    (found,) = agreement(labels, reference, SPACING, tolerance=0.5).values()

    assert found.surface_dice == 0.5  # of the outline of 20 voxels, 5 above, 5 below
    assert found.hd95 == 1.0
    assert found.volume_error == 0


def test_a_class_that_ends_nowhere_has_no_surface():
    reference = np.full((5, 6, 6), IGNORE, np.uint8)
    reference[1:4, 1:4, 1:4] = 1  # marked by hand, and nothing around it

    found = agreement(np.ones_like(reference), reference, SPACING, tolerance=1)

    assert found == {1: Agreement(1, 1, 0, None, None)}
