"""Whether a scan's voxels are of the size that a model was trained on."""

from napari_meunet.network.card import Card, SpacingRange
from napari_meunet.words import spacing_in_words

TOLERATED = 1.5
"""Factor beyond the spacings of training that needs no remark.

A network knows things by their size in voxels, and augmentation varies it little: a
model trained on phantoms 112 voxels wide, and few others, failed on one of 64, a factor
of 1.75.
"""


def spacing_remark(card: Card, zyx: tuple[float, float, float] | None) -> str:
    """Return what a person should know of a scan unlike those of training.

    Parameters
    ----------
    card
        Of the model.
    zyx
        Micrometres per voxel of the scan along (z, y, x); None if unknown.

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
    return (
        f"the voxels of this scan are {spacing_in_words(zyx)}, and {card.name!r} was "
        f"trained on {range_in_words(card.spacing)}: its labels may be poor; resample "
        "the scan, or train a model for its spacing"
    )


def range_in_words(spacing: SpacingRange) -> str:
    """Return one spacing if all volumes had the same, else both ends."""
    ends = [spacing_in_words(zyx) for zyx in (spacing.finest, spacing.coarsest)]
    return " to ".join(dict.fromkeys(ends))
