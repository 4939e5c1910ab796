"""Planes across the one that is shown, around the mouse."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_meunet.config import Shape
from napari_meunet.labels.tools.windows import grown
from napari_meunet.plugin.scan import grey_values

if TYPE_CHECKING:
    from napari_meunet.labels.store import LabelStore
    from napari_meunet.volume.volume import Volume

REACH = 48
"""Voxels on each side of the mouse."""


@dataclass(frozen=True)
class Across:
    """A plane across the one that is shown; that runs from left to right through it.

    Attributes
    ----------
    image
        Grey values from 0 to 1.
    labels
        Likewise, uint8.
    down, right
        The axes along its rows and columns: 0, 1 or 2 for z, y or x.
    at
        Row and column of the voxel under the mouse.
    tall
        Height of a voxel over its width.
    """

    image: NDArray[np.float32]
    labels: NDArray[np.uint8]
    down: int
    right: int
    at: tuple[int, int]
    tall: float


def planes_across(
    volume: "Volume", store: "LabelStore", at: Shape, axis: int
) -> tuple[Across, Across]:
    """Return both planes through a voxel across the one that is shown.

    Parameters
    ----------
    volume
        The scan.
    store
        Its labels.
    at
        The voxel.
    axis
        Across which the plane lies that is shown; it goes down in what is returned.

    Returns
    -------
    tuple
        `REACH` voxels on all sides, as far as the volume goes. The first one has the
        last axis from left to right, as the plane that is shown.
    """
    first, second = (other for other in (0, 1, 2) if other != axis)
    return (
        _plane(volume, store, at, axis, second),
        _plane(volume, store, at, axis, first),
    )


def _plane(
    volume: "Volume", store: "LabelStore", at: Shape, down: int, right: int
) -> Across:
    """Return the plane of two axes through a voxel."""
    z, y, x = (slice(i, i + 1) for i in at)
    here = (z, y, x)
    by_z, by_y, by_x = (REACH if axis in (down, right) else 0 for axis in range(3))
    box = grown(here, (by_z, by_y, by_x), volume.shape)
    across = 3 - down - right
    planes = grey_values(volume, box), np.array(store.labels[box])
    image, labels = (np.take(plane, 0, across) for plane in planes)
    if right < down:
        image, labels = image.T, labels.T
    row, column = (at[axis] - box[axis].start for axis in (down, right))
    tall = store.voxel[down] / store.voxel[right]
    return Across(image, labels, down, right, (row, column), tall)
