"""Memory that mapped files take."""

import mmap
import sys
from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray


def give_back(array: NDArray[Any]) -> None:
    """Give back the memory that the map of a file has taken; reading goes on.

    Whatever was read or written of a map counts as memory of this process while the
    machine has room for it, so that a scan that is read from one end to the other seems
    to be held whole. What was written is not lost: the system keeps it for the file.
    Linux does so; macOS may, and Windows does not.

    Parameters
    ----------
    array
        Nothing happens if it is an array in memory, or a map whose changes go nowhere
        else (mode ``"c"``).
    """
    if not isinstance(array, np.memmap) or array.mode not in ("r", "r+", "w+"):
        return
    owner: object = array
    while isinstance(owner, np.ndarray):
        owner = owner.base
    if isinstance(owner, mmap.mmap) and sys.platform != "win32":
        with suppress(OSError):  # of memory that is locked
            owner.madvise(mmap.MADV_DONTNEED)
