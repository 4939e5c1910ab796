"""Labels that a person vouches for: what they have set, or looked at and left."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from napari_meunet.config import CONFIDENCE_EDGE, Shape
from napari_meunet.errors import MeUNetError
from napari_meunet.labels.box import Box, box_at, indexed_box, spread
from napari_meunet.labels.corrected import Corrected
from napari_meunet.labels.reviewed import PLACE_EDGE, Reviewed
from napari_meunet.labels.store import LabelStore
from napari_meunet.labels.tiff import LabelMap
from napari_meunet.training.label_values import IGNORE
from napari_meunet.volume.volume import Spacing, Volume

CELL_EDGE = 64
"""Voxels along the edge of a cell, which is held out as a whole: neighbouring
corrections are often of one mistake."""

HELD_OUT = 1 / 4
"""Of the cells with something that a person vouches for."""

MOST_HELD_OUT = 8
"""Cells; each is labelled twice to compare two models."""

SURE = 242
"""Confidence of 0.95, 255 times: what the model then says is taken as known."""


@dataclass(frozen=True, eq=False)
class Vouched:
    """The labels of a folder, and what of them a person vouches for.

    Attributes
    ----------
    labels
        uint8 ``(z, y, x)``.
    corrected
        Voxels that a person set.
    reviewed
        Places that a person has found right.
    confidence
        How sure the model was of the others; None if it has not said it.
    spacing
        Of the voxels.
    """

    labels: LabelMap
    corrected: Corrected
    reviewed: Reviewed
    confidence: LabelMap | None
    spacing: Spacing | None

    @classmethod
    def of(cls, store: LabelStore) -> Self:
        """Look at the labels of a folder, as they are now and as they change."""
        return cls(
            store.labels,
            store.corrected,
            store.reviewed,
            store.confidence,
            store.spacing,
        )

    @property
    def shape(self) -> Shape:
        """Voxels along (z, y, x)."""
        z, y, x = self.labels.shape
        return z, y, x

    def cells(self) -> NDArray[np.bool]:
        """Return which cells of `CELL_EDGE` voxels hold something vouched for."""
        cells = self.corrected.cubes(CELL_EDGE)
        for place in np.argwhere(self.reviewed.places) * PLACE_EDGE // CELL_EDGE:
            cells[tuple(place)] = True
        return cells

    def held_out(self, seed: int) -> NDArray[np.bool]:
        """Return the cells to measure on, chosen by chance from `cells`.

        Raises
        ------
        MeUNetError
            If there are fewer than two.
        """
        cells = np.argwhere(self.cells())
        if len(cells) < 2:
            raise MeUNetError(
                "there must be corrections or reviewed places to learn from, and others"
                f" apart from them to measure on, in two cubes of {CELL_EDGE} voxels or"
                f" more, got {len(cells)}; correct a few more places"
            )
        n = min(max(round(HELD_OUT * len(cells)), 1), MOST_HELD_OUT)
        chosen = np.random.default_rng(seed).permutation(cells)[:n]
        held = np.zeros([-(-size // CELL_EDGE) for size in self.shape], bool)
        held[tuple(chosen.T)] = True
        return held

    def volume(self, counted: NDArray[np.bool], *, sure: bool = False) -> Volume:
        """Return labels with `IGNORE` where nobody vouches for them.

        Parameters
        ----------
        counted
            Cells that count, bool ``(z, y, x)``; `IGNORE` in the others.
        sure
            Whether what the model was sure of counts, too.
        """
        confidence = self.confidence if sure else None
        return Volume.from_array(
            _VouchedPlanes(self, counted, confidence), self.spacing
        )


def cell_boxes(cells: NDArray[np.bool], shape: Shape) -> list[Box]:
    """Return the voxels of some cells in a volume of `shape`."""
    starts = (np.argwhere(cells) * CELL_EDGE).tolist()
    return [
        box_at(
            (z, y, x),
            tuple(min(CELL_EDGE, n - i) for i, n in zip((z, y, x), shape, strict=True)),
        )
        for z, y, x in starts
    ]


@dataclass(frozen=True, eq=False)
class _VouchedPlanes:
    """Labels, uint8 ``(z, y, x)``, read where they are looked at."""

    of: Vouched
    counted: NDArray[np.bool]
    confidence: LabelMap | None

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
        known = self.of.corrected.read(box) | self.of.reviewed.read(box)
        if self.confidence is not None:
            known |= spread(self.confidence, CONFIDENCE_EDGE, box) >= SURE
        known &= spread(self.counted, CELL_EDGE, box)
        block = np.where(known, self.of.labels[box], np.uint8(IGNORE))
        parts = index if isinstance(index, tuple) else (index,)
        ints = tuple(i for i, part in enumerate(parts) if not isinstance(part, slice))
        return block.squeeze(ints)
