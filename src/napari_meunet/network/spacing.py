"""Whether a scan's voxels are of the size that a model was trained on."""

from math import exp, log

from napari_meunet.config import Shape
from napari_meunet.network.card import Card, SpacingRange
from napari_meunet.words import spacing_in_words

TOLERATED = 1.5
"""Factor beyond the spacings of training that needs no remark.

A network knows things by their size in voxels, and augmentation varies it little: a
model trained on phantoms 112 voxels wide, and few others, failed on one of 64, a factor
of 1.75.
"""

ALIKE = 1.25
"""Factor finer than the spacings of training that is no reason to reduce a scan.

Training zooms by up to 1.3. Phantoms finer than those of the bundled model by 1.19 were
labelled as well either way, with less rough surfaces if not reduced; for those finer by
1.33 the mean Dice rose from 0.66 to 0.85 by reducing them (three phantoms each).
"""

GREATEST_REDUCTION = 16
"""Along an axis; if a scan would need more, its spacing is more likely to be wrong: a
fly 2000 voxels wide becomes one of 125."""


def reduction(card: Card, zyx: tuple[float, float, float] | None) -> Shape:
    """Return how many voxels of a scan, along each axis, a model should see as one.

    Parameters
    ----------
    card
        Of the model.
    zyx
        Micrometres per voxel of the scan along (z, y, x); None if unknown.

    Returns
    -------
    tuple
        One along an axis on which the scan is hardly finer than the finest that the
        model was trained on (`ALIKE`), or nothing is known. If it is finer: what brings
        a voxel nearest, as a factor, to the middle of those of training. Or, if the
        model was trained at a voxel size, what brings it nearest to that. One along
        all axes if any would need more than `GREATEST_REDUCTION`.
    """
    if zyx is None:
        return 1, 1, 1
    if card.voxel_size is not None:
        factors = factors_to(card.voxel_size, zyx)
    elif card.spacing is not None:
        ends = card.spacing.finest, card.spacing.coarsest
        z, y, x = (
            1
            if mine * ALIKE >= fine
            else _nearest(mine, exp((log(fine) + log(coarse)) / 2))
            for mine, fine, coarse in zip(zyx, *ends, strict=True)
        )
        factors = z, y, x
    else:
        return 1, 1, 1
    return factors if max(factors) <= GREATEST_REDUCTION else (1, 1, 1)


def factors_to(voxel_size: float, zyx: tuple[float, float, float]) -> Shape:
    """Return what brings voxels nearest to a size along every axis, micrometres."""
    z, y, x = (_nearest(size, voxel_size) for size in zyx)
    return z, y, x


def _nearest(size: float, wanted: float) -> int:
    """Return the whole number that brings a size nearest, as a factor, to another."""
    below = max(int(wanted / size), 1)
    return min((below, below + 1), key=lambda n: abs(log(n * size / wanted)))


def spacing_remark(card: Card, zyx: tuple[float, float, float] | None) -> str:
    """Return what a person should know of a scan unlike those of training.

    Parameters
    ----------
    card
        Of the model.
    zyx
        Micrometres per voxel that the model sees along (z, y, x); None if unknown.

    Returns
    -------
    str
        A sentence without a full stop; empty if the scan's spacing is no further than
        `TOLERATED` from those of training along every axis, or one is not known.
    """
    if card.spacing is None or zyx is None:
        return ""
    finest, coarsest = card.spacing.finest, card.spacing.coarsest
    if all(
        fine / TOLERATED <= mine <= coarse * TOLERATED
        for mine, fine, coarse in zip(zyx, finest, coarsest, strict=True)
    ):
        return ""
    remedy = "check its spacing, or train a model for it"
    if reduction(card, zyx) != (1, 1, 1):
        remedy = "the preset 'exact' can show it at the resolution of the model"
    return (
        f"the voxels of this scan are {spacing_in_words(zyx)}, and {card.name!r} was "
        f"trained on {range_in_words(card.spacing)}: its labels may be poor; {remedy}"
    )


def range_in_words(spacing: SpacingRange) -> str:
    """Return one spacing if all volumes had the same, else both ends."""
    ends = [spacing_in_words(zyx) for zyx in (spacing.finest, spacing.coarsest)]
    return " to ".join(dict.fromkeys(ends))
