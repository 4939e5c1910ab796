"""How labels are looked at, and labels that are only looked at."""

from collections.abc import Callable
from enum import Enum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_meunet.config import Shape
from napari_meunet.labels.box import box_at, indexed_box
from napari_meunet.labels.tiff import LabelMap
from napari_meunet.volume.lazy_array import LazyArray


class View(Enum):
    """How labels are looked at."""

    PLANES = "plane by plane"
    VOLUME = "in 3-D"
    OVERVIEW = "in 3-D, as an overview"


def is_whole(index: Any, shape: Shape) -> bool:
    """Tell whether a viewer addresses all voxels ``(z, y, x)``, along each axis."""
    if not isinstance(index, tuple):
        return False
    slices = all(isinstance(part, slice) for part in index)
    return slices and indexed_box(index, shape) == box_at((0, 0, 0), shape)


class SeenLabels(LazyArray):
    """Labels on disk that cannot be painted on, for napari's Labels layer.

    Parameters
    ----------
    labels
        uint8 ``(z, y, x)``.

    Attributes
    ----------
    viewed_as
        As that of `napari_meunet.labels.editable.EditableLabels`.
    """

    def __init__(self, labels: LabelMap) -> None:
        self._labels = labels
        self.viewed_as: Callable[[], View] = lambda: View.PLANES

    @property
    def shape(self) -> Shape:
        """Voxels along (z, y, x)."""
        z, y, x = self._labels.shape
        return z, y, x

    @property
    def dtype(self) -> np.dtype[np.uint8]:
        """Always uint8."""
        return np.dtype(np.uint8)

    def __deepcopy__(self, memo: dict[int, Any]) -> NDArray[np.uint8]:
        """Read all labels into memory: a copy can be painted on."""
        return np.array(self._labels)

    def __getitem__(self, index: Any) -> Any:
        """Return the labels that NumPy's indexing addresses."""
        if is_whole(index, self.shape) and self.viewed_as() is View.OVERVIEW:
            return np.zeros((1, 1, 1), np.uint8)
        return np.asarray(self._labels[index])
