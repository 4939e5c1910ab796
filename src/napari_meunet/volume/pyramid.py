"""Lower resolutions of a volume, for viewers, computed when they are looked at."""

from dataclasses import dataclass
from typing import Any

import dask.array as da
import numpy as np
from numpy.typing import NDArray

from napari_meunet.config import Shape
from napari_meunet.volume.formats.planes import plane_chunks
from napari_meunet.volume.volume import Planes, Volume

LARGEST_AXIS = 512
"""No axis of the lowest level is longer: napari shows that level in 3-D."""

SHORTEST_AXIS = 64
"""No axis is halved below this, so that a thin scan keeps its depth."""


def pyramid(volume: Volume) -> list[da.Array]:
    """Return the volume and its lower resolutions ``(z, y, x)``, finest first.

    Each level halves the axes of the one before. A voxel is the mean of a square of
    the full volume along y and x, taken from the middle plane of its block along z:
    to step through planes at any level thus reads one plane of the file a step, and
    a volume in 3-D only the planes that are shown. Integers are rounded.

    Nothing is read or computed here. A volume with no axis longer than
    `LARGEST_AXIS` has one level. Levels that the file holds are kept, and continued
    if the last one is still longer.
    """
    stored: list[Volume] = [volume, *volume.lower]
    base = stored[-1]
    levels = [level.data for level in stored]
    factors = (1, 1, 1)
    # A block reads as many full planes as it has planes, so that these set its depth.
    depth = plane_chunks(base.shape, base.dtype)[0]
    while max(levels[-1].shape) > LARGEST_AXIS:
        factors = _doubled(factors, base.shape)
        planes = ReducedPlanes(base.planes, factors)
        z, y, x = planes.shape
        level = Volume.from_array(planes, chunks=(min(depth, z), y, x))
        levels.append(level.data)
    return levels


def _doubled(factors: Shape, shape: Shape) -> Shape:
    z, y, x = (
        2 * factor if size >= 2 * factor * SHORTEST_AXIS else factor
        for factor, size in zip(factors, shape, strict=True)
    )
    return z, y, x


@dataclass(frozen=True)
class ReducedPlanes:
    """A volume at a lower resolution, computed from the planes that are indexed.

    Attributes
    ----------
    planes
        The full volume ``(z, y, x)``.
    factors
        Voxels of the full volume in one, along (z, y, x).
    """

    planes: Planes
    factors: Shape

    @property
    def shape(self) -> Shape:
        """Voxels along (z, y, x); a block that the volume does not fill counts."""
        z, y, x = (
            -(-size // factor)
            for size, factor in zip(self.planes.shape, self.factors, strict=True)
        )
        return z, y, x

    @property
    def dtype(self) -> np.dtype[Any]:
        """Data type of the full volume."""
        return self.planes.dtype

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
        n_planes = self.planes.shape[0]
        by_z, by_y, by_x = self.factors
        rows = slice(y.min() * by_y, (y.max() + 1) * by_y)
        columns = slice(x.min() * by_x, (x.max() + 1) * by_x)
        for i, plane in enumerate(np.minimum(z * by_z + by_z // 2, n_planes - 1)):
            part = self.planes[plane : plane + 1, rows, columns][0]
            squares = _mean_of_squares(part, (by_y, by_x))
            reduced[i] = squares[np.ix_(y - y.min(), x - x.min())]
        return reduced


def _mean_of_squares(plane: NDArray[Any], factors: tuple[int, int]) -> NDArray[Any]:
    """Return the means of the squares of a plane ``(y, x)``, integers rounded.

    Squares that stick out at the end are means of the voxels there are.
    """
    by_y, by_x = factors
    y, x = plane.shape
    sums = np.zeros((-(-y // by_y), -(-x // by_x)))
    # One addition for each place in a square: several times faster than a mean.
    for i, j in np.ndindex(by_y, by_x):
        places = plane[i::by_y, j::by_x]
        sums[: places.shape[0], : places.shape[1]] += places
    rows = np.diff(np.arange(0, y, by_y), append=y)
    columns = np.diff(np.arange(0, x, by_x), append=x)
    means = sums / np.outer(rows, columns)
    if plane.dtype.kind in "ui":
        np.rint(means, out=means)
    reduced: NDArray[Any] = means.astype(plane.dtype)
    return reduced
