"""Lazy arrays as napari should read them."""

from dataclasses import dataclass
from typing import Any

import dask.array as da
import numpy as np
from numpy.typing import NDArray

from napari_meunet.volume.lazy_array import LazyArray


@dataclass(frozen=True)
class LazyPlanes(LazyArray):
    """A Dask array of whole planes that reads no more than what is shown.

    Dask itself would push a slice down into the reading of its chunks. For the arrays
    that it knows as Dask's, napari switches that off and keeps chunks in a cache: a
    step to the next plane, or a cut along y or x, would read all planes of a chunk.

    Attributes
    ----------
    array
        The Dask array.
    """

    array: da.Array

    @property
    def shape(self) -> tuple[int, ...]:
        """Voxels along each axis."""
        return tuple(self.array.shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Data type of the voxels."""
        return self.array.dtype

    def __getitem__(self, index: Any) -> "LazyPlanes":
        """Return a part, still lazy: napari cuts out what is in view, then a plane."""
        return LazyPlanes(self.array[index])

    def __array__(
        self, dtype: np.dtype[Any] | None = None, copy: bool | None = None
    ) -> NDArray[Any]:
        """Read it."""
        return np.asarray(self.array, dtype=dtype)


def for_viewing(array: da.Array) -> da.Array | LazyPlanes:
    """Return what napari should be given of a lazy array ``(z, y, x)``.

    Chunks smaller than a plane, as in OME-Zarr, are best left to napari's cache: the
    next planes lie in the same chunks.
    """
    return LazyPlanes(array) if array.chunksize[1:] == array.shape[1:] else array
