"""Labels of which only a part was drawn: the rest teaches nothing."""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_meunet.errors import MeUNetError
from napari_meunet.training.label_values import IGNORE, checked
from napari_meunet.volume.volume import Planes, Volume


class PaintedPlanes:
    """Labels in which 0 means background only where somebody painted.

    A painted z plane is taken as complete; the voxels of the others become `IGNORE`.

    Parameters
    ----------
    planes
        Integers ``(z, y, x)``.
    painted
        Bool ``(z,)``.
    """

    def __init__(self, planes: Planes, painted: NDArray[np.bool]) -> None:
        self._planes = planes
        self._painted = painted

    @property
    def shape(self) -> tuple[int, ...]:
        """Voxels along (z, y, x)."""
        return tuple(self._planes.shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Always uint8."""
        return np.dtype(np.uint8)

    def __getitem__(self, index: Any, /) -> NDArray[np.uint8]:
        """Read a part."""
        block = checked(self._planes[index]).copy()
        z = index[0] if isinstance(index, tuple) else index
        block[~self._painted[z]] = IGNORE
        return block


def only_painted_planes(
    labels: Volume, painted: NDArray[np.bool] | None = None
) -> Volume:
    """Return the labels with `IGNORE` in the z planes that nobody painted.

    Parameters
    ----------
    labels
        Integers ``(z, y, x)``.
    painted
        Bool ``(z,)``; if not given, the planes that hold any label. A single voxel
        with `IGNORE` is enough, so that a plane in which there is nothing can be
        marked with a dot.

    Raises
    ------
    MeUNetError
        If no plane is painted.
    """
    if painted is None:
        planes = labels.planes
        painted = np.array([bool(np.any(planes[z])) for z in range(planes.shape[0])])
    if not painted.any():
        raise MeUNetError(
            "some z plane must be painted by a person, got none; paint a few planes "
            "completely, or learn from all planes if all are labelled"
        )
    return replace(labels, planes=PaintedPlanes(labels.planes, painted))
