"""How often a model is wrong where it claims to be so sure."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import isotonic_regression

from napari_meunet.config import CONFIDENCE_EDGE, Calibration
from napari_meunet.labels.box import box_at, spread
from napari_meunet.training.evaluation.metrics import require_same_shape
from napari_meunet.training.label_values import IGNORE, checked
from napari_meunet.volume.volume import Planes

EDGES = (0, 1, 2, 4, 8, 16, 32, 64, 96, 128, 256)
"""Of the bins, in doubt: 255 times one minus the confidence."""

FEWEST = 1000
"""Voxels in a bin, or it says nothing."""


def reliability(
    confidence: NDArray[np.uint8], labels: Planes, truth: Planes
) -> NDArray[np.int64]:
    """Count voxels, and wrong ones, by the confidence of their blocks.

    Parameters
    ----------
    confidence
        255 times a probability for every 4 x 4 x 4 voxels ``(z, y, x)``; 0 where the
        model has said nothing.
    labels, truth
        Integers 0 to 255 ``(z, y, x)``, read plane by plane. Voxels without a label
        (`IGNORE`) in the truth do not count.

    Returns
    -------
    counts
        ``(256, 2)``: for every confidence the voxels, and those of them that are wrong.
    """
    require_same_shape(labels, truth)
    counts = np.zeros((256, 2), np.int64)
    depth, height, width = labels.shape
    for z in range(depth):
        found, right = checked(labels[z]), checked(truth[z])
        plane = box_at((z, 0, 0), (1, height, width))
        sure = spread(confidence, CONFIDENCE_EDGE, plane)[0]
        known = right != IGNORE
        counts[:, 0] += np.bincount(sure[known], minlength=256)
        counts[:, 1] += np.bincount(sure[known & (found != right)], minlength=256)
    counts[0] = 0
    return counts


def calibration(counts: Sequence[NDArray[np.int64]]) -> Calibration | None:
    """Return how often a model is wrong by what it claims; None if little is known.

    Parameters
    ----------
    counts
        Of scans that the model did not learn from, see `reliability`.

    Returns
    -------
    Calibration
        The least-squares fit that never falls with the doubt (isotonic regression),
        with each bin of doubt weighing as much as it has voxels.
    """
    table = np.sum(counts, axis=0)[::-1]  # by doubt
    doubts = np.arange(256)
    claimed, wrong, weights = [], [], []
    for first, stop in pairwise(EDGES):
        voxels, mistakes = table[first:stop].T
        if voxels.sum() >= FEWEST:
            claimed.append(float((voxels @ doubts[first:stop]) / voxels.sum() / 255))
            wrong.append(float(mistakes.sum() / voxels.sum()))
            weights.append(int(voxels.sum()))
    if len(claimed) < 2:
        return None
    fitted = isotonic_regression(wrong, weights=weights).x
    return Calibration(
        claimed=tuple(round(value, 5) for value in claimed),
        wrong=tuple(round(float(value), 5) for value in fitted),
        n_scans=len(counts),
    )
