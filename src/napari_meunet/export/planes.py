"""Labels, one plane after the other."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_meunet.errors import MeUNetError
from napari_meunet.volume.volume import Planes


def planes_of(labels: Planes, dtype: np.dtype[Any]) -> Iterator[NDArray[Any]]:
    """Yield planes ``(y, x)`` of labels ``(z, y, x)``, C-contiguous, in `dtype`.

    Raises
    ------
    MeUNetError
        If a label does not fit into `dtype`.
    """
    narrower = not np.can_cast(labels.dtype, dtype)
    for z in range(labels.shape[0]):
        plane = np.asarray(labels[z : z + 1])[0]
        if narrower:
            _require_fit(plane, dtype)
        yield np.ascontiguousarray(plane, dtype)


def _require_fit(plane: NDArray[Any], dtype: np.dtype[Any]) -> None:
    limits = np.iinfo(dtype)
    lowest, highest = plane.min(), plane.max()
    if lowest < limits.min or highest > limits.max:
        raise MeUNetError(
            f"labels in this format must lie between {limits.min} and {limits.max}, "
            f"got {lowest} to {highest}; choose NIfTI or OME-Zarr, or renumber them"
        )
