"""The body of a phantom fly: where it lies in the grid and how deep a point is in it.

Body units: the half width of the grid is about 1 and its half length `HALF_LENGTH`.
Points are (s, v, w): s runs from head to tail, v from right to left, w from the
belly to the back.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from napari_meunet.config import Shape

Floats = NDArray[np.float32]
Box = tuple[slice, slice, slice]

HALF_LENGTH = 2.28
"""Length over width of a scanned fly: 1072 planes of 470 x 470 voxels."""


@dataclass(frozen=True)
class Frame:
    """An affine map from body units to the voxels of a grid.

    Attributes
    ----------
    shape
        Voxels of the grid along (z, y, x).
    matrix
        ``(3, 3)``, voxels per body unit.
    centre
        ``(3,)``, where the body's origin lies, in voxels.
    """

    shape: Shape
    matrix: NDArray[np.float64]
    centre: NDArray[np.float64]

    def voxels(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return points ``(n, 3)`` of the body in voxels (z, y, x)."""
        return points @ self.matrix.T + self.centre

    def coordinates(self) -> Floats:
        """Return ``(3, z, y, x)``: the body coordinates of every voxel."""
        inverse = np.linalg.inv(self.matrix)
        offset = -inverse @ self.centre
        z, y, x = np.ogrid[tuple(slice(n) for n in self.shape)]
        result = np.empty((3, *self.shape), np.float32)
        for out, (a, b, c), d in zip(result, inverse, offset, strict=True):
            out[:] = (a * z + d).astype(np.float32) + (b * y + c * x).astype(np.float32)
        return result

    def voxel_size(self) -> NDArray[np.float64]:
        """Return the size of a voxel along (z, y, x) in body units."""
        size: NDArray[np.float64] = 1 / np.linalg.norm(self.matrix, axis=1)
        return size

    def box(self, centre: NDArray[np.float64], radii: NDArray[np.float64]) -> Box:
        """Return the part of the grid that holds an ellipsoid or ball of the body."""
        middle = self.voxels(centre)
        reach = np.sqrt((self.matrix**2 * np.square(radii)).sum(axis=1)) + 1
        start = np.clip(np.floor(middle - reach), 0, self.shape).astype(int)
        stop = np.clip(np.ceil(middle + reach) + 1, 0, self.shape).astype(int)
        z, y, x = (slice(int(a), int(b)) for a, b in zip(start, stop, strict=True))
        return z, y, x


def place(shape: Shape, factor: int, rng: np.random.Generator) -> Frame:
    """Return the frame of a fly that lies along z with random roll, tilt and size.

    The grid takes every `factor`-th voxel of `shape` and reaches to its far end.
    """
    z, y, x = (-(-(n - 1) // factor) + 1 for n in shape)
    half = (np.array(shape) - 1) / 2 / factor
    tilt = rng.uniform(-0.04, 0.04, 2)
    roll = rng.uniform(0, 2 * np.pi)
    turn = Rotation.from_rotvec([roll, 0, 0]).as_matrix()
    lean = Rotation.from_rotvec([0, *tilt]).as_matrix()
    per_unit = half / (HALF_LENGTH, 1, 1) * rng.uniform(0.93, 1.0)
    shift = rng.uniform(-0.02, 0.02, 3) * half
    return Frame((z, y, x), per_unit[:, None] * (lean @ turn), half + shift)


@dataclass(frozen=True)
class Ellipsoid:
    """An ellipsoid along the axes of the body, in body units."""

    centre: NDArray[np.float64]
    radii: NDArray[np.float64]

    def depth(self, coordinates: Floats) -> Floats:
        """Return roughly how deep each point ``(3, ...)`` lies, negative outside."""
        square = np.zeros(coordinates.shape[1:], np.float32)
        for values, centre, radius in zip(
            coordinates, self.centre, self.radii, strict=True
        ):
            square += np.square((values - np.float32(centre)) / np.float32(radius))
        return (1 - np.sqrt(square)) * np.float32(self.radii.min())


@dataclass(frozen=True)
class Body:
    """Head, thorax, abdomen and tail, melted into one another."""

    head: Ellipsoid
    thorax: Ellipsoid
    abdomen: Ellipsoid
    tail: Ellipsoid
    cuticle: float
    """Thickness of the shell."""

    def depth(self, coordinates: Floats) -> Floats:
        """Return roughly how deep each point ``(3, ...)`` lies, negative outside."""
        sharpness = np.float32(14)
        total = np.zeros(coordinates.shape[1:], np.float32)
        for part in (self.head, self.thorax, self.abdomen, self.tail):
            total += np.exp(sharpness * part.depth(coordinates))
        depth = np.log(total) / sharpness
        s = coordinates[0]
        # Segments of the abdomen: a shallow groove every 0.36 units.
        grooves = 0.012 * np.cos(s * np.float32(2 * np.pi / 0.36))
        return np.where(s > 0, depth - grooves, depth).astype(np.float32)

    def depth_at(self, points: NDArray[np.float64]) -> Floats:
        """Return `depth` for points ``(n, 3)``."""
        return self.depth(points.T.astype(np.float32))


def grow_body(rng: np.random.Generator) -> Body:
    """Return a body of random proportions."""

    def part(s: float, length: float, width: float, height: float) -> Ellipsoid:
        stretch = rng.uniform(0.95, 1.05, 3)
        return Ellipsoid(np.array([s, 0, 0.0]), stretch * (length, width, height))

    return Body(
        head=part(-1.9, 0.36, 0.70, 0.58),
        thorax=part(-0.98, 0.82, 0.74, 0.80),
        abdomen=part(0.45, 1.2, 0.90, 0.88),
        tail=part(1.15, 1.05, 0.74, 0.70),
        cuticle=rng.uniform(0.03, 0.05),
    )
