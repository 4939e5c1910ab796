"""Keep freed memory for the next step while a network trains on the processor."""

import ctypes
import platform
from collections.abc import Iterator
from contextlib import contextmanager

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""Parameters of `mallopt`, from glibc's ``malloc.h``."""

_AFTERWARDS = 32 * 2**20
"""Bytes up to which glibc would by itself raise the threshold for mapping, were it not
set by us, and half of that for trimming (``DEFAULT_MMAP_THRESHOLD_MAX`` in ``man
mallopt``). Once set, it moves no more; its first value, 128 kB, would make every array
of the process slow from then on."""

_LARGEST_PIECE = 2**30
_NEVER = 2**31 - 1


@contextmanager
def freed_memory_kept() -> Iterator[None]:
    """Let glibc keep what is freed in the block, and give it back at the end.

    By default glibc maps every large array anew and unmaps it when it is freed. A
    training step allocates the same gigabyte of activations each time, and the system
    must clear every page of it again: on a virtual machine that took half of the step.
    Other C libraries are left as they are.
    """
    if platform.libc_ver()[0] != "glibc":
        yield
        return
    libc = ctypes.CDLL(None)
    libc.mallopt(_MMAP_THRESHOLD, _LARGEST_PIECE)
    libc.mallopt(_TRIM_THRESHOLD, _NEVER)
    try:
        yield
    finally:
        libc.mallopt(_MMAP_THRESHOLD, _AFTERWARDS)
        libc.mallopt(_TRIM_THRESHOLD, 2 * _AFTERWARDS)
        libc.malloc_trim(0)
