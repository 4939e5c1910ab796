"""The resolution at which a network sees a scan."""

from operator import mul

from napari_meunet.config import SegmentationConfig, Shape
from napari_meunet.inference.tiles import Grid
from napari_meunet.network.card import Card
from napari_meunet.network.spacing import (
    range_in_words,
    reduction,
    spacing_remark,
)
from napari_meunet.volume.reduced import reduced
from napari_meunet.volume.volume import Volume

Size = tuple[float, float, float]
"""Micrometres per voxel along (z, y, x)."""


def factors_of(zyx: Size | None, card: Card, config: SegmentationConfig) -> Shape:
    """Return how many voxels of this size a network sees as one, along (z, y, x)."""
    if config.resolution == "scan" or config.preset == "paper":
        return 1, 1, 1
    return reduction(card, zyx)


def grid_of(volume: Volume, card: Card, config: SegmentationConfig) -> Grid:
    """Return a scan's shape, and how many of its voxels the network sees as one."""
    zyx = volume.spacing.zyx if volume.spacing else None
    return Grid(volume.shape, factors_of(zyx, card, config))


def as_seen(volume: Volume, card: Card, config: SegmentationConfig) -> Volume:
    """Return a scan as the network sees it."""
    return reduced(volume, grid_of(volume, card, config).factors)


def reduction_in_words(grid: Grid) -> str:
    """Return what the network sees of a scan; empty if it is every voxel."""
    if not grid.is_reduced:
        return ""
    block = " x ".join(map(str, grid.factors))
    return f"{block} voxels are seen as one, at the resolution of the model"


def resolution_remark(zyx: Size | None, card: Card, config: SegmentationConfig) -> str:
    """Return what a person should know if a network sees voxels that it does not know.

    Parameters
    ----------
    zyx
        Of the scan; None if it is not known.
    card
        Of the model.
    config
        How the scan is segmented.

    Returns
    -------
    str
        See `napari_meunet.network.spacing.spacing_remark`; or that the spacing should
        be given, if the model knows that of its training.
    """
    if zyx is None:
        return _unknown(card)
    z, y, x = map(mul, zyx, factors_of(zyx, card, config))
    return spacing_remark(card, (z, y, x))


def _unknown(card: Card) -> str:
    if card.spacing is None:
        return ""
    return (
        f"the scan does not say how large its voxels are, and {card.name!r} was "
        f"trained on {range_in_words(card.spacing)}: give the spacing, and a finer "
        "scan is shown to it at its resolution"
    )
