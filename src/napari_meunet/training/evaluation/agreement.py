"""All that is said of how well labels agree with a reference."""

from dataclasses import dataclass

from napari_meunet.training.evaluation.metrics import overlap
from napari_meunet.training.evaluation.surfaces import surface_distances
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
        micrometres; None if the class is absent from one.
    surface_dice
        Fraction of both surfaces within the tolerance; None if the class is absent
        from both.
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
    counts = overlap(labels, reference)
    surfaces = surface_distances(labels, reference, spacing)
    return {
        value: Agreement(
            row.dice,
            row.iou,
            row.labels / row.reference - 1 if row.reference else None,
            surfaces[value].hausdorff(95),
            surfaces[value].surface_dice(tolerance),
        )
        for value, row in counts.items()
    }
