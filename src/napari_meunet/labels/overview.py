"""Labels at a lower resolution, to be seen whole."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_meunet.config import Shape
from napari_meunet.labels.tiff import LabelMap
from napari_meunet.volume.lazy_array import LazyArray


@dataclass(frozen=True, eq=False)
class Overview(LazyArray):
    """Every n-th label along each axis, read anew whenever it is looked at.

    So it takes no room on the disk, and is never out of date.

    Attributes
    ----------
    labels
        All of them, uint8 ``(z, y, x)``.
    factors
        Voxels of which the middle one is taken, along (z, y, x).
    """

    labels: LabelMap
    factors: Shape

    @property
    def first(self) -> Shape:
        """The first voxel that is taken, along (z, y, x)."""
        sizes = zip(self.factors, self.labels.shape, strict=True)
        z, y, x = (min(n // 2, size - 1) for n, size in sizes)
        return z, y, x

    @property
    def shape(self) -> tuple[int, ...]:
        """Voxels along (z, y, x)."""
        return self._taken.shape

    @property
    def dtype(self) -> np.dtype[np.uint8]:
        """Always uint8."""
        return np.dtype(np.uint8)

    def __getitem__(self, index: Any) -> NDArray[np.uint8]:
        """Read a part."""
        return np.array(self._taken[index])

    @property
    def _taken(self) -> NDArray[np.uint8]:
        """The voxels that are taken, not read yet."""
        z, y, x = (
            slice(start, None, n)
            for start, n in zip(self.first, self.factors, strict=True)
        )
        return self.labels[z, y, x]
