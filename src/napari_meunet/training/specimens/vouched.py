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
from napari_meunet.labels.review import expected_wrong, wrong_by_doubt
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

MOST_MEASURED = 6
"""Cells of those held out that two models are compared in: so many where a person
vouches for something, and so many where nobody does and the model has doubts."""


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
        cells[_cells_of(self.store.reviewed.places)] = True
        return cells

    def _doubtful(self) -> NDArray[np.bool]:
        """Return in which cells the model has doubts: that is where surfaces are.

        As far as it claims; how often it is wrong then does not matter here.
        """
        cells = np.zeros([-(-n // CELL_EDGE) for n in self.shape], bool)
        if self.store.confidence is not None:
            wrong = expected_wrong(self.store.confidence, wrong_by_doubt(None))
            cells[_cells_of(wrong >= 1)] = True
        return cells

    def split(self, seed: int) -> tuple[NDArray[np.bool], list[Box]]:
        """Return the cells to learn from, and others to measure on.

        Returns
        -------
        cells
            Bool ``(z, y, x)``; in some of them there is something vouched for.
        boxes
            Cells that are held out: with something vouched for, and where the model
            has doubts and nobody has looked; by chance `MOST_MEASURED` of each.

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
                "there must be corrections, kept planes or reviewed places to learn "
                "from, and others apart from them to measure on, in two cubes of "
                f"{CELL_EDGE} voxels or more, got {np.count_nonzero(cells)}; correct a "
                "few more places"
            )
        boxes: list[Box] = []
        for kind in (cells & held, self._doubtful() & held & ~cells):
            order = np.argsort(chance[kind])[:MOST_MEASURED]
            starts = np.argwhere(kind)[order].tolist()
            boxes.extend(self._cell(*start) for start in starts)
        return ~held, boxes

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
            What the model has said with this confidence or more counts, too, but for
            places that a person has set or kept something in: beside a mistake it is
            mostly as wrong as there, and would contradict the correction. None takes
            nothing of it.
        """
        told: _Told | None = None
        if sure is None:
            counted = counted & self.cells()
        elif self.store.confidence is not None:
            untouched = ~self.store.corrected.cubes(PLACE_EDGE)
            told = _Told(self.store.confidence, sure, untouched)
        return Volume.from_array(
            _VouchedPlanes(self, counted, told), self.store.spacing
        )


def _cells_of(places: NDArray[np.bool]) -> tuple[NDArray[np.intp], ...]:
    """Return the indices of the cells that some places lie in."""
    z, y, x = np.nonzero(places)
    n = CELL_EDGE // PLACE_EDGE
    return z // n, y // n, x // n


@dataclass(frozen=True, eq=False)
class _Told:
    """Where a model counts: it was sure there, and nobody has touched the place."""

    confidence: LabelMap
    sure: float
    untouched: NDArray[np.bool]

    def read(self, box: Box) -> NDArray[np.bool]:
        sure = spread(self.confidence, CONFIDENCE_EDGE, box) >= 255 * self.sure
        told: NDArray[np.bool] = sure & spread(self.untouched, PLACE_EDGE, box)
        return told


@dataclass(frozen=True, eq=False)
class _VouchedPlanes:
    """Labels, uint8 ``(z, y, x)``, read where they are looked at."""

    of: Vouched
    counted: NDArray[np.bool]
    told: _Told | None

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
        if self.told:
            known |= self.told.read(box)
        known &= spread(self.counted, CELL_EDGE, box)
        block = np.where(known, self.of.store.labels[box], np.uint8(IGNORE))
        return self._shaped(block, index)

    @staticmethod
    def _shaped(block: NDArray[np.uint8], index: Any) -> NDArray[np.uint8]:
        """Return a block of the shape that an index asks for."""
        parts = index if isinstance(index, tuple) else (index,)
        ints = tuple(i for i, part in enumerate(parts) if not isinstance(part, slice))
        return block.squeeze(ints)
