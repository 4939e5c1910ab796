"""Boxes of voxels: what an index of an array ``(z, y, x)`` stands for."""

import operator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_meunet.config import Shape

Box = tuple[slice, slice, slice]
"""Consecutive voxels along (z, y, x); start and stop are given, the step is 1."""


def box_at(start: Shape, extent: tuple[int, ...]) -> Box:
    """Return the box of `extent` voxels whose first corner is `start`."""
    z, y, x = (slice(first, first + n) for first, n in zip(start, extent, strict=True))
    return z, y, x


def extent(box: Box) -> Shape:
    """Return the voxels of a box along (z, y, x)."""
    z, y, x = (part.stop - part.start for part in box)
    return z, y, x


def contains(outer: Box, inner: Box) -> bool:
    """Tell whether `inner` lies within `outer`."""
    return all(
        a.start <= b.start and b.stop <= a.stop
        for a, b in zip(outer, inner, strict=True)
    )


def intersection(a: Box, b: Box) -> Box | None:
    """Return the voxels that two boxes share, None if they share none."""
    z, y, x = (
        slice(max(p.start, q.start), min(p.stop, q.stop))
        for p, q in zip(a, b, strict=True)
    )
    empty = any(part.start >= part.stop for part in (z, y, x))
    return None if empty else (z, y, x)


def hull(a: Box, b: Box) -> Box:
    """Return the smallest box around two boxes."""
    z, y, x = (
        slice(min(p.start, q.start), max(p.stop, q.stop))
        for p, q in zip(a, b, strict=True)
    )
    return z, y, x


def within(outer: Box, inner: Box) -> Box:
    """Return `inner` as an index of the array that holds `outer`."""
    z, y, x = (
        slice(b.start - a.start, b.stop - a.start)
        for a, b in zip(outer, inner, strict=True)
    )
    return z, y, x


def placed(outer: Box, part: Box) -> Box:
    """Return where a part of the array that holds `outer` lies: undoes `within`."""
    z, y, x = (
        slice(a.start + b.start, a.start + b.stop)
        for a, b in zip(outer, part, strict=True)
    )
    return z, y, x


def planes_of(box: Box, axis: int, planes: slice) -> Box:
    """Return consecutive planes of a box across an axis."""
    parts = list(box)
    parts[axis] = planes
    z, y, x = parts
    return z, y, x


def chunks(whole: slice, n: int) -> list[slice]:
    """Cut consecutive voxels into pieces of `n`, the last one perhaps shorter."""
    starts = range(whole.start, whole.stop, n)
    return [slice(start, min(start + n, whole.stop)) for start in starts]


def mask_box(mask: NDArray[np.bool]) -> Box:
    """Return the smallest box around the voxels of a mask ``(z, y, x)``; some are."""
    lines = (np.flatnonzero(mask.any(axes)) for axes in ((1, 2), (0, 2), (0, 1)))
    z, y, x = (slice(int(line[0]), int(line[-1]) + 1) for line in lines)
    return z, y, x


def cubes_reached(box: Box, edge: int) -> Box:
    """Return which cubes of `edge` voxels reach into a box."""
    z, y, x = (slice(part.start // edge, -(-part.stop // edge)) for part in box)
    return z, y, x


def spread(cubes: NDArray[Any], edge: int, box: Box) -> NDArray[Any]:
    """Return what cubes of `edge` voxels ``(z, y, x)`` hold, for voxels of a box."""
    places = (np.arange(part.start, part.stop) // edge for part in box)
    found: NDArray[Any] = cubes[np.ix_(*places)]
    return found


def indexed_box(index: object, shape: Shape) -> Box | None:
    """Return the box that NumPy's basic indexing addresses in an array of `shape`.

    An integer counts as one voxel. None if the index is not made of integers, one
    Ellipsis and slices of step 1.

    Raises
    ------
    IndexError
        If an integer lies outside of its axis.
    """
    parts = list(index) if isinstance(index, tuple) else [index]
    if any(part is Ellipsis for part in parts):
        place = next(i for i, part in enumerate(parts) if part is Ellipsis)
        missing = len(shape) - len(parts) + 1
        parts[place : place + 1] = [slice(None)] * missing
    parts += [slice(None)] * (len(shape) - len(parts))
    if len(parts) != len(shape):
        return None
    spans = [_span(part, n) for part, n in zip(parts, shape, strict=True)]
    z, y, x = spans
    if z is None or y is None or x is None:
        return None
    return z, y, x


def points_box(points: tuple[NDArray[np.integer], ...]) -> Box:
    """Return the smallest box around points, one index array for each of (z, y, x)."""
    z, y, x = (slice(int(axis.min()), int(axis.max()) + 1) for axis in points)
    return z, y, x


def _span(part: object, n: int) -> slice | None:
    """Return the voxels that `part` addresses on an axis of `n`, if consecutive."""
    if isinstance(part, slice):
        start, stop, step = part.indices(n)
        return slice(start, max(start, stop)) if step == 1 else None
    if isinstance(part, bool | np.bool) or not isinstance(part, int | np.integer):
        return None
    at = operator.index(part)
    if not -n <= at < n:
        raise IndexError(f"index must lie within an axis of {n} voxels, got {at}")
    return slice(at % n, at % n + 1)
