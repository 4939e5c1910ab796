"""A scan with larger voxels, each made from a block of the scan's own."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from napari_meunet.config import Shape
from napari_meunet.volume.volume import Planes, Source, Spacing, Volume, kept_bytes


def reduced(volume: Volume, factors: Shape) -> Volume:
    """Return a scan at a lower resolution, computed where it is read.

    Parameters
    ----------
    volume
        The scan.
    factors
        Voxels of the scan in one of the result along (z, y, x), positive.

    Returns
    -------
    Volume
        The means of blocks. It shares with the scan what is found out about
        it, so that this need not be found out again. Or the scan itself, if a block is
        one voxel.
    """
    if factors == (1, 1, 1):
        return volume
    planes = ReducedPlanes(volume.planes, factors)
    z, y, x = planes.shape
    n_bytes = z * y * x * planes.dtype.itemsize
    source = Source(volume.source.path, volume.source.format, n_bytes)
    known = volume.known.setdefault(f"reduced {factors}", {})
    spacing = volume.spacing and _larger(volume.spacing, factors)
    return Volume(planes, spacing, source, (1, y, x), known=known)


def reduced_shape(shape: Shape, factors: Shape) -> Shape:
    """Return how many blocks there are; one that the volume does not fill counts."""
    z, y, x = (-(-size // n) for size, n in zip(shape, factors, strict=True))
    return z, y, x


def _larger(spacing: Spacing, factors: Shape) -> Spacing:
    z, y, x = (size * n for size, n in zip(spacing.zyx, factors, strict=True))
    return Spacing((z, y, x), spacing.origin)


@dataclass(frozen=True)
class ReducedPlanes:
    """A volume at a lower resolution, computed from the planes that are indexed.

    A voxel is the mean of its block, in the data type of the volume, integers rounded:
    noise is larger than what rounding takes.

    Attributes
    ----------
    planes
        The full volume ``(z, y, x)``.
    factors
        Voxels of the full volume in one, along (z, y, x).
    """

    planes: Planes
    factors: Shape

    read_at_once: ClassVar[int] = 2**24
    """Bytes of the full volume that are read at once, if that is a block or more: some
    formats are decoded by several threads, or in chunks."""

    @property
    def shape(self) -> Shape:
        """Voxels along (z, y, x); a block that the volume does not fill counts."""
        z, y, x = self.planes.shape
        return reduced_shape((z, y, x), self.factors)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Data type of the voxels."""
        return self.planes.dtype

    def kept_bytes(self, section: tuple[int, int]) -> int:
        """Return the memory that reading plane after plane takes beside the planes.

        Parameters
        ----------
        section
            Voxels along (y, x) that are read of each plane.
        """
        by_z, by_y, by_x = self.factors
        full = section[0] * by_y, section[1] * by_x
        plane = full[0] * full[1] * self.planes.dtype.itemsize
        read = max(by_z * plane, min(self.read_at_once, self.planes.shape[0] * plane))
        sums = 4 * 8 * section[0] * section[1]
        return read + sums + kept_bytes(self.planes, full)

    def __getitem__(self, index: Any, /) -> NDArray[Any]:
        """Read and reduce a part."""
        parts = index if isinstance(index, tuple) else (index,)
        parts = parts + (slice(None),) * (3 - len(parts))
        wanted = [
            np.arange(size)[part] for size, part in zip(self.shape, parts, strict=True)
        ]
        reduced = self._reduced(*(axis.ravel() for axis in wanted))
        return reduced.reshape([size for axis in wanted for size in axis.shape])

    def _reduced(
        self, z: NDArray[np.intp], y: NDArray[np.intp], x: NDArray[np.intp]
    ) -> NDArray[Any]:
        """Return the voxels where the planes z, rows y and columns x meet."""
        reduced = np.empty((z.size, y.size, x.size), self.dtype)
        if reduced.size == 0:
            return reduced
        _, by_y, by_x = self.factors
        rows = slice(y.min() * by_y, (y.max() + 1) * by_y)
        columns = slice(x.min() * by_x, (x.max() + 1) * by_x)
        places = np.ix_(y - y.min(), x - x.min())
        for i, part in enumerate(self._parts(z.tolist(), rows, columns)):
            reduced[i] = self.summary(part, (by_y, by_x))[places]
        return reduced

    def _parts(
        self, z: list[int], rows: slice, columns: slice
    ) -> Iterator[NDArray[Any]]:
        """Yield what the planes z are made from, ``(k, y, x)``, read some at a time."""
        block = self.factors[0] * (rows.stop - rows.start)
        block *= (columns.stop - columns.start) * self.planes.dtype.itemsize
        n = max(self.read_at_once // block, 1)
        for start in range(0, len(z), n):
            wanted = [self.planes_of(plane) for plane in z[start : start + n]]
            first, last = wanted[0].start, wanted[-1].stop
            read = self.planes[first:last, rows, columns]
            for planes in wanted:
                yield read[planes.start - first : planes.stop - first]

    def planes_of(self, plane: int) -> slice:
        """Return the planes of the full volume that a plane is made from."""
        by_z, n_planes = self.factors[0], self.planes.shape[0]
        return slice(plane * by_z, min((plane + 1) * by_z, n_planes))

    def summary(self, part: NDArray[Any], factors: tuple[int, int]) -> NDArray[Any]:
        """Return one voxel for every block of a part.

        Parameters
        ----------
        part
            All planes of the full volume ``(k, y, x)`` that become one; it begins with
            whole blocks.
        factors
            Voxels of a block along (y, x).
        """
        means = _means_of_blocks(part, factors)
        return np.rint(means) if self.dtype.kind in "ui" else means


def _means_of_blocks(
    planes: NDArray[Any], factors: tuple[int, int]
) -> NDArray[np.float64]:
    """Return the means of all planes ``(k, y, x)``, square by square of `factors`.

    Squares that stick out at the end are means of the voxels there are, and those with
    NaN or infinite voxels of the others; NaN if there are no others.
    """
    _, y, x = planes.shape
    if planes.dtype.kind == "f" and not (known := np.isfinite(planes)).all():
        sums = _sums(np.where(known, planes, 0), factors)
        with np.errstate(invalid="ignore"):
            return sums / _sums(known, factors)
    rows, columns = (
        np.diff(np.arange(0, size, by), append=size)
        for size, by in zip((y, x), factors, strict=True)
    )
    means: NDArray[np.float64] = _sums(planes, factors) / np.outer(
        rows * len(planes), columns
    )
    return means


def _sums(planes: NDArray[Any], factors: tuple[int, int]) -> NDArray[np.float64]:
    by_y, by_x = factors
    k, y, x = planes.shape
    sums = np.zeros((-(-y // by_y), -(-x // by_x)))
    # One addition for each place in a block: several times faster than a mean.
    for plane, i, j in np.ndindex(k, by_y, by_x):
        places = planes[plane, i::by_y, j::by_x]
        sums[: places.shape[0], : places.shape[1]] += places
    return sums
