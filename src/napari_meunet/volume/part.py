"""A part of a scan, as a scan of its own."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_meunet.config import Shape
from napari_meunet.volume.volume import Planes, Source, Volume, kept_bytes

Box = tuple[slice, slice, slice]
"""Voxels along (z, y, x); start and stop are given, the step is 1."""


def part_of(volume: Volume, box: Box) -> Volume:
    """Return a box of a scan, read from the scan where it is looked at.

    Parameters
    ----------
    volume
        The scan.
    box
        Voxels of it; they lie within.

    Returns
    -------
    Volume
        With the spacing of the scan, and nothing of what is known about it: that is
        true of the whole.
    """
    planes = PartPlanes(volume.planes, box)
    _, y, x = planes.shape
    source = Source(volume.source.path, volume.source.format, None)
    return replace(
        volume, planes=planes, source=source, chunks=(1, y, x), lower=(), known={}
    )


@dataclass(frozen=True)
class PartPlanes:
    """The planes of a box.

    Attributes
    ----------
    planes
        Of the whole ``(z, y, x)``.
    box
        Which of its voxels.
    """

    planes: Planes
    box: Box

    @property
    def shape(self) -> Shape:
        """Voxels along (z, y, x)."""
        z, y, x = (part.stop - part.start for part in self.box)
        return z, y, x

    @property
    def dtype(self) -> np.dtype[Any]:
        """Data type of the voxels."""
        return self.planes.dtype

    def kept_bytes(self, section: tuple[int, int]) -> int:
        """Return what reading plane after plane keeps in memory beside the planes.

        Parameters
        ----------
        section
            Voxels along (y, x) that are read of each plane.
        """
        return kept_bytes(self.planes, section)

    def __getitem__(self, index: Any, /) -> NDArray[Any]:
        """Read a part, addressed by slices of step 1 or integers."""
        parts = index if isinstance(index, tuple) else (index,)
        parts += (slice(None),) * (3 - len(parts))
        return self.planes[tuple(map(_moved, parts, self.box, self.shape))]


def _moved(part: slice | int, within: slice, n: int) -> slice | int:
    """Return an index into `n` voxels as one into the axis that they are `within`."""
    if not isinstance(part, slice):
        first: int = within.start
        return first + range(n)[part]
    start, stop, step = part.indices(n)
    if step != 1:
        raise IndexError(f"a part is read in steps of 1, got {part}")
    return slice(within.start + start, within.start + max(start, stop))
