"""The exact executor: planes streamed through the cascade, column by column."""

from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass

import torch

from napari_meunet.inference.images import Images
from napari_meunet.inference.pipeline import READ_AHEAD, overlapped
from napari_meunet.inference.streaming.folded import FoldedCascade
from napari_meunet.inference.streaming.schedule import ALIGNMENT, BLOCK, Schedule
from napari_meunet.inference.streaming.stream import CascadeStream, Domain, Labelled
from napari_meunet.inference.tiles import Block, Column, aligned


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
        start = self._start(first)
        stream = CascadeStream(
            self.schedule,
            self.weights,
            Domain(aligned(depth), column.section, start, self.slab, self.band),
        )
        starts = range(start, depth + self.schedule.delay, self.slab)
        boxes = [((plane, plane + self.slab), *column.read) for plane in starts]
        with closing(overlapped(self.images.read, boxes, READ_AHEAD)) as parts:
            for box, voxels in zip(boxes, parts, strict=True):
                plane = stream.plane
                with torch.inference_mode():
                    image = self.images.image(voxels, box, self.weights)
                    labelled = stream.push(image)
                yield _block(labelled, plane, column, (first, depth))

    def _start(self, first: int) -> int:
        """Return the plane to start at so that labels from `first` on are as ever.

        All that they depend on passes through the stream again, and in the same slabs:
        kernels may round differently at another place of a slab.
        """
        needed = first // ALIGNMENT * ALIGNMENT - self.schedule.reach()
        return max(needed // self.slab * self.slab, 0)


def _block(
    labelled: Labelled, plane: int, column: Column, wanted: tuple[int, int]
) -> Block:
    """Return the planes `wanted` and the core of a column from a push.

    Both that begins at `plane` and the column begin with a whole block of confidence.
    """
    first = max(plane, wanted[0])
    last = max(min(wanted[1], plane + len(labelled.labels)), first)
    spans = (first, last), *column.core
    origin = plane, *(start for start, _ in column.read)
    moved = [(a - o, b - o) for (a, b), o in zip(spans, origin, strict=True)]
    core = labelled.labels[tuple(slice(a, b) for a, b in moved)]
    blocks = labelled.confidence[
        tuple(slice(a // BLOCK, -(-b // BLOCK)) for a, b in moved)
    ]
    return Block(
        (first, column.core[0][0], column.core[1][0]),
        core.contiguous().cpu().numpy(),
        (blocks * 255).round_().to(torch.uint8).cpu().numpy(),
    )
