"""Which places of a segmentation to look at, those first where most may be wrong."""

from dataclasses import dataclass
from math import cbrt, ceil

import numpy as np
from numpy.typing import NDArray

from napari_meunet.config import CONFIDENCE_EDGE, Calibration, Shape
from napari_meunet.labels.box import Box, box_at
from napari_meunet.labels.confidence import doubt_of
from napari_meunet.labels.reviewed import PLACE_EDGE, Reviewed
from napari_meunet.labels.tiff import LabelMap

_BLOCKS = PLACE_EDGE // CONFIDENCE_EDGE

COUNTED = 2**20
"""Voxels up to which `labelled_voxels` counts them all. Of 2048^3 some 10 000 rows of
the file are read then: a moment's work, and more than a percentage needs."""


@dataclass(frozen=True, slots=True)
class ReviewItem:
    """A place to look at.

    Attributes
    ----------
    index
        Which place along (z, y, x).
    box
        Its voxels.
    center
        The voxel in the middle of the block of which the model is least sure.
    expected_wrong
        How many of its voxels have a wrong label, as far as the model has doubts.
    """

    index: Shape
    box: Box
    center: Shape
    expected_wrong: float


class Review:
    """The places of a volume, and which of them a person has looked at.

    What a model expects is read when this is made; make it anew after a run.

    Parameters
    ----------
    reviewed
        The places that a person has looked at.
    labels
        Of the volume, uint8 ``(z, y, x)``.
    confidence
        How sure the model is, see `napari_meunet.labels.confidence`.
    calibration
        How often it is wrong then; None takes its word for it.

    Attributes
    ----------
    calibration
        As given.
    expected_wrong
        Voxels that are expected to be wrong in every place, float32 ``(z, y, x)``.
    n_labelled
        See `labelled_voxels`.
    reviewed
        The places that a person has looked at; mark them there.
    """

    def __init__(
        self,
        reviewed: Reviewed,
        labels: LabelMap,
        confidence: LabelMap,
        calibration: Calibration | None = None,
    ) -> None:
        self.reviewed = reviewed
        self._shape = labels.shape
        self._confidence = confidence
        self.calibration = calibration
        self.expected_wrong = expected_wrong(confidence, wrong_by_doubt(calibration))
        self.n_labelled = labelled_voxels(labels)

    @property
    def doubtful(self) -> NDArray[np.bool]:
        """Which places are worth a look: a wrong voxel or more is expected there."""
        return self.expected_wrong >= 1

    @property
    def queue(self) -> NDArray[np.intp]:
        """Places that nobody has looked at: indices ``(n, 3)``, the worst first."""
        wrong = np.where(
            self.doubtful & ~self.reviewed.places, self.expected_wrong, 0
        ).ravel()
        order = np.argsort(-wrong, kind="stable")[: np.count_nonzero(wrong)]
        return np.stack(np.unravel_index(order, self.expected_wrong.shape), axis=1)

    def item(self, index: Shape) -> ReviewItem:
        """Return a place."""
        start = [i * PLACE_EDGE for i in index]
        extent = [
            min(PLACE_EDGE, n - first)
            for first, n in zip(start, self._shape, strict=True)
        ]
        blocks = tuple(slice(i * _BLOCKS, (i + 1) * _BLOCKS) for i in index)
        doubt = doubt_of(np.asarray(self._confidence[blocks]))
        worst = np.unravel_index(doubt.argmax(), doubt.shape)
        z, y, x = (
            min(first + CONFIDENCE_EDGE * int(block) + CONFIDENCE_EDGE // 2, n - 1)
            for first, block, n in zip(start, worst, self._shape, strict=True)
        )
        return ReviewItem(
            index=index,
            box=box_at((start[0], start[1], start[2]), tuple(extent)),
            center=(z, y, x),
            expected_wrong=float(self.expected_wrong[index]),
        )


def labelled_voxels(labels: LabelMap) -> int:
    """Return how many voxels have a label other than 0.

    Of more than `COUNTED` voxels every n-th along each axis is looked at, and stands
    for the others: at most so many of a volume that is long along all axes.
    """
    n = ceil(cbrt(labels.size / COUNTED))
    z, y, x = (slice(min(n // 2, size - 1), None, n) for size in labels.shape)
    looked_at = [labels[plane, y, x] for plane in range(labels.shape[0])[z]]
    found = sum(np.count_nonzero(plane) for plane in looked_at)
    return round(found * labels.size / (len(looked_at) * looked_at[0].size))


def wrong_by_doubt(calibration: Calibration | None) -> NDArray[np.float32]:
    """Return the fraction of voxels that are wrong, for each doubt from 0 to 255.

    It is 0 without doubt: how often the model is wrong where it is sure says nothing
    of where that is.
    """
    claimed = np.arange(256) / 255
    if calibration is None:
        return claimed.astype(np.float32)
    measured = np.interp(claimed, calibration.claimed, calibration.wrong)
    return np.asarray(measured - measured[0], np.float32)


def expected_wrong(
    confidence: LabelMap, wrong: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Return how many voxels of every place are expected to be wrong.

    Parameters
    ----------
    confidence
        255 times the mean probability of the labels of every block, 0 where no model
        has said it, uint8 ``(z, y, x)``.
    wrong
        See `wrong_by_doubt`.

    Returns
    -------
    voxels
        float32 ``(z, y, x)``, one for every `PLACE_EDGE` voxels along each axis; the
        last ones may be smaller. Blocks at the far ends of the volume count whole.
    """
    slabs = range(0, confidence.shape[0], _BLOCKS)
    return np.stack([_sums(confidence[z : z + _BLOCKS], wrong) for z in slabs])


def _sums(slab: NDArray[np.uint8], wrong: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return what is expected to be wrong in the places of one slab, ``(y, x)``."""
    sums = wrong[doubt_of(np.asarray(slab))].sum(axis=0)
    for axis in range(sums.ndim):
        starts = np.arange(0, sums.shape[axis], _BLOCKS)
        sums = np.add.reduceat(sums, starts, axis=axis)
    result: NDArray[np.float32] = sums * np.float32(CONFIDENCE_EDGE**3)
    return result
