"""A map of categories on a finer grid, with smooth surfaces."""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_meunet.config import Shape


@dataclass(frozen=True)
class Spline:
    """Cubic B-splines along one axis, from a coarse grid to one `factor` times finer.

    Attributes
    ----------
    low
        ``(n,)``, the first of the four coarse voxels that each fine one depends on;
        the coarse axis is padded by one voxel before and two after.
    weights
        ``(4, n)``, what each of the four contributes; they add up to one.
    """

    low: NDArray[np.intp]
    weights: NDArray[np.float32]

    def along(self, axis: int, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the values with one axis, coarse and padded, on the fine grid."""
        shape = [-1 if i == axis else 1 for i in range(values.ndim)]
        near = (values.take(self.low + k, axis) for k in range(4))
        return weighted_sum(self.weights.reshape(4, *shape), near)


def weighted_sum(
    weights: NDArray[np.float32], terms: Iterable[NDArray[np.float32]]
) -> NDArray[np.float32]:
    """Return the sum of ``weights[i] * terms[i]``, with one array of scratch space."""
    pairs = zip(weights, terms, strict=True)
    weight, term = next(pairs)
    total: NDArray[np.float32] = weight * term
    for weight, term in pairs:
        total += weight * term
    return total


def spline(n: int, factor: int) -> Spline:
    """Return the spline that gives `n` fine voxels."""
    low, offset = np.divmod(np.arange(n), factor)
    t = np.abs(offset / factor + 1 - np.arange(4)[:, None])
    near = 2 / 3 - t**2 + t**3 / 2
    far = np.clip(2 - t, 0, None) ** 3 / 6
    return Spline(low, np.where(t < 1, near, far).astype(np.float32))


def enlarge(
    coarse: NDArray[np.uint8], factor: int, shape: Shape, n_categories: int
) -> NDArray[np.uint8]:
    """Return the map on the fine grid: each voxel the likeliest category.

    The likelihood of a category is the cubic B-spline over the coarse voxels that
    hold it: it rounds corners off and keeps sheets that are one coarse voxel thick.
    A few planes are held at a time. Matrix products are avoided, so that the result
    does not depend on the number of threads.

    Parameters
    ----------
    coarse
        Categories ``(z, y, x)`` of every `factor`-th voxel of `shape`, to its end.
    """
    along_z, along_y, along_x = (spline(n, factor) for n in shape)
    categories = np.arange(n_categories, dtype=np.uint8)[:, None, None]
    planes = iter(np.pad(coarse, ((1, 2), (1, 2), (1, 2)), mode="edge"))
    window: deque[NDArray[np.float32]] = deque(maxlen=4)
    result = np.empty(shape, np.uint8)
    n_read = 0
    for z, low in enumerate(along_z.low):
        while n_read < low + 4:
            held = (next(planes) == categories).astype(np.float32)
            window.append(along_x.along(2, along_y.along(1, held)))
            n_read += 1
        likelihood = weighted_sum(along_z.weights[:, z], window)
        result[z] = likelihood.argmax(axis=0)
    return result
