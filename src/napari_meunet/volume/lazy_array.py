"""Arrays that are read where they are looked at."""

from abc import ABC, abstractmethod
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray


class LazyArray(ABC):
    """As much of an array as napari asks of a layer's data."""

    @property
    @abstractmethod
    def shape(self) -> tuple[int, ...]:
        """Voxels along each axis."""

    @property
    @abstractmethod
    def dtype(self) -> np.dtype[Any]:
        """Data type of the voxels."""

    @abstractmethod
    def __getitem__(self, index: Any, /) -> Any:
        """Read a part."""

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of voxels."""
        return prod(self.shape)

    def __array__(
        self, dtype: np.dtype[Any] | None = None, copy: bool | None = None
    ) -> NDArray[Any]:
        """Read it whole."""
        return np.array(self[:], dtype=dtype, copy=True if copy else None)
