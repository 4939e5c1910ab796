"""How the section is cut: columns of the engine, and the paper's windows."""

from dataclasses import dataclass
from itertools import pairwise, product
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_meunet.config import Shape
from napari_meunet.inference.streaming.schedule import ALIGNMENT

Span = tuple[int, int]
"""Start and stop along one axis, in voxels."""

Box = tuple[Span, Span, Span]
"""Voxels along (z, y, x); may reach beyond the volume."""

PAPER_WINDOW = 240
PAPER_STEP = 120
"""Edge and step of the windows in the authors' notebook, cell 53."""


def aligned(size: int) -> int:
    """Return `size` rounded up to a multiple of 16."""
    return -(-size // ALIGNMENT) * ALIGNMENT


@dataclass(frozen=True, slots=True)
class Grid:
    """A scan, and the larger voxels of it that a network sees.

    Attributes
    ----------
    shape
        Voxels of the scan along (z, y, x).
    factors
        Voxels of the scan in a large one.
    """

    shape: Shape
    factors: Shape = (1, 1, 1)

    @property
    def is_reduced(self) -> bool:
        """Whether a large voxel is more than one of the scan."""
        return self.factors != (1, 1, 1)

    def full(self, box: Box) -> Box:
        """Return the voxels of the scan in a box of large ones."""
        z, y, x = (
            (start * n, min(stop * n, size))
            for (start, stop), n, size in zip(
                box, self.factors, self.shape, strict=True
            )
        )
        return z, y, x


class Block(NamedTuple):
    """A part of what an executor makes.

    Attributes
    ----------
    start
        First voxel along (z, y, x).
    labels
        ``(z, y, x)`` from there on; may hold no planes.
    confidence
        Mean confidence of blocks of 4 x 4 x 4 voxels, 255 times a probability, from the
        block on that holds `start`; empty if the executor knows of none.
    """

    start: Shape
    labels: NDArray[np.uint8]
    confidence: NDArray[np.uint8] = np.empty((0, 0, 0), np.uint8)


@dataclass(frozen=True, slots=True)
class Column:
    """A part of the section with the halo that it needs.

    Attributes
    ----------
    core
        Voxels along y and x that are labelled. What of them is not read is air.
    read
        Voxels along y and x that are read: the core and its halo. They begin and end
        at multiples of 16, beyond the end of the section if need be.
    """

    core: tuple[Span, Span]
    read: tuple[Span, Span]

    @property
    def name(self) -> str:
        """What the column is called in the record of a run."""
        (top, bottom), (left, right) = self.core
        return f"y{top}-{bottom},x{left}-{right}"

    @property
    def section(self) -> tuple[int, int]:
        """Voxels along (y, x) that are read."""
        (top, bottom), (left, right) = self.read
        return bottom - top, right - left

    def touches(self, other: "Column") -> bool:
        """Tell whether the cores of two columns have voxels in common."""
        pairs = zip(self.core, other.core, strict=True)
        return all(one[0] < two[1] and two[0] < one[1] for one, two in pairs)


def cut(
    section: tuple[int, int],
    parts: tuple[int, int],
    halo: int,
    within: tuple[Span, Span] | None = None,
) -> tuple[Column, ...]:
    """Return ``parts[0] * parts[1]`` columns whose cores tile a section.

    Parameters
    ----------
    section
        Voxels along (y, x).
    parts
        Columns along (y, x).
    halo
        Voxels around a core, a multiple of 16; there is none beyond the section.
    within
        Voxels along y and x that are worth reading, beginning at multiples of 16; None
        if all are. The outer cores reach beyond them to the ends of the section.
    """
    spans = within or tuple((0, size) for size in section)
    along_y, along_x = (
        _cut_axis(size, n, halo, span)
        for size, n, span in zip(section, parts, spans, strict=True)
    )
    return tuple(
        Column((core_y, core_x), (read_y, read_x))
        for (core_y, read_y), (core_x, read_x) in product(along_y, along_x)
    )


def _cut_axis(
    size: int, parts: int, halo: int, within: Span
) -> list[tuple[Span, Span]]:
    """Return cores and what is read for them.

    For example 40 voxels in 2 parts with halo 16: 0:16 from 0:32, 16:40 from 0:48.
    """
    first, n_units = within[0], aligned(within[1] - within[0]) // ALIGNMENT
    edges = [first + n_units * i // parts * ALIGNMENT for i in range(parts + 1)]
    cores = pairwise((0, *edges[1:-1], size))
    return [
        (core, (max(start - halo, first), min(stop + halo, edges[-1])))
        for core, (start, stop) in zip(cores, pairwise(edges), strict=True)
    ]


@dataclass(frozen=True, slots=True)
class Tiling:
    """Windows along one axis of a volume that is padded until they fit.

    The padding is zero, one half on either side, as in the notebook, cell 53. For
    example 1072 voxels become 4 + 1072 + 4, tiled by 8 windows of 240 at step 120.

    Attributes
    ----------
    size
        Voxels of the volume.
    window, step
        Edge and step of a window.
    """

    size: int
    window: int = PAPER_WINDOW
    step: int = PAPER_STEP

    @property
    def n(self) -> int:
        """How many windows there are."""
        return max(-(-(self.size - self.window) // self.step), 0) + 1

    @property
    def padded(self) -> int:
        """Voxels after padding."""
        return self.window + (self.n - 1) * self.step

    @property
    def before(self) -> int:
        """Voxels of padding before the first voxel of the volume."""
        return (self.padded - self.size) // 2

    def starts(self) -> range:
        """Return where windows begin, in voxels of the volume; the first may be < 0."""
        return range(
            -self.before, self.padded - self.before - self.window + 1, self.step
        )
