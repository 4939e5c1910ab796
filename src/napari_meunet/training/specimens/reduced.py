"""Scans and labels with larger voxels, to learn from: several voxels as one."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from napari_meunet.config import Shape
from napari_meunet.errors import MeUNetError
from napari_meunet.network.card import Card
from napari_meunet.network.free_memory import free_on_host
from napari_meunet.network.spacing import (
    GREATEST_REDUCTION,
    nearest_factor,
    reduction,
)
from napari_meunet.training.label_values import IGNORE, checked
from napari_meunet.training.specimens.provenance import Pair, specimen_name
from napari_meunet.volume.reduced import ReducedPlanes, reduced
from napari_meunet.volume.volume import Planes, Volume
from napari_meunet.words import spacing_in_words

KEPT_SHARE = 1 / 8
"""Of the memory that is free, for one reduced scan or labels; a larger one is computed
whenever a part of it is looked at."""

Scan = TypeVar("Scan", Volume, Volume | None)
"""Images can be made up, where labels are all there is."""


def reduced_pairs(
    pairs: Sequence[tuple[Scan, Volume]],
    voxel_size: float | None,
    initial: Card | None = None,
) -> list[tuple[Scan, Volume]]:
    """Return scans and labels with voxels as near to a size as whole numbers allow.

    Parameters
    ----------
    pairs
        Scans and their labels.
    voxel_size
        Micrometres along every axis. None takes those of the model to begin from, if
        a scan is finer, and else leaves the scans as they are.
    initial
        Card of the model to begin from.

    Raises
    ------
    MeUNetError
        If a size is wanted and a scan does not say how large its voxels are.
    """
    return [
        _reduced(*pair, factors=_factors(pair, voxel_size, initial)) for pair in pairs
    ]


def _reduced(image: Scan, labels: Volume, factors: Shape) -> tuple[Scan, Volume]:
    if factors == (1, 1, 1):
        return image, labels
    coarse = replace(
        reduced(labels, factors), planes=ReducedLabels(labels.planes, factors)
    )
    return (_kept(reduced(image, factors)) if image else image), _kept(coarse)


def _factors(pair: Pair, voxel_size: float | None, initial: Card | None) -> Shape:
    image, labels = pair
    spacing = (image or labels).spacing
    if voxel_size is None:
        zyx = spacing.zyx if spacing else None
        return reduction(initial, zyx) if initial else (1, 1, 1)
    if spacing is None:
        raise MeUNetError(
            "a voxel size to learn at goes with scans that say how large their voxels "
            f"are, got {specimen_name(pair)}, which does not; save it with a spacing, "
            "or learn from every voxel"
        )
    z, y, x = (nearest_factor(size, voxel_size) for size in spacing.zyx)
    if max(z, y, x) > GREATEST_REDUCTION:
        raise MeUNetError(
            f"at most {GREATEST_REDUCTION} voxels along an axis can be seen as one, "
            f"got {(z, y, x)} for {specimen_name(pair)} with "
            f"{spacing_in_words(spacing.zyx)}; ask for a smaller voxel size, or "
            "correct the spacing"
        )
    return z, y, x


def _kept(volume: Volume) -> Volume:
    """Return a volume that is computed once, if it is small enough."""
    n_bytes = int(np.prod(volume.shape)) * volume.dtype.itemsize
    if n_bytes > KEPT_SHARE * free_on_host():
        return volume
    return replace(volume, planes=KeptPlanes(volume.planes))


@dataclass(frozen=True)
class ReducedLabels(ReducedPlanes):
    """Labels of which a voxel is the most frequent one of its block, uint8.

    Voxels without a label do not count, unless there are no others; of equals the
    lowest value is taken.
    """

    @property
    def dtype(self) -> np.dtype[Any]:
        """Data type of the labels."""
        return np.dtype(np.uint8)

    def summary(self, part: NDArray[Any], factors: tuple[int, int]) -> NDArray[Any]:
        """Return the most frequent label of every block."""
        by_y, by_x = factors
        part = checked(part)
        k, y, x = part.shape
        shape = -(-y // by_y), -(-x // by_x)
        winner, most = np.full(shape, IGNORE, np.uint8), np.zeros(shape, np.uint16)
        for value in np.unique(part[part != IGNORE]):
            votes = np.zeros(shape, np.uint16)
            for plane, i, j in np.ndindex(k, by_y, by_x):
                places = part[plane, i::by_y, j::by_x] == value
                votes[: places.shape[0], : places.shape[1]] += places
            winner[votes > most] = value
            np.maximum(most, votes, out=most)
        return winner


class KeptPlanes:
    """Planes that are computed when they are first looked at, and kept in memory.

    Parameters
    ----------
    planes
        What computes them.
    """

    def __init__(self, planes: Planes) -> None:
        self._planes = planes
        self._kept: NDArray[Any] = np.empty(planes.shape, planes.dtype)
        self._is_kept = np.zeros(planes.shape[0], bool)

    @property
    def shape(self) -> tuple[int, ...]:
        """Voxels along (z, y, x)."""
        return self._kept.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Data type of the voxels."""
        return self._kept.dtype

    def __getitem__(self, index: Any, /) -> NDArray[Any]:
        """Return a part; planes of it that are new are computed whole."""
        z = index[0] if isinstance(index, tuple) else index
        for plane in np.atleast_1d(np.arange(self.shape[0])[z]).tolist():
            if not self._is_kept[plane]:  # two threads may do it twice: no harm
                self._kept[plane] = self._planes[plane : plane + 1][0]
                self._is_kept[plane] = True
        part: NDArray[Any] = self._kept[index]
        return part
