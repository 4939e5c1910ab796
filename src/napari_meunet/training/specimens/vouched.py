"""Labels that a person vouches for: what they have set, or looked at and left."""

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_meunet.config import CONFIDENCE_EDGE, Shape
from napari_meunet.errors import MeUNetError
from napari_meunet.labels.box import (
    Box,
    box_at,
    cubes_reached,
    extent,
    indexed_box,
    spread,
)
from napari_meunet.labels.reviewed import PLACE_EDGE
from napari_meunet.labels.store import LabelStore
from napari_meunet.labels.tiff import LabelMap
from napari_meunet.training.label_values import IGNORE
from napari_meunet.volume.volume import Volume

CELL_EDGE = 64
"""Voxels along the edge of a cell, which is held out as a whole: neighbouring
corrections are often of one mistake."""

HELD_OUT = 1 / 4
"""Of all cells, chosen by chance, whatever a person vouches for in them: none that was
learned from once is held out later."""

MOST_MEASURED = 8
"""Cells of those held out; each is labelled twice to compare two models."""


@dataclass(frozen=True, eq=False)
class Vouched:
    """The labels of a folder, and what of them a person vouches for.

    Attributes
    ----------
    store
        The folder. Of one that is open for reading, the places that count as reviewed
        are those of when it was opened.
    """

    store: LabelStore

    @property
    def shape(self) -> Shape:
        """Voxels along (z, y, x)."""
        return self.store.shape

    def cells(self) -> NDArray[np.bool]:
        """Return which cells of `CELL_EDGE` voxels hold something vouched for."""
        cells = self.store.corrected.cubes(CELL_EDGE)
        for place in np.argwhere(self.store.reviewed.places) * PLACE_EDGE // CELL_EDGE:
            cells[tuple(place)] = True
        return cells

    def split(self, seed: int) -> tuple[NDArray[np.bool], list[Box]]:
        """Return the cells to learn from, and the voxels of others to measure on.

        Returns
        -------
        cells
            Bool ``(z, y, x)``; in some of them there is something vouched for.
        boxes
            Cells with something vouched for that are held out, at most
            `MOST_MEASURED`.

        Raises
        ------
        MeUNetError
            If a person vouches for nothing in the ones or the others.
        """
        cells = self.cells()
        chance = np.random.default_rng(seed).random(cells.shape)
        held = chance < HELD_OUT
        if cells.any() and not (cells & held).any():  # then the next one by chance
            held |= chance == chance[cells].min()
        if not (cells & ~held).any():
            raise MeUNetError(
                "there must be corrections or reviewed places to learn from, and others"
                f" apart from them to measure on, in two cubes of {CELL_EDGE} voxels or"
                f" more, got {np.count_nonzero(cells)}; correct a few more places"
            )
        starts = np.argwhere(cells & held)
        order = np.argsort(chance[cells & held])[:MOST_MEASURED]
        return ~held, [self._cell(*start) for start in starts[order].tolist()]

    def _cell(self, z: int, y: int, x: int) -> Box:
        """Return the voxels of a cell."""
        depth, height, width = (
            slice(i * CELL_EDGE, min((i + 1) * CELL_EDGE, n))
            for i, n in zip((z, y, x), self.shape, strict=True)
        )
        return depth, height, width

    def digest(self) -> str:
        """Return a SHA-256 of what a person has set, and of the places reviewed."""
        digest = hashlib.sha256(self.store.reviewed.places.tobytes())
        depth, height, width = self.shape
        for z in range(depth):
            plane = box_at((z, 0, 0), (1, height, width))
            if self.store.corrected.any(plane):
                mine = self.store.corrected.read(plane)
                digest.update(z.to_bytes(4) + np.packbits(mine).tobytes())
                digest.update(self.store.labels[plane][mine].tobytes())
        return digest.hexdigest()

    def volume(self, counted: NDArray[np.bool], *, sure: float | None = None) -> Volume:
        """Return labels with `IGNORE` where nobody vouches for them.

        Parameters
        ----------
        counted
            Cells that count, bool ``(z, y, x)``; `IGNORE` in the others.
        sure
            What the model has said with this confidence or more counts, too; None
            takes nothing of it.
        """
        confidence = None if sure is None else self.store.confidence
        counted = counted & self.cells() if sure is None else counted
        return Volume.from_array(
            _VouchedPlanes(self, counted, confidence, sure or 0), self.store.spacing
        )


@dataclass(frozen=True, eq=False)
class _VouchedPlanes:
    """Labels, uint8 ``(z, y, x)``, read where they are looked at."""

    of: Vouched
    counted: NDArray[np.bool]
    confidence: LabelMap | None
    sure: float

    @property
    def shape(self) -> Shape:
        return self.of.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(np.uint8)

    def __getitem__(self, index: Any, /) -> NDArray[np.uint8]:
        box = indexed_box(index, self.shape)
        if box is None:
            raise IndexError(f"an index must be integers or slices, got {index}")
        if not self.counted[cubes_reached(box, CELL_EDGE)].any():
            return self._shaped(np.full(extent(box), IGNORE, np.uint8), index)
        known = self.of.store.corrected.read(box) | self.of.store.reviewed.read(box)
        if self.confidence is not None:
            known |= spread(self.confidence, CONFIDENCE_EDGE, box) >= 255 * self.sure
        known &= spread(self.counted, CELL_EDGE, box)
        block = np.where(known, self.of.store.labels[box], np.uint8(IGNORE))
        return self._shaped(block, index)

    @staticmethod
    def _shaped(block: NDArray[np.uint8], index: Any) -> NDArray[np.uint8]:
        """Return a block of the shape that an index asks for."""
        parts = index if isinstance(index, tuple) else (index,)
        ints = tuple(i for i, part in enumerate(parts) if not isinstance(part, slice))
        return block.squeeze(ints)
