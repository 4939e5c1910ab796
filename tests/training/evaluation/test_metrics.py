import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from napari_meunet.errors import MeUNetError
from napari_meunet.training.evaluation.metrics import Overlap, confusion, overlap
from napari_meunet.training.label_values import IGNORE


def test_two_by_two_by_two_by_hand():
    labels = np.array([[[1, 1], [0, 2]], [[0, 0], [2, 2]]], np.uint8)
    reference = np.array([[[1, 0], [1, 2]], [[0, 0], [0, 2]]], np.uint8)
    result = overlap(labels, reference)
    assert result == {1: Overlap(1, 2, 2), 2: Overlap(2, 3, 2)}
    assert result[1].dice == 0.5
    assert result[1].iou == pytest.approx(1 / 3)
    assert result[2].dice == 0.8
    assert result[2].iou == pytest.approx(2 / 3)


def test_a_class_absent_from_both_has_no_score():
    zeros = np.zeros((2, 3, 4), np.uint8)
    (absent,) = overlap(zeros, zeros, [7]).values()
    assert absent.dice is None
    assert absent.iou is None
    assert overlap(zeros, zeros) == {}


def test_a_class_in_only_one_of_them_scores_zero():
    zeros, sevens = np.zeros((2, 3, 4), np.uint8), np.full((2, 3, 4), 7, np.uint8)
    for pair in ((zeros, sevens), (sevens, zeros)):
        assert list(overlap(*pair)) == [7]
        assert overlap(*pair)[7].dice == 0
        assert overlap(*pair)[7].iou == 0


def test_values_that_nobody_asked_for_are_not_of_the_class():
    labels = np.array([[[1, 1, 9]]], np.uint8)
    reference = np.array([[[1, 5, 1]]], np.uint8)
    assert overlap(labels, reference, [1]) == {1: Overlap(1, 2, 2)}
    assert list(overlap(labels, reference)) == [1, 5, 9]


def test_the_background_can_be_asked_for():
    labels = np.array([[[0, 0, 1]]], np.uint8)
    assert overlap(labels, labels, [0])[0].dice == 1


volumes = arrays(np.uint8, (3, 4, 5), elements=st.sampled_from([0, 1, 2, 21, 255]))


@given(labels=volumes, reference=volumes)
def test_the_counts_are_those_of_numpy_and_do_not_care_who_is_the_reference(
    labels, reference
):
    swapped = overlap(reference, labels)
    assert IGNORE not in swapped
    known = (labels != IGNORE) & (reference != IGNORE)
    for value, found in overlap(labels, reference).items():
        a, b = known & (labels == value), known & (reference == value)
        assert found.intersection == (a & b).sum()
        assert found.dice == pytest.approx(2 * (a & b).sum() / (a.sum() + b.sum()))
        assert found.iou == pytest.approx((a & b).sum() / (a | b).sum())
        assert swapped[value].dice == found.dice
    assert confusion(labels, reference).sum() == labels.size


def test_planes_are_read_one_at_a_time_and_once():
    class Recorder:
        shape, dtype = (1000, 8, 8), np.dtype(np.uint8)

        def __init__(self):
            self.read = []

        def __getitem__(self, index):
            self.read.append(index)
            return np.ones((8, 8), np.uint8)

    labels = Recorder()
    ones = np.broadcast_to(np.uint8(1), labels.shape)
    assert overlap(labels, ones)[1].intersection == 64_000
    assert labels.read == list(range(1000))


def test_different_shapes_are_named():
    with pytest.raises(MeUNetError, match=r"got \(2, 3, 4\) and \(2, 3, 5\)"):
        overlap(np.zeros((2, 3, 4), np.uint8), np.zeros((2, 3, 5), np.uint8))


@pytest.mark.parametrize("dtype", [np.int16, np.uint16, np.float32, bool])
def test_whole_numbers_of_any_type_are_labels(dtype):
    labels = np.array([[[0, 1, 1]]], dtype)
    assert overlap(labels, labels.astype(np.uint8))[1].dice == 1


@pytest.mark.parametrize("value", [0.5, 256, -1])
def test_a_value_that_is_no_label_is_named(value):
    ones = np.ones((1, 2, 2), np.uint8)
    with pytest.raises(MeUNetError, match=f"from 0 to 255, got {value}"):
        overlap(np.full((1, 2, 2), value), ones)
