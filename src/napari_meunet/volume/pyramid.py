"""Lower resolutions of a volume, for viewers, computed when they are looked at."""

from dataclasses import dataclass
from typing import ClassVar

import dask.array as da

from napari_meunet.config import Shape
from napari_meunet.volume.formats.planes import plane_chunks
from napari_meunet.volume.reduced import ReducedPlanes, reduced_shape
from napari_meunet.volume.volume import Volume

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
        planes = MiddlePlanes(base.planes, factors)
        z, y, x = planes.shape
        level = Volume.from_array(planes, chunks=(min(depth, z), y, x))
        levels.append(level.data)
    return levels


def coarsest_factors(shape: Shape) -> Shape:
    """Return how many voxels, along (z, y, x), are one at the lowest level."""
    factors = (1, 1, 1)
    while max(reduced_shape(shape, factors)) > LARGEST_AXIS:
        factors = _doubled(factors, shape)
    return factors


def _doubled(factors: Shape, shape: Shape) -> Shape:
    z, y, x = (
        2 * factor if size >= 2 * factor * SHORTEST_AXIS else factor
        for factor, size in zip(factors, shape, strict=True)
    )
    return z, y, x


@dataclass(frozen=True)
class MiddlePlanes(ReducedPlanes):
    """A lower resolution of which a plane takes no more than a plane to read.

    A voxel is the mean of the middle plane of its block.
    """

    read_at_once: ClassVar[int] = 0

    def planes_of(self, plane: int) -> slice:
        """Return the middle plane of a block."""
        by_z, n_planes = self.factors[0], self.planes.shape[0]
        middle = min(plane * by_z + by_z // 2, n_planes - 1)
        return slice(middle, middle + 1)
