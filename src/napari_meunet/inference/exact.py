"""The exact executor: planes streamed through the cascade, column by column."""

from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass

import numpy as np
import torch

from napari_meunet.config import Shape
from napari_meunet.inference.images import Images
from napari_meunet.inference.pipeline import READ_AHEAD, overlapped
from napari_meunet.inference.streaming.folded import FoldedCascade
from napari_meunet.inference.streaming.schedule import ALIGNMENT, BLOCK, Schedule
from napari_meunet.inference.streaming.stream import CascadeStream, Domain, Labelled
from napari_meunet.inference.tiles import Block, Box, Column, Span, aligned

SURE = 255
"""Confidence of 1; also of air, of which the network is not asked."""


@dataclass(frozen=True)
class ExactExecutor:
    """Labels a volume as the network would that sees all of it at once.

    Attributes
    ----------
    images
        The volume.
    schedule, weights
        The cascade.
    slab, band
        See `napari_meunet.inference.streaming.stream.Domain`.
    """

    images: Images
    schedule: Schedule
    weights: FoldedCascade
    slab: int
    band: int

    def blocks(self, column: Column, first: int) -> Generator[Block, None, None]:
        """Return the labels of `column` from plane `first` on, block by block.

        While the stream fills, blocks hold no planes: the caller may stop there too.
        """
        depth = self.images.volume.shape[0]
        top, bottom = self.images.planes or (0, depth)
        for planes in self._slabs(first, top):
            yield _air(planes, column)
        if first < bottom:
            with closing(self._streamed(column, (top, bottom), first)) as blocks:
                yield from blocks
        for planes in self._slabs(max(first, bottom), depth):
            yield _air(planes, column)

    def _streamed(
        self, column: Column, planes: Span, first: int
    ) -> Generator[Block, None, None]:
        """Return the labels of those `planes` that do not come before `first`."""
        top, bottom = planes
        depth, start = aligned(bottom - top), self._start(first - top)
        domain = Domain(depth, column.section, start, self.slab, self.band)
        stream = CascadeStream(self.schedule, self.weights, domain)
        starts = range(top + start, bottom + self.schedule.delay, self.slab)
        boxes = [((plane, plane + self.slab), *column.read) for plane in starts]
        with closing(overlapped(self.images.read, boxes, READ_AHEAD)) as parts:
            for box, voxels in zip(boxes, parts, strict=True):
                plane = top + stream.plane
                with torch.inference_mode():
                    image = self.images.image(voxels, box, self.weights)
                    labelled = stream.push(image)
                yield _block(labelled, plane, column, (max(first, top), bottom))

    def _slabs(self, first: int, last: int) -> Iterator[Span]:
        for plane in range(first, last, self.slab):
            yield plane, min(plane + self.slab, last)

    def _start(self, first: int) -> int:
        """Return the plane to start at so that labels from `first` on are as ever.

        All that they depend on passes through the stream again, and in the same slabs:
        kernels may round differently at another place of a slab.
        """
        needed = first // ALIGNMENT * ALIGNMENT - self.schedule.reach()
        return max(needed // self.slab * self.slab, 0)


def _block(labelled: Labelled, plane: int, column: Column, wanted: Span) -> Block:
    """Return the planes `wanted` and the core of a column from a push.

    The push, which begins at `plane`, and what is read of a column begin with whole
    blocks of confidence.
    """
    planes = max(plane, wanted[0]), min(plane + len(labelled.labels), wanted[1])
    if planes[0] >= planes[1]:
        return Block((planes[0], 0, 0), np.empty((0, 0, 0), np.uint8))
    block = _air(planes, column)
    rows, columns = map(_common, column.core, column.read)
    (top, _), (left, _) = column.read
    known, pushed = (planes, rows, columns), (plane, top, left)
    sure = (labelled.confidence * SURE).round_()
    for edge, made, there in (
        (1, labelled.labels, block.labels),
        (BLOCK, sure, block.confidence),
    ):
        target = torch.from_numpy(there[_places(known, block.start, edge)])
        target.copy_(made[_places(known, pushed, edge)])
    return block


def _air(planes: Span, column: Column) -> Block:
    """Return planes of a column of which the network is not asked."""
    box = planes, *column.core
    z, y, x = (first for first, _ in box)
    labels, blocks = (
        [-(-last // edge) - first // edge for first, last in box] for edge in (1, BLOCK)
    )
    return Block((z, y, x), np.zeros(labels, np.uint8), np.full(blocks, SURE, np.uint8))


def _places(box: Box, origin: Shape, edge: int) -> tuple[slice, slice, slice]:
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
