"""Tools that flood regions from marks: split a label, snap it to edges.

Both are watersheds (Beucher and Meyer, 1993, as in scikit-image), which need all of a
region at once.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import (
    distance_transform_edt,
    find_objects,
    gaussian_gradient_magnitude,
    maximum,
)
from scipy.ndimage import label as islands_of

from napari_meunet.errors import MeUNetError
from napari_meunet.labels.box import Box, extent, intersection, placed, within
from napari_meunet.labels.journal.history import PAINT
from napari_meunet.labels.tools.canvas import Canvas
from napari_meunet.labels.tools.pieces import Mask
from napari_meunet.labels.tools.windows import grown
from napari_meunet.progress import Progress, Steps

if TYPE_CHECKING:
    from napari_meunet.volume.volume import Planes

LARGEST_REGION = 2**24
"""Voxels that are flooded at once: some 80 bytes each are taken, by count."""

TOUCHING = np.ones((3, 3, 3), bool)
"""Voxels that share a corner hang together."""

EDGE_WIDTH = 1.0
"""Standard deviation in voxels of the Gaussian before the gradient is taken."""


@dataclass(frozen=True)
class Split:
    """Divides a label among the marks that a person has painted into it.

    A mark is what a person has painted since the label was split last, where it was
    the label before. Each island with marks is divided among them where it is narrow.
    If all marks in an island are of one label, a part of it that is thick and far from
    them stays.

    Attributes
    ----------
    label
        What is divided.
    """

    label: int

    name: ClassVar[str] = "split"

    def steps(self, canvas: Canvas) -> Steps:
        """Divide island after island.

        Raises
        ------
        MeUNetError
            If the box is too large, or no island has a mark.
        """
        _require_small(canvas.box, self.name)
        labels = canvas.read(canvas.box)
        mine = labels == self.label
        marks = self._marks(canvas, labels)
        islands, n_islands = islands_of(mine | (marks > 0), TOUCHING)
        done, n_split = 0, 0
        for done, part in enumerate(find_objects(islands), start=1):
            here = islands[part] == done
            seeds = np.where(here, marks[part], 0)
            here_mine = here & mine[part]
            if seeds.any() and here_mine.any():
                before, divided = labels[part], self._divided(here, seeds, canvas)
                after = np.where(here_mine, divided, before)
                canvas.write(placed(canvas.box, part), before, after)
                n_split += 1
            yield Progress(done, n_islands, "islands")
        if not n_split:
            raise MeUNetError(
                f"to split label {self.label}, paint a mark of another label into each "
                "part that shall become that one, got none that touches it; paint one"
            )

    def _marks(self, canvas: Canvas, labels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return what was painted into the label, 0 elsewhere.

        What tools have changed is no mark, or the parts of an earlier split were.
        """
        marks = np.zeros_like(labels)
        for stroke in reversed(canvas.journal.history.done):
            if stroke.tool == self.name:
                break
            edits = canvas.journal.edits(stroke.places) if stroke.tool == PAINT else ()
            for edit in edits:
                both = intersection(canvas.box, edit.box)
                if both is not None:
                    painted = np.zeros(edit.changed.shape, bool)
                    painted[edit.changed] = edit.before == self.label
                    here = within(canvas.box, both)
                    inside = painted[within(edit.box, both)]
                    marks[here][inside] = labels[here][inside]
        return np.where(marks == self.label, np.uint8(0), marks)

    def _divided(
        self, island: Mask, seeds: NDArray[np.uint8], canvas: Canvas
    ) -> NDArray[np.uint8]:
        """Return the label of every voxel of an island."""
        beside = [(0, 0) if flat else (1, 1) for flat in canvas.flat]
        inside = tuple(slice(n, -n or None) for n, _ in beside)
        depth = _distances(np.pad(island, beside), canvas)[inside]
        if len(np.unique(seeds[seeds > 0])) == 1:
            away = _distances(seeds == 0, canvas)
            stays = np.argmax(depth * away)
            seeds[np.unravel_index(stays, seeds.shape)] = self.label
        flooded = _flooded(-depth, seeds.astype(np.int32), island)
        return flooded.astype(np.uint8)


@dataclass(frozen=True)
class Snap:
    """Moves the surface of a label to the nearest strong edges of the scan.

    What lies deeper than a distance stays, what is farther away than that stays out;
    the voxels in between are flooded from both sides, and the sides meet where the
    grey values change most. What is gained was background before.

    Attributes
    ----------
    label
        Whose surface.
    by
        How far it may move, in the unit of the canvas's voxels.
    scan
        Returns the voxels ``(z, y, x)`` of the scan.
    """

    label: int
    by: float
    scan: "Callable[[], Planes]"

    name: ClassVar[str] = "snap"

    def steps(self, canvas: Canvas) -> Steps:
        """Move the surface, of all islands at once.

        Raises
        ------
        MeUNetError
            If the box is too large, or the distance less than a voxel.
        """
        _require_small(canvas.box, self.name)
        finest = min(canvas.sampling)
        if self.by < finest:
            raise MeUNetError(
                f"to snap, a distance of at least one voxel ({finest:g}) must be given,"
                f" got {self.by:g}; choose another distance"
            )
        labels = canvas.read(canvas.box)
        mine = labels == self.label
        if mine.any():
            free = mine | (labels == 0)
            inside = self._snapped(mine, free, canvas)
            after = np.where(inside, self.label, np.where(mine, 0, labels))
            canvas.write(canvas.box, labels, after.astype(np.uint8))
        yield Progress(1, 1, "regions")

    def _snapped(self, mine: Mask, free: Mask, canvas: Canvas) -> Mask:
        """Return the label's new voxels, of those that are `free` for it."""
        depth, away = _distances(mine, canvas), _distances(~mine, canvas)
        islands, n = islands_of(mine, TOUCHING)
        deepest = np.append(0, maximum(depth, islands, np.arange(1, n + 1)))[islands]
        # of what is thin, the middle stays
        inner = mine & (depth > np.minimum(self.by, deepest / 2))
        outer = ~mine & (away > self.by) | ~free
        seeds = inner + 2 * outer.astype(np.int32)
        flooded = _flooded(self._edges(canvas), seeds)
        return np.asarray((flooded == 1) & free, bool)

    def _edges(self, canvas: Canvas) -> NDArray[np.float32]:
        """Return how much grey values change, with those around the box in mind."""
        by = int(np.ceil(4 * EDGE_WIDTH))
        z, y, x = (0 if flat else by for flat in canvas.flat)
        around = grown(canvas.box, (z, y, x), canvas.shape)
        scan = np.asarray(self.scan()[around], np.float32)
        edges = gaussian_gradient_magnitude(scan.squeeze(), EDGE_WIDTH)
        return np.asarray(edges.reshape(scan.shape)[within(around, canvas.box)])


def _flooded(
    heights: NDArray[np.floating], seeds: NDArray[np.int32], mask: Mask | None = None
) -> NDArray[np.int32]:
    """Return the seed whose flood reaches each voxel of a mask first."""
    from skimage.segmentation import watershed  # slow, and here a worker waits

    # what hangs together by a corner is reached, too
    connectivity = TOUCHING if mask is not None else 1
    flooded: NDArray[np.int32] = watershed(
        heights, seeds, mask=mask, connectivity=connectivity
    )
    return flooded


def _require_small(box: Box, name: str) -> None:
    if prod(extent(box)) > LARGEST_REGION:
        raise MeUNetError(
            f"to {name}, at most {LARGEST_REGION:,} voxels can be looked at at once, "
            f"got {prod(extent(box)):,}; work in view, near enough, or in a plane"
        )


def _distances(mask: Mask, canvas: Canvas) -> NDArray[np.float64]:
    """Return how far every voxel of a mask is from those beside it.

    Beyond the box the mask is taken to go on. If it has no end, all are as far.
    """
    if mask.all():
        return np.full(mask.shape, np.inf)
    distances: NDArray[np.float64] = distance_transform_edt(mask, sampling=canvas.voxel)
    return distances
