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
    factors_to,
    reduction,
)
from napari_meunet.training.label_values import IGNORE, checked
from napari_meunet.training.specimens.provenance import Pair, specimen_name
from napari_meunet.volume.reduced import ReducedPlanes, reduced
from napari_meunet.volume.volume import Planes, Volume
from napari_meunet.words import spacing_in_words

KEPT_SHARE = 1 / 4
"""Of the memory that is free, for all reduced scans and labels; what is more is
computed whenever a part of it is looked at."""

Scan = TypeVar("Scan", Volume, Volume | None)
"""Images can be made up, where labels are all there is."""


class Reducer:
    """Brings scans and labels near to a voxel size, with several voxels as one.

    Parameters
    ----------
    voxel_size
        Micrometres along every axis. None takes what the model to begin from knows, if
        a scan is finer, and else leaves the scans as they are.
    initial
        Card of the model to begin from.
    n_processes
        That train together on this computer, and share its memory.

    Attributes
    ----------
    voxel_size
        What the new model should see other scans at; None if it is every voxel.
    remarks
        What has become of the scans.
    """

    def __init__(
        self, voxel_size: float | None, initial: Card | None, n_processes: int = 1
    ) -> None:
        before = initial.voxel_size if initial else None
        self.voxel_size = voxel_size or before
        self.remarks: list[str] = []
        self._initial = initial
        self._room = KEPT_SHARE * free_on_host() / n_processes

    def reduced(
        self, pairs: Sequence[tuple[Scan, Volume]]
    ) -> list[tuple[Scan, Volume]]:
        """Return scans and labels with larger voxels.

        Parameters
        ----------
        pairs
            Scans and their labels; either may know the spacing.

        Raises
        ------
        MeUNetError
            If a size is wanted and it is not known how large the voxels are, or too
            many would be seen as one.
        """
        return [self._reduced(*pair) for pair in pairs]

    def _reduced(self, image: Scan, labels: Volume) -> tuple[Scan, Volume]:
        if image and image.spacing is None:
            image = replace(image, spacing=labels.spacing)
        factors = self._factors((image, labels))
        if factors == (1, 1, 1):
            return image, labels
        planes = ReducedLabels(labels.planes, factors)
        coarse = self._kept(replace(reduced(labels, factors), planes=planes))
        self._tell(factors, coarse)
        return (self._kept(reduced(image, factors)) if image else image), coarse

    def _factors(self, pair: Pair) -> Shape:
        image, labels = pair
        spacing = (image or labels).spacing
        zyx = spacing.zyx if spacing else None
        if self.voxel_size is None:
            return reduction(self._initial, zyx) if self._initial else (1, 1, 1)
        if zyx is None:
            raise MeUNetError(
                "a voxel size to learn at goes with scans that say how large their "
                f"voxels are, got {specimen_name(pair)}, which does not; save it with "
                "a spacing, or learn from every voxel"
            )
        factors = factors_to(self.voxel_size, zyx)
        if max(factors) > GREATEST_REDUCTION:
            raise MeUNetError(
                f"at most {GREATEST_REDUCTION} voxels along an axis can be seen as "
                f"one, got {factors} for {specimen_name(pair)} with "
                f"{spacing_in_words(zyx)}; ask for a smaller voxel size, or correct "
                "the spacing"
            )
        return factors

    def _kept(self, volume: Volume) -> Volume:
        """Return a volume that is computed once, if there is room for it."""
        n_bytes = int(np.prod(volume.shape)) * volume.dtype.itemsize
        if n_bytes > self._room:
            return volume
        self._room -= n_bytes
        return replace(volume, planes=KeptPlanes(volume.planes))

    def _tell(self, factors: Shape, coarse: Volume) -> None:
        block = " x ".join(map(str, factors))
        size = coarse.spacing and f": {spacing_in_words(coarse.spacing.zyx)}"
        remark = f"{block} voxels are learned from as one{size or ''}"
        if remark not in self.remarks:
            self.remarks.append(remark)


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
        wanted = np.atleast_1d(np.arange(self.shape[0])[z])
        missing = wanted[~self._is_kept[wanted]]
        for run in np.split(missing, np.flatnonzero(np.diff(missing) > 1) + 1):
            if run.size:  # two threads may do it twice: no harm
                planes = slice(run[0], run[-1] + 1)
                self._kept[planes] = self._planes[planes]
                self._is_kept[planes] = True
        part: NDArray[Any] = self._kept[index]
        return part
