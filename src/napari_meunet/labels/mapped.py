"""Files of bytes that are read and written as arrays."""

from math import prod
from pathlib import Path

import numpy as np

from napari_meunet.config import Shape
from napari_meunet.errors import MeUNetError

ByteMap = np.memmap[Shape, np.dtype[np.uint8]]
"""A uint8 memory map ``(z, y, x)``."""


def create_map(path: Path, shape: Shape) -> None:
    """Write zeros; they take no room where the file system knows holes."""
    with path.open("wb") as file:
        file.truncate(prod(shape))


def open_map(path: Path, shape: Shape, *, writable: bool) -> ByteMap:
    """Map what `create_map` made.

    Raises
    ------
    MeUNetError
        If the file is missing or of another size.
    """
    size = path.stat().st_size if path.exists() else 0
    if size != prod(shape):
        raise MeUNetError(
            f"{path} must hold {prod(shape)} bytes, got {size}; restore the file"
        )
    return np.memmap(path, np.uint8, "r+" if writable else "r", shape=shape)
