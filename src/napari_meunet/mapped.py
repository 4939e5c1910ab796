"""Memory that mapped files take."""

import mmap
import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray


def give_back(array: NDArray[Any]) -> None:
    """Give back the memory that the map of a file has taken; reading goes on.

    Whatever was read or written of a map counts as memory of this process while the
    machine has room for it, so that a scan that is read from one end to the other seems
    to be held whole. What was written is not lost: the system keeps it for the file.

    Parameters
    ----------
    array
        Nothing happens if it is no map of a whole file's contents: an array in memory,
        or a map whose changes go nowhere else (mode ``"c"``).
    """
    if not isinstance(array, np.memmap) or array.mode == "c":
        return
    owner: object = array
    while isinstance(owner, np.ndarray):
        owner = owner.base
    if isinstance(owner, mmap.mmap) and sys.platform != "win32":
        owner.madvise(mmap.MADV_DONTNEED)
