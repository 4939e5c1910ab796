"""What a label map may hold: whole numbers from 0 to 255, of which one is no label."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_meunet.errors import MeUNetError

IGNORE = 255
"""Value of voxels without a label; they are neither learned from nor compared."""


def checked(plane: NDArray[Any]) -> NDArray[np.uint8]:
    """Return a plane of labels as uint8.

    Whole numbers in a float array are accepted, because NIfTI often stores labels so.

    Raises
    ------
    MeUNetError
        If a value is not a whole number from 0 to 255.
    """
    plane = np.asarray(plane)
    if plane.dtype == np.uint8:
        return plane
    result = plane.astype(np.uint8)
    wrong = plane[result != plane]
    if wrong.size:
        raise MeUNetError(
            f"labels must be whole numbers from 0 to 255, got {wrong[0]}; "
            "give the label file, not the scan"
        )
    return result
