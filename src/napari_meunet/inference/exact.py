"""The exact executor: planes streamed through the cascade, column by column."""

from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass

import numpy as np
import torch

from napari_meunet.inference.images import Images
from napari_meunet.inference.pipeline import READ_AHEAD, overlapped
from napari_meunet.inference.streaming.domain import Domain
from napari_meunet.inference.streaming.enlarging import Enlargement, Enlarging
from napari_meunet.inference.streaming.folded import FoldedCascade
from napari_meunet.inference.streaming.labelling import Labelled, Labelling
from napari_meunet.inference.streaming.schedule import ALIGNMENT, BLOCK, Schedule
from napari_meunet.inference.streaming.stream import CascadeStream
from napari_meunet.inference.tiles import Block, Box, Column, Grid, Span, aligned

SURE = 255
"""Confidence of 1; also of air, of which the network is not asked."""


@dataclass(frozen=True)
class ExactExecutor:
    """Labels a volume as the network would that sees all of it at once.

    Attributes
    ----------
    images
        The volume as the network sees it.
    schedule, weights
        The cascade, or several in the mean.
    slab, band
        See `napari_meunet.inference.streaming.domain.Domain`.
    grid
        The scan that is labelled. Planes and columns of the plan are those of `images`,
        what blocks hold are voxels of the scan.
    """

    images: Images
    schedule: Schedule
    weights: tuple[FoldedCascade, ...]
    slab: int
    band: int
    grid: Grid

    def blocks(self, column: Column, first: int) -> Generator[Block, None, None]:
        """Return the labels of `column` from plane `first` on, block by block.

        While the stream fills, blocks hold no planes: the caller may stop there too.
        """
        depth = self.grid.shape[0]
        (top, bottom), *core = self.grid.full((self._planes, *column.core))
        for planes in self._slabs(first, top):
            yield _air((planes, *core))
        if first < bottom:
            with closing(self._streamed(column, max(first, top))) as blocks:
                yield from blocks
        for planes in self._slabs(max(first, bottom), depth):
            yield _air((planes, *core))

    def _streamed(self, column: Column, first: int) -> Generator[Block, None, None]:
        """Return the labels of what is looked at, from plane `first` on."""
        top, bottom = self._planes
        depth, start = aligned(bottom - top), self._start(first)
        domain = Domain(depth, column.section, start, self.slab, self.band)
        labelling = self._enlarging(column)
        stream = CascadeStream(self.schedule, self.weights, domain, labelling)
        starts = range(top + start, bottom + stream.delay, self.slab)
        boxes = [((plane, plane + self.slab), *column.read) for plane in starts]
        with closing(overlapped(self.images.read, boxes, READ_AHEAD)) as parts:
            for box, voxels in zip(boxes, parts, strict=True):
                plane = top + stream.plane
                with torch.inference_mode():
                    image = self.images.image(voxels, box, self.weights[0])
                    labelled = stream.push(image)
                for planes in self._slabs(*self._pushed(plane, column)[0]):
                    yield self._block(labelled, plane, column, planes, first)

    @property
    def _planes(self) -> Span:
        """Planes that are looked at."""
        return self.images.planes or (0, self.images.volume.shape[0])

    def _slabs(self, first: int, last: int) -> Iterator[Span]:
        for plane in range(first, last, self.slab):
            yield plane, min(plane + self.slab, last)

    def _enlarging(self, column: Column) -> Labelling | None:
        if not self.grid.is_reduced:
            return None
        z, y, x = (
            stop - start
            for start, stop in self.images.inside((self._planes, *column.read))
        )
        task = Enlargement(
            self.grid.factors,
            (z, y, x),
            self.slab,
            column.section,
            self.schedule.n_classes,
        )
        return Enlarging(task, self.weights[0].device)

    def _start(self, first: int) -> int:
        """Return the plane to start at so that labels from `first` on are as ever.

        All that they depend on passes through the stream again, and in the same slabs:
        kernels may round differently at another place of a slab.
        """
        factor = self.grid.factors[0]
        plane = first // factor - self._planes[0]
        if factor > 1:
            plane = max(plane - 1, 0)  # what lies between it and the next
        needed = plane // ALIGNMENT * ALIGNMENT - self.schedule.reach()
        return max(needed // self.slab * self.slab, 0)

    def _pushed(self, plane: int, column: Column) -> Box:
        """Return the voxels of the scan in a push that begins at `plane`.

        The push, and what is read of a column, begin with whole blocks of confidence.
        """
        return self.grid.full(((plane, plane + self.slab), *column.read))

    def _block(
        self, labelled: Labelled, plane: int, column: Column, planes: Span, first: int
    ) -> Block:
        """Return some `planes` of the core of a column from a push.

        Nothing comes before the plane `first` of the scan.
        """
        pushed = self._pushed(plane, column)
        known, *core = self.grid.full((self._planes, *column.core))
        z = _common(_common(planes, known), (first, planes[1]))
        y, x = map(_common, pushed[1:], core)
        if z[0] >= z[1]:
            return Block((z[0], 0, 0), np.empty((0, 0, 0), np.uint8))
        block, origin = _air((z, *core)), [start for start, _ in pushed]
        sure = (labelled.confidence * SURE).round_()
        for edge, made, there in (
            (1, labelled.labels, block.labels),
            (BLOCK, sure, block.confidence),
        ):
            target = torch.from_numpy(there[_places((z, y, x), block.start, edge)])
            target.copy_(made[_places((z, y, x), origin, edge)])
        return block


def _air(box: Sequence[Span]) -> Block:
    """Return voxels of which the network is not asked."""
    z, y, x = (first for first, _ in box)
    labels, blocks = (
        [-(-last // edge) - first // edge for first, last in box] for edge in (1, BLOCK)
    )
    return Block((z, y, x), np.zeros(labels, np.uint8), np.full(blocks, SURE, np.uint8))


def _places(box: Box, origin: Sequence[int], edge: int) -> tuple[slice, slice, slice]:
    """Return where `box` lies in an array of blocks, the first of which is at `origin`.

    A block is a cube of `edge` voxels.
    """
    z, y, x = (
        slice(first // edge - start // edge, -(-last // edge) - start // edge)
        for (first, last), start in zip(box, origin, strict=True)
    )
    return z, y, x


def _common(one: Span, other: Span) -> Span:
    return max(one[0], other[0]), min(one[1], other[1])
