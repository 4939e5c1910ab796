"""Array-likes over files: decoded plane by plane, or converted as they are read."""

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from napari_meunet.config import Shape
from napari_meunet.errors import MeUNetError
from napari_meunet.volume.volume import Planes, kept_bytes

DAMAGED = (
    ArithmeticError,
    AssertionError,
    LookupError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
    struct.error,
    tifffile.TiffFileError,
)
"""What decoders raise on damaged files."""

_BATCH_BYTES = 64 * 2**20
_LARGEST_BATCH = 64

_CHUNK_BYTES = 4 * 2**20
_DEEPEST_CHUNK = 16


def plane_chunks(shape: Shape, dtype: np.dtype[Any]) -> Shape:
    """Return Dask chunks of whole planes: at most 16, and 4 MiB unless one is larger.

    napari switches off the optimization by which Dask pushes a slice down into the
    reading of a chunk: a step along z reads, and keeps, a whole chunk. A cut along y
    or x takes a task for each chunk.
    """
    z, y, x = shape
    fitting = _CHUNK_BYTES // (y * x * dtype.itemsize)
    return max(1, min(z, _DEEPEST_CHUNK, fitting)), y, x


def _batch(shape: Shape, dtype: np.dtype[Any]) -> int:
    _, y, x = shape
    return max(1, min(_LARGEST_BATCH, _BATCH_BYTES // (y * x * dtype.itemsize)))


@dataclass(frozen=True)
class DecodedPlanes:
    """Planes that must be decoded whole, such as those of a compressed TIFF.

    Attributes
    ----------
    shape
        Voxels along (z, y, x).
    dtype
        Data type of the voxels.
    decode
        Returns the planes with the given numbers, ``(n, y, x)``; thread-safe.
    name
        The file or folder, for errors.
    """

    shape: Shape
    dtype: np.dtype[Any]
    decode: Callable[[Sequence[int]], NDArray[Any]]
    name: str

    def __getitem__(self, index: Any, /) -> NDArray[Any]:
        """Read a part; planes are decoded in batches, so that little is held."""
        z, *yx = index if isinstance(index, tuple) else (index,)
        numbers = np.arange(self.shape[0])[z]
        # An empty plane tells the shape of the part without arithmetic on slices.
        plane = np.broadcast_to(np.empty((), self.dtype), self.shape[1:])[tuple(yx)]
        part = np.empty((numbers.size, *plane.shape), self.dtype)
        step = _batch(self.shape, self.dtype)
        for start in range(0, numbers.size, step):
            batch = numbers.ravel()[start : start + step].tolist()
            part[start : start + step] = self._decoded(batch)[(slice(None), *yx)]
        return part.reshape(numbers.shape + plane.shape)

    def _decoded(self, numbers: list[int]) -> NDArray[Any]:
        try:
            return self.decode(numbers)
        except DAMAGED as error:
            raise MeUNetError(
                f"every plane must decode, got {error} in planes {numbers[0]} to "
                f"{numbers[-1]} of {self.name}; the file is damaged, copy it again"
            ) from error


@dataclass(frozen=True)
class ConvertedPlanes:
    """Planes that get another data type, and a linear scale, as they are read.

    Attributes
    ----------
    planes
        Where the voxels come from.
    dtype
        Data type to present.
    slope, intercept
        ``value * slope + intercept`` is presented.
    """

    planes: Planes
    dtype: np.dtype[Any]
    slope: float = 1.0
    intercept: float = 0.0

    @property
    def shape(self) -> tuple[int, ...]:
        """Voxels along (z, y, x)."""
        return self.planes.shape

    def kept_bytes(self, section: tuple[int, int]) -> int:
        """Return what `planes` keeps when so many voxels along (y, x) are read."""
        return kept_bytes(self.planes, section)

    def __getitem__(self, index: Any, /) -> NDArray[Any]:
        """Read a part."""
        part = np.asarray(self.planes[index]).astype(self.dtype, copy=False)
        if (self.slope, self.intercept) != (1.0, 0.0):
            part = part * self.dtype.type(self.slope) + self.dtype.type(self.intercept)
        return part
