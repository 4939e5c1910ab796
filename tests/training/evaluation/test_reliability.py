"""How often a model is wrong where it claims to be so sure."""

import numpy as np
import pytest

from napari_meunet.training.evaluation.reliability import (
    EDGES,
    calibration,
    reliability,
)
from napari_meunet.training.label_values import IGNORE


def test_voxels_are_counted_by_the_confidence_of_their_block(rng):
    shape = (5, 9, 6)
    labels, truth = (rng.integers(0, 3, shape, np.uint8) for _ in "12")
    truth[2, :4] = IGNORE
    confidence = rng.choice(np.array([0, 100, 200, 255], np.uint8), (2, 3, 2))
    found = reliability(confidence, labels, truth)
    expected = np.zeros((256, 2), int)
    for index in np.ndindex(shape):
        sure = confidence[tuple(i // 4 for i in index)]
        if sure and truth[index] != IGNORE:
            expected[sure] += 1, labels[index] != truth[index]
    np.testing.assert_array_equal(found, expected)


def test_a_model_that_is_right_about_itself_lies_on_the_diagonal():
    counts = np.zeros((256, 2), np.int64)
    doubts = np.arange(1, 256)
    counts[255 - doubts, 0] = 255_000
    counts[255 - doubts, 1] = 1000 * doubts
    counts[0] = 0
    found = calibration([counts])
    assert found.n_scans == 1
    np.testing.assert_allclose(found.claimed, found.wrong, atol=1e-4)


def test_the_curve_never_falls_and_bins_of_few_voxels_say_nothing(rng):
    counts = np.zeros((256, 2), np.int64)
    counts[:, 0] = rng.integers(2000, 9000, 256)
    counts[:, 1] = rng.integers(0, 2000, 256)
    counts[255 - 64 : 255 - 31, 0] = counts[255 - 64 : 255 - 31, 1] = 3
    found = calibration([counts, counts])
    assert len(found.claimed) == len(EDGES) - 2
    assert (np.diff(found.wrong) >= 0).all()
    assert (np.diff(found.claimed) > 0).all()
    totals = counts[np.r_[1 : 255 - 63, 255 - 31 : 256]].sum(axis=0)
    assert found.n_scans == 2
    assert min(found.wrong) <= totals[1] / totals[0] <= max(found.wrong)


@pytest.mark.parametrize("counts", [np.zeros((256, 2), np.int64)])
def test_without_voxels_nothing_is_known(counts):
    assert calibration([counts]) is None
