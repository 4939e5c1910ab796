"""Scans and labels with larger voxels, to learn from: several voxels as one."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import starmap
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from napari_meunet.config import Shape, TrainingConfig
from napari_meunet.errors import MeUNetError
from napari_meunet.network.card import Card
from napari_meunet.network.free_memory import free_on_host
from napari_meunet.network.spacing import (
    GREATEST_REDUCTION,
    factors_to,
    reduction,
)
from napari_meunet.training.label_values import IGNORE, checked
from napari_meunet.training.patches.augmentation import Augmentation, learns_detail
from napari_meunet.training.patches.specimen import require_same_shape
from napari_meunet.training.specimens.provenance import specimen_name
from napari_meunet.training.specimens.scans import Pair
from napari_meunet.volume.reduced import ReducedPlanes, reduced, reduced_shape
from napari_meunet.volume.volume import Planes, Spacing, Volume
from napari_meunet.words import spacing_in_words

KEPT_SHARE = 1 / 4
"""Of the memory that is free, for all reduced scans and labels; what is more is
computed whenever a part of it is looked at."""

DETAILS = (2, 3)
"""Labels along each axis of a large voxel, at most these: what is finer does not show
in its grey value."""

MOST_LABELS = 2**26
"""In a patch that is cut out; some wait in memory while a step is computed."""

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
    config
        Of the training: whether it learns from labels finer than its voxels, and how
        many processes share the memory.

    Attributes
    ----------
    voxel_size
        What the new model should see other scans at; None if it is every voxel.
    remarks
        What has become of the scans.
    """

    def __init__(
        self,
        voxel_size: float | None,
        initial: Card | None,
        config: TrainingConfig,
    ) -> None:
        before = initial.voxel_size if initial else None
        self.voxel_size = voxel_size or before
        self.remarks: list[str] = []
        self._initial = initial
        self._config = config
        self._room = KEPT_SHARE * free_on_host() / config.n_devices

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
        known = list(starmap(_with_spacing, pairs))
        return [self._reduced(*pair, self._factors(pair), 1) for pair in known]

    def to_learn_from(
        self, pairs: Sequence[tuple[Scan, Volume]]
    ) -> list[tuple[Scan, Volume]]:
        """Return scans with larger voxels, and labels that are finer if they can be.

        Those have 2 x 2 x 2 or 3 x 3 x 3 labels in every voxel of the scan, alike for
        all scans. Without finer ones, thin things would be outvoted, and surfaces lie
        on the faces of large voxels, where the engine draws them in between.

        Raises
        ------
        MeUNetError
            As `reduced`.
        """
        known = list(starmap(_with_spacing, pairs))
        factors = [self._factors(pair) for pair in known]
        has_images = all(image for image, _ in known)
        detail = _detail(factors, self._config) if has_images else 1
        return [
            self._reduced(*pair, each, detail)
            for pair, each in zip(known, factors, strict=True)
        ]

    def _reduced(
        self, image: Scan, labels: Volume, factors: Shape, detail: int
    ) -> tuple[Scan, Volume]:
        if factors == (1, 1, 1):
            return image, labels
        if image:  # first, as it is looked at more often
            image = self._kept(reduced(image, factors))
        coarse = reduced(labels, factors)
        self._tell(factors, coarse)
        if detail == 1:
            planes = ReducedLabels(labels.planes, factors)
            return image, self._kept(replace(coarse, planes=planes))
        fine = DetailedLabels(labels.planes, factors, detail)
        volume = replace(coarse, planes=fine, spacing=_finer(coarse, detail))
        return image, self._kept(volume) if fine.is_computed else volume

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


def _with_spacing(image: Scan, labels: Volume) -> tuple[Scan, Volume]:
    """Let the labels say how large the voxels of a scan are, if it does not."""
    if image:
        require_same_shape(image, labels)
    if image and image.spacing is None:
        image = replace(image, spacing=labels.spacing)
    return image, labels


def _detail(factors: Sequence[Shape], config: TrainingConfig) -> int:
    """Return how many labels there can be along each axis of every large voxel."""
    if not learns_detail(config):
        return 1
    edge = Augmentation.of(config).drawn_size(config.expanded_size)
    for detail in DETAILS:
        fits = all(n % detail == 0 for each in factors for n in each)
        if fits and (detail * edge) ** 3 <= MOST_LABELS:
            return detail
    return 1


def _finer(coarse: Volume, detail: int) -> Spacing | None:
    if coarse.spacing is None:
        return None
    z, y, x = (size / detail for size in coarse.spacing.zyx)
    return Spacing((z, y, x), coarse.spacing.origin)


class DetailedLabels:
    """Labels of which some lie in every large voxel, along each axis as many, uint8.

    What a large voxel at the end of the scan has beyond it has the label of the last
    voxel.

    Parameters
    ----------
    planes
        All labels ``(z, y, x)``.
    factors
        Of them in a large voxel, along (z, y, x): multiples of `detail`.
    detail
        Labels in a large voxel, along each axis.

    Attributes
    ----------
    is_computed
        Whether they are not just those of the scan.
    """

    def __init__(self, planes: Planes, factors: Shape, detail: int) -> None:
        z, y, x = (n // detail for n in factors)
        self.is_computed = (z, y, x) != (1, 1, 1)
        self._planes = ReducedLabels(planes, (z, y, x)) if self.is_computed else planes
        n_z, n_y, n_x = planes.shape
        self._shape = tuple(detail * n for n in reduced_shape((n_z, n_y, n_x), factors))

    @property
    def shape(self) -> tuple[int, ...]:
        """Labels along (z, y, x)."""
        return self._shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Data type of the labels."""
        return np.dtype(np.uint8)

    def __getitem__(self, index: Any, /) -> NDArray[Any]:
        """Read a part, addressed by slices of step 1, or by the number of a plane."""
        parts = index if isinstance(index, tuple) else (index,)
        parts = parts + (slice(None),) * (3 - len(parts))
        places = [
            np.minimum(np.atleast_1d(np.arange(size)[part]), n - 1)
            for part, size, n in zip(
                parts, self._shape, self._planes.shape, strict=True
            )
        ]
        ints = tuple(i for i, part in enumerate(parts) if not isinstance(part, slice))
        if not all(place.size for place in places):
            return np.empty([place.size for place in places], np.uint8).squeeze(ints)
        block = self._planes[tuple(slice(p[0], p[-1] + 1) for p in places)]
        block = checked(np.asarray(block))
        for axis, place in enumerate(places):
            if block.shape[axis] != place.size:  # it reaches beyond the end
                block = block.take(place - place[0], axis)
        return block.squeeze(ints)


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
