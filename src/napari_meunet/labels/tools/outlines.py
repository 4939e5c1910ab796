"""Outlines of a label in planes, and what they become between two of them."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import center_of_mass, distance_transform_edt, label, shift

from napari_meunet.labels.tools.pieces import Mask

_CORNERS = np.ones((3, 3))
"""Voxels of a plane that share corners hang together."""


def islands_at(mask: Mask, place: Mask) -> Mask:
    """Return the islands of a mask ``(rows, columns)`` that reach a place."""
    numbers, n = label(mask, _CORNERS)
    reached = np.zeros(n + 1, bool)
    reached[numbers[mask & place]] = True
    return np.asarray(reached[numbers], bool)


class Outlines:
    """A shape in two planes, and what it is in those between.

    Signed distances from the outlines in the two planes are interpolated linearly
    [1]_; if asked, they move along the line between their centres meanwhile [2]_.

    Parameters
    ----------
    first, last
        The shape, ``(rows, columns)``; some of it in each plane.
    voxel
        Size of a voxel along (rows, columns).
    moves
        Whether the outlines move.

    References
    ----------
    .. [1] Raya and Udupa, Shape-based interpolation of multidimensional objects, IEEE
       Transactions on Medical Imaging 9(1), 1990.
    .. [2] Herman, Zheng and Bucholtz, Shape-based interpolation, IEEE Computer Graphics
       and Applications 12(3), 1992.
    """

    def __init__(
        self, first: Mask, last: Mask, voxel: Sequence[float], *, moves: bool
    ) -> None:
        self._first, self._last = _depth(first, voxel), _depth(last, voxel)
        self._path = np.zeros(2)
        if moves:
            self._path = np.subtract(center_of_mass(last), center_of_mass(first))

    def at(self, t: float) -> Mask:
        """Return the shape a fraction of the way from the first plane to the last."""
        from_first = (1 - t) * _moved(self._first, t * self._path)
        from_last = t * _moved(self._last, (t - 1) * self._path)
        return np.asarray(from_first + from_last > 0, bool)


def _depth(mask: Mask, voxel: Sequence[float]) -> NDArray[np.float64]:
    """Return how deep in a mask the middles of voxels are, negative outside."""
    if mask.all():  # there is no outline
        return np.full(mask.shape, np.dot(mask.shape, voxel))
    inside = distance_transform_edt(mask, sampling=voxel)
    outside = distance_transform_edt(~mask, sampling=voxel)
    return np.asarray(inside - outside, float)


def _moved(depth: NDArray[np.float64], by: NDArray[np.float64]) -> NDArray[np.float64]:
    if not by.any():
        return depth
    return np.asarray(shift(depth, by, order=1, mode="nearest"), float)
