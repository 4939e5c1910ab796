"""Labels at a lower resolution, to be seen whole."""

from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_meunet.config import Shape
from napari_meunet.labels.box import Box, box_at
from napari_meunet.labels.tiff import LabelMap
from napari_meunet.progress import Progress, Steps
from napari_meunet.volume.lazy_array import LazyArray


class Overview(LazyArray):
    """Every n-th label along each axis, zeros until they are read.

    One thread may read all of them while another reads again what has changed.

    Parameters
    ----------
    labels
        All of them, uint8 ``(z, y, x)``.
    factors
        Voxels of which the middle one is taken, along (z, y, x).

    Attributes
    ----------
    factors
        As given.
    """

    def __init__(self, labels: LabelMap, factors: Shape) -> None:
        self._labels = labels
        self.factors = factors
        self._taken = np.zeros(labels[self._places].shape, np.uint8)
        self._lock = Lock()  # or what was read before a change might be kept after it

    @property
    def whole(self) -> Box:
        """All labels, also those between."""
        z, y, x = self._labels.shape
        return box_at((0, 0, 0), (z, y, x))

    @property
    def first(self) -> Shape:
        """The first voxel that is taken, along (z, y, x)."""
        sizes = zip(self.factors, self._labels.shape, strict=True)
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
        """Return a part."""
        return np.asarray(self._taken[index])

    def reading(self) -> Steps:
        """Read all labels, plane by plane."""
        n_planes = len(self._taken)
        for i, plane in enumerate(self._labels[self._places]):
            with self._lock:
                self._taken[i] = plane
            yield Progress(i + 1, n_planes, "planes")

    def read_again(self, box: Box) -> None:
        """Read the labels of a box of the volume."""
        here = tuple(
            slice(max(0, -((first - part.start) // n)), -((first - part.stop) // n))
            for part, first, n in zip(box, self.first, self.factors, strict=True)
        )
        with self._lock:
            self._taken[here] = self._labels[self._places][here]

    @property
    def _places(self) -> tuple[slice, ...]:
        """The voxels that are taken."""
        return tuple(
            slice(first, None, n)
            for first, n in zip(self.first, self.factors, strict=True)
        )
