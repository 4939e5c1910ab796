"""Label values of any kind as the outputs of a network, which count from 0."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_meunet.config import LabelClass
from napari_meunet.errors import MeUNetError
from napari_meunet.training.label_values import IGNORE, checked
from napari_meunet.volume.volume import Planes, Volume


class NumberedPlanes:
    """Labels in which a voxel holds the place of its value in a table.

    Voxels with `IGNORE` keep it.

    Parameters
    ----------
    planes
        Whole numbers from 0 to 255 ``(z, y, x)``.
    values
        The table: voxels with ``values[i]`` become i.
    """

    def __init__(self, planes: Planes, values: Sequence[int]) -> None:
        self._planes = planes
        self._values = tuple(values)
        self._numbers = np.full(256, len(values), np.uint8)  # of no class
        self._numbers[list(values)] = np.arange(len(values))
        self._numbers[IGNORE] = IGNORE

    @property
    def shape(self) -> tuple[int, ...]:
        """Voxels along (z, y, x)."""
        return tuple(self._planes.shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Always uint8."""
        return np.dtype(np.uint8)

    def __getitem__(self, index: Any, /) -> NDArray[np.uint8]:
        """Read a part.

        Raises
        ------
        MeUNetError
            If a value is not in the table.
        """
        block = checked(self._planes[index])
        numbers: NDArray[np.uint8] = self._numbers[block]
        unknown = np.unique(block[numbers == len(self._values)])
        if unknown.size:
            known, others = (", ".join(map(str, v)) for v in (self._values, unknown))
            raise MeUNetError(
                f"label values must be {known} (or {IGNORE} for no label), got "
                f"{others}; name every class with --classes NAME=VALUE ..."
            )
        return numbers


def numbered(labels: Volume, classes: Sequence[LabelClass]) -> Volume:
    """Return labels whose voxels hold the place of their class, not its value."""
    values = [label.value for label in classes]
    if values == list(range(len(values))) and labels.dtype.kind in "ui":
        return labels
    return replace(labels, planes=NumberedPlanes(labels.planes, values))
