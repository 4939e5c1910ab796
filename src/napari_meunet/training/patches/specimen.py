"""Scans with labels, opened lazily, from which patches are cut."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_meunet.errors import MeUNetError
from napari_meunet.network.card import IntensityRule
from napari_meunet.training.patches.sparse import IGNORE
from napari_meunet.volume.intensity import intensity_range
from napari_meunet.volume.volume import Planes, Volume

VOXELS_PER_CLASS = 4096
"""Voxels remembered of every class of a specimen to centre patches on."""


@dataclass(frozen=True)
class Specimen:
    """One scan and its labels.

    Attributes
    ----------
    image, labels
        Volumes of the same shape; labels are integers below `n_classes`, or `IGNORE`.
    intensity
        Raw values that become 0 and 1.
    voxels
        For every class that occurs, positions ``(n, 3)`` drawn uniformly from its
        voxels.
    is_sparse
        Whether some voxels are without a label.
    """

    image: Volume
    labels: Volume
    intensity: tuple[float, float]
    voxels: dict[int, NDArray[np.intp]] = field(repr=False)
    is_sparse: bool = False

    @classmethod
    def index(
        cls,
        image: Volume,
        labels: Volume,
        n_classes: int,
        rng: np.random.Generator,
    ) -> "Specimen":
        """Read the labels once, plane by plane, and remember some of each class.

        Raises
        ------
        MeUNetError
            If shapes differ, the labels are not integers, a value is not a class, or
            no voxel has a label.
        """
        if image.shape != labels.shape:
            raise MeUNetError(
                "image and labels must have the same shape, got "
                f"{image.shape} and {labels.shape}; export them from the same scan"
            )
        if labels.dtype.kind not in "ui":
            raise MeUNetError(
                f"labels must be integers, got {labels.dtype}; export them as uint8"
            )
        rule = IntensityRule()
        intensity = intensity_range(image, rule.low, rule.high)
        voxels = _sample_voxels(labels, n_classes, rng)
        is_sparse = voxels.pop(IGNORE, None) is not None
        if not voxels:
            raise MeUNetError(
                f"some voxels must have a label, got {IGNORE} (no label) everywhere; "
                "paint a few planes"
            )
        return cls(image, labels, intensity, voxels, is_sparse)

    def patch(
        self, start: NDArray[np.intp], size: int
    ) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        """Return the cube at `start`: the image scaled to [0, 1], and its labels.

        Beyond the volume lie zeros: air, and background.
        """
        low, high = self.intensity
        raw = read_box(self.image.planes, start, size)
        image = np.clip((raw.astype(np.float32) - low) / (high - low), 0, 1)
        inside = read_mask(self.image.shape, start, size)
        image = np.where(inside, np.nan_to_num(image), 0).astype(np.float32)
        return image, read_box(self.labels.planes, start, size).astype(np.uint8)


def _sample_voxels(
    labels: Volume, n_classes: int, rng: np.random.Generator
) -> dict[int, NDArray[np.intp]]:
    """Return up to `VOXELS_PER_CLASS` positions of every class, all equally likely.

    Every voxel gets a random key; the smallest keys of all planes stay.
    """
    best: dict[int, tuple[NDArray[Any], NDArray[np.intp]]] = {}
    for z in range(labels.shape[0]):
        plane = labels.read(z, z + 1)[0]
        for value in np.unique(plane):
            if not (0 <= value < n_classes or value == IGNORE):
                raise MeUNetError(
                    f"label values must be 0 to {n_classes - 1} (or {IGNORE} for no "
                    f"label), got {value} in plane {z}; name every class with --classes"
                )
            y, x = np.nonzero(plane == value)
            keys = rng.random(len(y))
            keep = _smallest(keys)
            positions = np.stack((np.full_like(y, z), y, x), axis=1)[keep]
            keys = keys[keep]
            if int(value) in best:
                old_keys, old_positions = best[int(value)]
                keys = np.concatenate((old_keys, keys))
                positions = np.concatenate((old_positions, positions))
                keep = _smallest(keys)
                keys, positions = keys[keep], positions[keep]
            best[int(value)] = keys, positions
    return {value: positions for value, (_, positions) in best.items()}


def _smallest(keys: NDArray[Any]) -> NDArray[np.intp]:
    if len(keys) <= VOXELS_PER_CLASS:
        return np.arange(len(keys))
    return np.argpartition(keys, VOXELS_PER_CLASS)[:VOXELS_PER_CLASS]


def read_box(planes: Planes, start: NDArray[np.intp], size: int) -> NDArray[Any]:
    """Return the cube at `start`, which may reach beyond the array: zeros there."""
    first = np.clip(start, 0, planes.shape)
    stop = np.clip(start + size, 0, planes.shape)
    block = np.zeros((size,) * 3, planes.dtype)
    inside = tuple(
        slice(max(a - s, 0), max(b - s, 0))
        for a, b, s in zip(first, stop, start, strict=True)
    )
    block[inside] = planes[tuple(slice(a, b) for a, b in zip(first, stop, strict=True))]
    return block


def read_mask(
    shape: tuple[int, ...], start: NDArray[np.intp], size: int
) -> NDArray[np.bool_]:
    """Return where the cube at `start` lies inside a volume of `shape`."""
    z, y, x = (
        (np.arange(s, s + size) >= 0) & (np.arange(s, s + size) < n)
        for s, n in zip(start, shape, strict=True)
    )
    return z[:, None, None] & y[:, None] & x
