"""Scans with labels, opened lazily, from which patches are cut."""

from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_meunet.config import Shape
from napari_meunet.errors import MeUNetError
from napari_meunet.network.card import IntensityRule
from napari_meunet.progress import Progress, returned
from napari_meunet.training.label_values import IGNORE
from napari_meunet.volume.intensity import intensity_range
from napari_meunet.volume.volume import Planes, Volume
from napari_meunet.words import spacing_in_words

VOXELS_PER_CLASS = 4096
"""Voxels remembered of every class of a specimen to centre patches on."""

SAME_SPACING = 0.01
"""Fraction by which the spacings of image and labels may differ: files round them."""


@dataclass(frozen=True)
class Specimen:
    """One scan and its labels, or labels whose images are made up.

    Attributes
    ----------
    image
        None if there is no scan.
    labels
        Integers below ``n_classes``, or `IGNORE`. Of the shape of the image; or finer,
        several along each axis of a voxel.
    intensity
        Raw values that become 0 and 1; None leaves raw values.
    voxels
        For every class that occurs, positions ``(n, 3)`` of voxels of the image, drawn
        uniformly from its labels.
    counts
        ``(n_classes,)`` labels of each class.
    is_sparse
        Whether some voxels are without a label.
    """

    image: Volume | None
    labels: Volume
    intensity: tuple[float, float] | None
    voxels: dict[int, NDArray[np.intp]] = field(repr=False)
    counts: NDArray[np.int64]
    is_sparse: bool = False

    @classmethod
    def index(
        cls,
        image: Volume | None,
        labels: Volume,
        n_classes: int,
        rng: np.random.Generator,
        rule: IntensityRule | None = IntensityRule(),
    ) -> "Specimen":
        """Return a specimen as `indexing` does, in one go."""
        return returned(cls.indexing(image, labels, n_classes, rng, rule))

    @classmethod
    def indexing(
        cls,
        image: Volume | None,
        labels: Volume,
        n_classes: int,
        rng: np.random.Generator,
        rule: IntensityRule | None = IntensityRule(),
    ) -> Generator[Progress, None, "Specimen"]:
        """Read the labels once, plane by plane, and remember some of each class.

        Parameters
        ----------
        image
            The scan, or None.
        labels
            Integers below `n_classes`, or `IGNORE`.
        n_classes
            The background counts.
        rng
            Chooses the voxels that are remembered.
        rule
            How intensities are scaled; None leaves raw values.

        Yields
        ------
        Progress
            Planes of the labels.

        Returns
        -------
        Specimen
            What was read.

        Raises
        ------
        MeUNetError
            If image and labels do not fit, the labels are not integers, a value is not
            a class, no voxel has a label, or raw values are not of 8 bits.
        """
        if labels.dtype.kind not in "ui":
            raise MeUNetError(
                f"labels must be integers, got {labels.dtype}; export them as uint8"
            )
        intensity = None
        if image is not None:
            _require_fitting(image, labels)
            intensity = _intensity(image, rule)
        found, counts = yield from _sample_voxels(labels, n_classes, rng)
        detail = _detail(image, labels)
        voxels = {value: places // detail for value, places in found.items()}
        is_sparse = bool(counts.sum() < np.prod(labels.shape))
        if not voxels:
            raise MeUNetError(
                f"some voxels must have a label, got {IGNORE} (no label) everywhere; "
                "paint a few planes"
            )
        return cls(image, labels, intensity, voxels, counts, is_sparse)

    @property
    def shape(self) -> Shape:
        """Voxels along (z, y, x)."""
        return self.image.shape if self.image else self.labels.shape

    @property
    def detail(self) -> int:
        """Labels along each axis of a voxel."""
        return _detail(self.image, self.labels)

    def patch(
        self, start: NDArray[np.intp], size: int
    ) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        """Return the cube at `start` with one label in each voxel, see `fine_patch`."""
        image, labels = self.fine_patch(start, size)
        middle = slice(self.detail // 2, None, self.detail)
        return image, labels[middle, middle, middle]

    def fine_patch(
        self, start: NDArray[np.intp], size: int
    ) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        """Return the cube at `start`: the image as the network sees it, and its labels.

        Beyond the volume lie zeros: air, and background. Without a scan the image is
        all zeros. The labels have an edge of `size` times `detail`.
        """
        detail = self.detail
        drawn = read_box(self.labels.planes, start * detail, size * detail)
        _require_known(drawn, len(self.counts), "what was painted meanwhile")
        labels = drawn.astype(np.uint8)
        if self.image is None:
            return np.zeros(labels.shape, np.float32), labels
        image = read_box(self.image.planes, start, size).astype(np.float32)
        if self.intensity:
            low, high = self.intensity
            image = np.clip((image - low) / (high - low), 0, 1)
        inside = read_mask(self.shape, start, size)
        return np.where(inside, np.nan_to_num(image), 0).astype(np.float32), labels


def require_same_shape(image: Volume, labels: Volume, detail: int = 1) -> None:
    """Refuse labels that are not of the image, or not so much finer."""
    if tuple(detail * n for n in image.shape) != labels.shape:
        path = labels.source.path
        of = f" of {path.name}" if path else ""
        raise MeUNetError(
            "image and labels must have the same shape, got "
            f"{image.shape} and {labels.shape}{of}; export them from the same scan"
        )


def _require_fitting(image: Volume, labels: Volume) -> None:
    """Refuse labels that are not of the image."""
    detail = _detail(image, labels)
    require_same_shape(image, labels, detail)
    if not (image.spacing and labels.spacing):
        return
    mine = image.spacing.zyx
    theirs = tuple(detail * size for size in labels.spacing.zyx)
    if not np.allclose(mine, theirs, rtol=SAME_SPACING, atol=0):
        raise MeUNetError(
            f"image and labels must have the same spacing, got {spacing_in_words(mine)}"
            f" and {spacing_in_words(theirs)}; export them from the same scan, or "
            "correct the file that is wrong"
        )


def _detail(image: Volume | None, labels: Volume) -> int:
    """Return how many labels lie along an axis of a voxel, if they fit the image."""
    return max(1, labels.shape[0] // image.shape[0]) if image else 1


def _intensity(image: Volume, rule: IntensityRule | None) -> tuple[float, float] | None:
    """Return the raw values that become 0 and 1, if intensities are scaled."""
    if rule:
        return intensity_range(image, rule.low, rule.high)
    if image.dtype != np.uint8:
        raise MeUNetError(
            f"raw grey values must be of 8 bits, got {image.dtype}; save the scan as "
            "uint8, or normalise"
        )
    return None


def _sample_voxels(
    labels: Volume, n_classes: int, rng: np.random.Generator
) -> Generator[Progress, None, tuple[dict[int, NDArray[np.intp]], NDArray[np.int64]]]:
    """Return up to `VOXELS_PER_CLASS` positions of every class, and all their numbers.

    Every voxel gets a random key; the smallest keys of all planes stay.
    """
    best: dict[int, tuple[NDArray[Any], NDArray[np.intp]]] = {}
    counts = np.zeros(n_classes, np.int64)
    for z in range(labels.shape[0]):
        plane = labels.read(z, z + 1)[0]
        _require_known(plane, n_classes, f"plane {z}")
        for value in np.unique(plane):
            if value == IGNORE:
                continue
            y, x = np.nonzero(plane == value)
            counts[value] += len(y)
            keys = rng.random(len(y))
            keep = _smallest(keys)
            keys, y, x = keys[keep], y[keep], x[keep]
            positions = np.stack((np.full_like(y, z), y, x), axis=1)
            if int(value) in best:
                old_keys, old_positions = best[int(value)]
                keys = np.concatenate((old_keys, keys))
                positions = np.concatenate((old_positions, positions))
                keep = _smallest(keys)
                keys, positions = keys[keep], positions[keep]
            best[int(value)] = keys, positions
        yield Progress(z + 1, labels.shape[0], "planes", "reading labels")
    return {value: positions for value, (_, positions) in best.items()}, counts


def _require_known(labels: NDArray[Any], n_classes: int, place: str) -> None:
    """Refuse a value that is no class."""
    known = (labels >= 0) & (labels < n_classes) | (labels == IGNORE)
    if not known.all():
        raise MeUNetError(
            f"label values must be 0 to {n_classes - 1} (or {IGNORE} for no label), "
            f"got {_listed(labels[~known])} in {place}; name every class with --classes"
        )


def _listed(values: NDArray[Any]) -> str:
    return ", ".join(map(str, np.unique(values)))


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
