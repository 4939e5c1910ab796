"""How well labels agree with a reference, for volumes of any size."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_meunet.errors import MeUNetError
from napari_meunet.training.label_values import IGNORE, checked
from napari_meunet.volume.volume import Planes

N_VALUES = 256


@dataclass(frozen=True)
class Overlap:
    """Agreement of one class; all counts are exact.

    Attributes
    ----------
    intersection
        Voxels that have the class in both.
    labels, reference
        Voxels that have the class in the labels, in the reference.
    """

    intersection: int
    labels: int
    reference: int

    @property
    def dice(self) -> float | None:
        """``2 TP / (2 TP + FP + FN)``; None if the class is absent from both.

        A class that nobody saw is neither right nor wrong, so it must not raise a
        mean over classes, as it would when one is added to both counts.
        """
        total = self.labels + self.reference
        return 2 * self.intersection / total if total else None

    @property
    def iou(self) -> float | None:
        """``TP / (TP + FP + FN)``; None if the class is absent from both."""
        union = self.labels + self.reference - self.intersection
        return self.intersection / union if union else None


def overlap(
    labels: Planes, reference: Planes, values: Iterable[int] | None = None
) -> dict[int, Overlap]:
    """Return the overlap of every class, read plane by plane.

    Voxels without a label (`IGNORE`) on one side count on neither.

    Parameters
    ----------
    labels, reference
        Integers 0 to 255 ``(z, y, x)``, in memory or any array-like that reads what
        is indexed; two planes are held at a time.
    values
        Classes to compare. None takes every value above 0 that either holds. Voxels
        of other values count as not of the class.

    Raises
    ------
    MeUNetError
        If the shapes differ or a value is not an integer from 0 to 255.
    """
    return overlaps(confusion(labels, reference), values)


def overlaps(
    counts: NDArray[np.int64], values: Iterable[int] | None = None
) -> dict[int, Overlap]:
    """Return the overlap of every class from `confusion`, as `overlap` does."""
    counts = counts.copy()
    counts[IGNORE] = counts[:, IGNORE] = 0
    in_labels, in_reference = counts.sum(axis=1), counts.sum(axis=0)
    if values is None:
        values = np.flatnonzero(in_labels + in_reference).tolist()
        values = [value for value in values if value > 0]
    return {
        value: Overlap(
            intersection=int(counts[value, value]),
            labels=int(in_labels[value]),
            reference=int(in_reference[value]),
        )
        for value in values
    }


def confusion(labels: Planes, reference: Planes) -> NDArray[np.int64]:
    """Return ``(256, 256)``: the voxels with each pair of values (label, reference)."""
    require_same_shape(labels, reference)
    counts = np.zeros(N_VALUES**2, np.int64)
    for z in range(labels.shape[0]):
        pairs = checked(labels[z]).astype(np.intp) * N_VALUES + checked(reference[z])
        counts += np.bincount(pairs.ravel(), minlength=N_VALUES**2)
    return counts.reshape(N_VALUES, N_VALUES)


def require_same_shape(labels: Planes, reference: Planes) -> None:
    """Raise MeUNetError if two label volumes cannot be compared."""
    if tuple(labels.shape) != tuple(reference.shape):
        raise MeUNetError(
            "labels and reference must have the same shape, got "
            f"{tuple(labels.shape)} and {tuple(reference.shape)}; compare labels with "
            "the reference of the same scan"
        )
