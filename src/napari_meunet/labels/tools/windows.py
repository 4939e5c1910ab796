"""Labels slab by slab with what lies around, as they were before any was changed."""

from collections.abc import Iterator
from itertools import product
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_meunet.config import Shape
from napari_meunet.labels.box import Box, chunks, within
from napari_meunet.labels.tools.canvas import Canvas

TILE = 256
"""Voxels along y and x that are worked on at once."""


class Window(NamedTuple):
    """A part of a canvas, and its surroundings.

    Attributes
    ----------
    box
        The part; all of them together are the box of the canvas.
    around
        The part and `reach` voxels around it, as far as the volume goes.
    labels
        Those of `around`, uint8 ``(z, y, x)``, as they were at first.
    """

    box: Box
    around: Box
    labels: NDArray[np.uint8]

    @property
    def inside(self) -> Box:
        """Where the part lies in `labels`."""
        return within(self.around, self.box)


def windows(canvas: Canvas, reach: Shape, n_planes: int) -> Iterator[list[Window]]:
    """Yield the windows of slab after slab of a canvas.

    What was read once is kept as long as it is in reach, so that writing into the
    slabs that have come changes nothing in those that come.

    Parameters
    ----------
    canvas
        What is read.
    reach
        Voxels around a part that matter for it, along (z, y, x).
    n_planes
        Of a slab.
    """
    planes, by_z = canvas.box[0], reach[0]
    _, rows, columns = grown(canvas.box, reach, canvas.shape)
    end = max(0, planes.start - by_z)  # of what has been read
    known: NDArray[np.uint8] | None = None
    for z in chunks(planes, n_planes):
        first, last = max(0, z.start - by_z), min(z.stop + by_z, canvas.shape[0])
        new = canvas.read((slice(end, last), rows, columns))
        if known is not None:
            kept = known[first - end :] if first < end else known[:0]
            new = np.concatenate((kept, new))
        known, end = new, last
        slab = slice(first, last), rows, columns
        tiles = product(*(chunks(side, TILE) for side in canvas.box[1:]))
        parts = [(z, y, x) for y, x in tiles]
        arounds = [grown(part, reach, canvas.shape) for part in parts]
        yield [
            Window(part, around, known[within(slab, around)])
            for part, around in zip(parts, arounds, strict=True)
        ]


def grown(box: Box, reach: Shape, shape: Shape) -> Box:
    """Return a box with `reach` voxels around it, as far as a volume goes."""
    z, y, x = (
        slice(max(0, part.start - by), min(part.stop + by, n))
        for part, by, n in zip(box, reach, shape, strict=True)
    )
    return z, y, x
