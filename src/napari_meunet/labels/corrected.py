"""Which voxels a person has set: one bit each, on disk."""

from math import prod
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_meunet.config import Shape
from napari_meunet.labels.box import Box
from napari_meunet.labels.mapped import create_map, open_map
from napari_meunet.mapped import give_back


def corrected_bytes(shape: Shape) -> int:
    """Return the size of the mask's file: bits, each row of x in whole bytes."""
    return prod(_packed(shape))


class Corrected:
    """A mask ``(z, y, x)`` of corrected voxels, eight to a byte along x.

    Voxel x is bit ``x % 8``, counted from the lowest, of byte ``x // 8``. The file
    is sparse: untouched regions take no room.

    Parameters
    ----------
    path
        What `create` wrote.
    shape
        Voxels along (z, y, x).
    writable
        False maps the file for reading only.

    Raises
    ------
    MeUNetError
        If the file is missing or of another size.
    """

    def __init__(self, path: Path, shape: Shape, *, writable: bool) -> None:
        self._bits = open_map(path, _packed(shape), writable=writable)

    @staticmethod
    def create(path: Path, shape: Shape) -> None:
        """Write an empty mask; takes no room where the file system knows holes."""
        create_map(path, _packed(shape))

    def any(self, box: Box) -> bool:
        """Tell, fast, whether corrected voxels may lie in a box.

        False is certain; True may be due to up to seven voxels beside the box.
        """
        return bool(self._bits[_bytes_of(box)].any())

    def read(self, box: Box) -> NDArray[np.bool]:
        """Return the mask of a box."""
        bits = np.unpackbits(self._bits[_bytes_of(box)], axis=2, bitorder="little")
        return bits[:, :, _bits_of(box)].astype(bool)

    def cubes(self, edge: int) -> NDArray[np.bool]:
        """Return which cubes hold corrected voxels, ``(z, y, x)``.

        Parameters
        ----------
        edge
            Of the cubes in voxels, a multiple of 8. The last ones along each axis may
            be smaller.
        """
        planes, rows, columns = self._bits.shape
        found = np.empty([-(-n // edge) for n in (planes, rows, 8 * columns)], bool)
        starts = [
            np.arange(0, n, step) for n, step in ((rows, edge), (columns, edge // 8))
        ]
        for i, z in enumerate(range(0, planes, edge)):
            section = np.bitwise_or.reduce(self._bits[z : z + edge], axis=0)
            for axis, first in enumerate(starts):
                section = np.bitwise_or.reduceat(section, first, axis=axis)
            found[i] = section != 0
        return found

    def write(self, box: Box, mask: NDArray[np.bool]) -> None:
        """Replace the mask of a box; the voxels around it stay as they are."""
        place = _bytes_of(box)
        bits = np.unpackbits(self._bits[place], axis=2, bitorder="little")
        bits[:, :, _bits_of(box)] = mask
        self._bits[place] = np.packbits(bits, axis=2, bitorder="little")

    def give_back(self) -> None:
        """Give back the memory that the map has taken, see `mapped.give_back`."""
        give_back(self._bits)

    def flush(self) -> None:
        """Return when the mask is on the disk."""
        self._bits.flush()


def _packed(shape: Shape) -> Shape:
    z, y, x = shape
    return z, y, -(-x // 8)


def _bytes_of(box: Box) -> Box:
    z, y, x = box
    return z, y, slice(x.start // 8, -(-x.stop // 8))


def _bits_of(box: Box) -> slice:
    first = box[2].start // 8 * 8
    return slice(box[2].start - first, box[2].stop - first)
