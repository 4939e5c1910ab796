"""Labelling a part of a scan as if the whole were labelled."""

from collections.abc import Generator
from contextlib import closing
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_meunet.config import SegmentationConfig
from napari_meunet.errors import MeUNetError
from napari_meunet.inference.plan import APPROXIMATE_HALO
from napari_meunet.inference.resolution import grid_of
from napari_meunet.inference.segment import segment
from napari_meunet.inference.streaming.schedule import ALIGNMENT, schedule_of
from napari_meunet.inference.tiles import aligned
from napari_meunet.labels.box import Box, within
from napari_meunet.labels.temporary import temporary_labels
from napari_meunet.network.card import Card
from napari_meunet.network.checkpoint import Checkpoint
from napari_meunet.progress import Progress
from napari_meunet.volume.part import part_of
from napari_meunet.volume.volume import Volume


def segment_part(
    volume: Volume,
    checkpoint: Checkpoint,
    config: SegmentationConfig,
    box: Box,
    parent: Path | None = None,
) -> Generator[Progress, None, NDArray[np.uint8]]:
    """Label a box of a scan; nothing is kept.

    Parameters
    ----------
    volume
        The scan.
    checkpoint
        The model.
    config
        How: with the preset ``"exact"``. Air is not skipped.
    box
        Voxels of the scan.
    parent
        Folder for temporary files, of the size of the box and what lies around it.

    Yields
    ------
    Progress
        Planes of what has to be looked at.

    Returns
    -------
    labels
        Of the box, uint8 ``(z, y, x)``: those of the whole scan, up to rounding. With
        ``exact_halo=False`` they depend a little on where the box lies.

    Raises
    ------
    MeUNetError
        If another preset is asked for, or as `segment`.
    """
    if config.preset != "exact":
        raise MeUNetError(
            f"a part of a scan is segmented with the preset 'exact', got "
            f"{config.preset!r}; segment the whole scan with that"
        )
    whole_alone = {"skip_air": False, "columns": None, "slab": None}
    config = config.model_copy(update=whole_alone)
    seen = with_surroundings(volume, checkpoint.card, config, box)
    part, classes = part_of(volume, seen), checkpoint.card.classes
    with (
        temporary_labels(part, classes, parent) as store,
        closing(segment(part, checkpoint, config, store, whole=volume)) as steps,
    ):
        yield from steps
        return np.array(store.labels[within(seen, box)])


def with_surroundings(
    volume: Volume, card: Card, config: SegmentationConfig, box: Box
) -> Box:
    """Return a box with all voxels around it that its labels depend on.

    It begins at multiples of 16 of what the network sees, where the network pools
    the same voxels as it would in the whole scan.
    """
    grid = grid_of(volume, card, config)
    halo = APPROXIMATE_HALO
    if config.exact_halo:
        halo = aligned(schedule_of(card.network).reach())
        halo += ALIGNMENT * grid.is_reduced  # labels lie between a voxel and the next
    z, y, x = (
        _widened(part, ALIGNMENT * factor, halo * factor, n)
        for part, factor, n in zip(box, grid.factors, grid.shape, strict=True)
    )
    return z, y, x


def _widened(part: slice, unit: int, halo: int, n: int) -> slice:
    start = part.start // unit * unit - halo
    stop = -(-part.stop // unit) * unit + halo
    return slice(max(start, 0), min(stop, n))
