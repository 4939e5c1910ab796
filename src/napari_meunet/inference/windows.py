"""The paper's executor: overlapping windows that vote, as in the authors' notebook.

Stage 1 labels windows of 240 voxels at step 120 (github.com/Virgil3706/
Memory-efficient-U-net, cells 53-65). Each window votes for the class it gives a voxel,
with weight 2 in the central half of all three axes and 1 elsewhere; the class with the
most votes wins, the lowest of equals. The notebook keeps the votes of the whole volume;
here they are kept as long as a window may add to them.
"""

from collections.abc import Generator
from dataclasses import dataclass
from itertools import product

import numpy as np
import torch
from numpy.typing import NDArray

from napari_meunet.config import Shape
from napari_meunet.inference.images import Images, Voxels
from napari_meunet.inference.streaming.domain import Domain
from napari_meunet.inference.streaming.folded import FoldedCascade
from napari_meunet.inference.streaming.schedule import Schedule
from napari_meunet.inference.streaming.stream import CascadeStream
from napari_meunet.inference.tiles import (
    PAPER_STEP,
    PAPER_WINDOW,
    Block,
    Box,
    Column,
    Tiling,
)


@dataclass(frozen=True)
class PaperExecutor:
    """Labels a volume by the votes of overlapping windows.

    Attributes
    ----------
    images
        The volume.
    schedule
        Of stage 1 alone.
    weights
        Of the cascade.
    slab, band
        See `napari_meunet.inference.streaming.domain.Domain`; `slab` divides `window`.
    window, step
        Edge of a window, a multiple of 16, and its step, half of that.
    """

    images: Images
    schedule: Schedule
    weights: FoldedCascade
    slab: int
    band: int
    window: int = PAPER_WINDOW
    step: int = PAPER_STEP

    def blocks(self, column: Column, first: int) -> Generator[Block, None, None]:
        """Return the labels from plane `first` on, block by block.

        A block without planes comes after every window: the caller may stop there too.
        `column` is the whole section; windows need no other cut.
        """
        depth, height, width = self.images.volume.shape
        tiling_z, *tilings = (
            Tiling(size, self.window, self.step) for size in (depth, height, width)
        )
        votes = Votes(self.schedule.n_classes, (self.window, height, width))
        for z in tiling_z.starts():
            if z + self.window <= first:
                continue  # the votes on plane `first` begin with a later row
            row = self.images.read(((z, z + self.window), (0, height), (0, width)))
            for y, x in product(*(tiling.starts() for tiling in tilings)):
                votes.add(self._labelled((z, y, x), row), y, x)
                yield Block((first, 0, 0), np.empty((0, height, width), np.uint8))
            final = self.window if z == tiling_z.starts()[-1] else self.step
            start, stop = max(first, z, 0), min(z + final, depth)
            yield Block((start, 0, 0), votes.winners(range(start - z, stop - z)))
            votes.advance(self.step)
            del row  # before the next one is read

    def _labelled(self, corner: Shape, row: Voxels) -> NDArray[np.uint8]:
        """Return the labels of the window at `corner`; `row` holds its planes."""
        z, y, x = corner
        size = self.window
        domain = Domain(size, (size, size), 0, self.slab, self.band)
        stream = CascadeStream(self.schedule, (self.weights,), domain)
        labels = np.empty((size, size, size), np.uint8)
        for start in range(0, size + self.schedule.delay, self.slab):
            box = (z + start, z + start + self.slab), (y, y + size), (x, x + size)
            plane = stream.plane
            with torch.inference_mode():
                image = self.images.image(self._part(row, box, z), box, self.weights)
                made = stream.push(image).labels.cpu().numpy()
            known = slice(max(plane, 0), max(plane + self.slab, 0))
            labels[known] = made[known.start - plane :][: size - known.start]
        return labels

    def _part(self, row: Voxels, box: Box, z: int) -> Voxels:
        """Return the voxels of `box` from `row`, the planes of the windows at `z`.

        After a window's last plane there are none: it is a volume of its own.
        """
        (start, stop), rows, columns = self.images.inside(box)
        origin = max(z, 0)
        return row[start - origin : stop - origin, slice(*rows), slice(*columns)]


class Votes:
    """Votes on the planes that windows may still add to.

    At half a window's step a voxel has 9 at most: eight windows hold it, and one of
    them in its centre.

    Parameters
    ----------
    n_classes
        Classes.
    shape
        Planes of a window, and voxels of the section along (y, x).
    """

    def __init__(self, n_classes: int, shape: Shape) -> None:
        self._counts = np.zeros((n_classes, *shape), np.uint8)

    def add(self, labels: NDArray[np.uint8], y: int, x: int) -> None:
        """Add the votes of a window ``(size, size, size)`` whose rows begin at (y, x).

        It may reach beyond the section.
        """
        size = len(labels)
        for margin in (0, size // 4):  # once everywhere, once more in the central half
            planes = slice(margin, size - margin)
            rows = slice(max(y + margin, 0), y + size - margin)
            columns = slice(max(x + margin, 0), x + size - margin)
            counts = self._counts[:, planes, rows, columns]
            _, _, height, width = counts.shape
            top, left = rows.start - y, columns.start - x
            part = labels[planes, top : top + height, left : left + width]
            for value, count in enumerate(counts):
                count += part == value

    def winners(self, planes: range) -> NDArray[np.uint8]:
        """Return the labels of some planes; ties go to the lowest class."""
        shape = (len(planes), *self._counts.shape[2:])
        labels = np.empty(shape, np.uint8)
        for plane, label in zip(planes, labels, strict=True):
            label[:] = self._counts[:, plane].argmax(axis=0)
        return labels

    def advance(self, n: int) -> None:
        """Forget the first `n` planes and make room for as many new ones."""
        for count in self._counts:
            count[:-n] = count[n:]
            count[-n:] = 0
