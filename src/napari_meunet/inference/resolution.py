"""The resolution at which a network sees a scan."""

from napari_meunet.config import SegmentationConfig
from napari_meunet.inference.tiles import Grid
from napari_meunet.network.card import Card
from napari_meunet.network.spacing import reduction, spacing_remark
from napari_meunet.volume.reduced import reduced
from napari_meunet.volume.volume import Volume


def grid_of(volume: Volume, card: Card, config: SegmentationConfig) -> Grid:
    """Return a scan's shape, and how many of its voxels the network sees as one."""
    if config.resolution == "scan" or config.preset == "paper":
        return Grid(volume.shape)
    zyx = volume.spacing.zyx if volume.spacing else None
    return Grid(volume.shape, reduction(card, zyx))


def as_seen(volume: Volume, card: Card, config: SegmentationConfig) -> Volume:
    """Return a scan as the network sees it."""
    return reduced(volume, grid_of(volume, card, config).factors)


def reduction_in_words(grid: Grid) -> str:
    """Return what the network sees of a scan; empty if it is every voxel."""
    if grid.factors == (1, 1, 1):
        return ""
    block = " x ".join(map(str, grid.factors))
    return f"{block} voxels are seen as one, at the resolution of the model"


def resolution_remark(volume: Volume, card: Card, config: SegmentationConfig) -> str:
    """Return what a person should know of what the network sees; empty if nothing."""
    spacing = as_seen(volume, card, config).spacing
    return spacing_remark(card, spacing.zyx if spacing else None)
