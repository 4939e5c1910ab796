"""All that is said of how well labels agree with a reference."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_meunet.training.evaluation.metrics import confusion, overlaps
from napari_meunet.training.evaluation.surfaces import NO_SURFACES, surface_distances
from napari_meunet.training.label_values import IGNORE, checked
from napari_meunet.volume.volume import Planes


@dataclass(frozen=True)
class Agreement:
    """Agreement of one class; None where a measure has no value.

    Attributes
    ----------
    dice, iou
        Of the voxels; None if the class is absent from both.
    volume_error
        Volume of the labels over that of the reference, minus 1; None if the class is
        absent from the reference.
    hd95
        95th percentile of the surface distances, the greater of both directions, in
        micrometres; None if the class has no surface in one.
    surface_dice
        Fraction of both surfaces within the tolerance; None if the class has no
        surface in either.
    """

    dice: float | None
    iou: float | None
    volume_error: float | None
    hd95: float | None
    surface_dice: float | None


def agreement(
    labels: Planes,
    reference: Planes,
    spacing: tuple[float, float, float],
    tolerance: float,
) -> dict[int, Agreement]:
    """Return the agreement of every class above 0 that either holds.

    Voxels without a label (`IGNORE`) on one side count on neither, and a class that
    ends at them has no surface there: nobody knows whether it does end.

    Parameters
    ----------
    labels, reference
        Integers 0 to 255 ``(z, y, x)``, read plane by plane.
    spacing
        Micrometres a voxel along (z, y, x).
    tolerance
        Micrometres that surfaces may lie apart for the surface Dice.

    Raises
    ------
    MeUNetError
        If the shapes differ or a value is not an integer from 0 to 255.
    """
    counts = confusion(labels, reference)
    if counts[IGNORE].any() or counts[:, IGNORE].any():
        labels, reference = _Known(labels, reference), _Known(reference, labels)
    surfaces = surface_distances(labels, reference, spacing)
    return {
        value: Agreement(
            row.dice,
            row.iou,
            row.labels / row.reference - 1 if row.reference else None,
            surfaces.get(value, NO_SURFACES).hausdorff(95),
            surfaces.get(value, NO_SURFACES).surface_dice(tolerance),
        )
        for value, row in overlaps(counts).items()
    }


class _Known:
    """Labels where others of the same scan have some, too, else `IGNORE`."""

    def __init__(self, planes: Planes, others: Planes) -> None:
        self._planes, self._others = planes, others
        self.shape, self.dtype = tuple(planes.shape), np.dtype(np.uint8)

    def __getitem__(self, index: Any, /) -> NDArray[np.uint8]:
        found, others = checked(self._planes[index]), checked(self._others[index])
        return np.where(others == IGNORE, np.uint8(IGNORE), found)
