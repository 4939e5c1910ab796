"""How sure the model was of its labels: a number for every 4 x 4 x 4 voxels, on disk.

What a run writes can be made again by the next one, so a file that is missing or
damaged is none at all.
"""

import sys
from contextlib import suppress
from math import prod
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_meunet.atomic import flush_to_disk, replacing, writing
from napari_meunet.config import CONFIDENCE_EDGE, Shape
from napari_meunet.errors import MeUNetError
from napari_meunet.labels.box import box_at
from napari_meunet.labels.tiff import (
    RESERVE,
    LabelMap,
    calibrate_tiff,
    create_tiff,
    hole_bytes,
    open_tiff,
    require_room,
)
from napari_meunet.volume.volume import Spacing


def confidence_bytes(shape: Shape) -> int:
    """Return the size of the map of a volume ``(z, y, x)``, its header aside."""
    return prod(_blocks(shape))


def doubt_of(confidence: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return how likely labels are to be wrong, 255 times.

    Where no model has said how sure it is, there is no doubt.
    """
    return np.where(confidence == 0, np.uint8(0), 255 - confidence)


class Confidence:
    """A map of blocks, uint8 ``(z, y, x)``; a TIFF that is written in place.

    255 times the mean probability that the model gave to its labels, and 255 where air
    was left out; 0 where it has said nothing. Blocks at the far ends reach into the
    padding of the volume, which counts, too. The file comes with the first write.

    Parameters
    ----------
    folder
        The labels folder.
    shape
        Voxels of the volume along (z, y, x).
    writable
        False maps the file for reading only.

    Attributes
    ----------
    blocks
        The map, None if no model has said how sure it is.
    """

    def __init__(self, folder: Path, shape: Shape, *, writable: bool) -> None:
        self._path = folder / "confidence.tif"
        self._shape = _blocks(shape)
        self.blocks = self._opened(writable=writable) if self._path.exists() else None

    def write(
        self, start: Shape, block: NDArray[np.uint8], spacing: Spacing | None
    ) -> None:
        """Write blocks from `start` on; `spacing` is that of the voxels.

        Raises
        ------
        MeUNetError
            If the folder cannot be written, or the disk is full.
        """
        if self.blocks is None or not self._path.exists():
            self.blocks = self._created(spacing)
        room = min(block.nbytes + RESERVE, hole_bytes(self._path))
        require_room(self._path.parent, room)
        self.blocks[box_at(start, block.shape)] = block

    def forget(self) -> None:
        """Say of no block any more how sure the model was."""
        for plane in () if self.blocks is None else self.blocks:
            for row in plane:
                if row.any():  # or holes of the file would be filled
                    row[:] = 0
        self.blocks = None
        with suppress(PermissionError):  # Windows keeps a file that is mapped
            self._path.unlink(missing_ok=True)

    def calibrate(self, spacing: Spacing) -> None:
        """Change the spacing that the header claims to one of the volume's voxels."""
        if self.blocks is not None and self._path.exists():
            calibrate_tiff(self._path, self._shape, _of_blocks(spacing))

    def flush(self) -> None:
        """Return when all that was written is on the disk."""
        if self.blocks is not None and self._path.exists():
            if sys.platform == "win32":  # where a file knows nothing of its map
                self.blocks.flush()
            flush_to_disk(self._path)

    def _created(self, spacing: Spacing | None) -> LabelMap:
        folder = self._path.parent
        require_room(folder, prod(self._shape) + RESERVE)
        with writing(folder), replacing(self._path) as temporary:
            create_tiff(temporary, self._shape, spacing and _of_blocks(spacing))
        return open_tiff(self._path, self._shape, writable=True)

    def _opened(self, *, writable: bool) -> LabelMap | None:
        try:
            return open_tiff(self._path, self._shape, writable=writable)
        except (MeUNetError, OSError):
            return None


def _blocks(shape: Shape) -> Shape:
    z, y, x = (-(-size // CONFIDENCE_EDGE) for size in shape)
    return z, y, x


def _of_blocks(spacing: Spacing) -> Spacing:
    z, y, x = (CONFIDENCE_EDGE * size for size in spacing.zyx)
    return Spacing((z, y, x), spacing.origin)
