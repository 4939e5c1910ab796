"""What a part of a run takes: seconds and memory."""

import ctypes
import gc
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch

_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")
_RESET_PEAK = "5"
"""Makes the kernel forget the peak of the resident memory, see ``man 5 proc``."""


@dataclass
class Cost:
    """What was spent.

    Attributes
    ----------
    seconds, cpu_seconds
        On the clock, and of all threads together.
    n_bytes
        Most memory held above what was held at the beginning: on a GPU that of the
        tensors, on the processor the resident memory of the process.
    """

    seconds: float = 0.0
    cpu_seconds: float = 0.0
    n_bytes: int = 0


@contextmanager
def measured(device: torch.device) -> Iterator[Cost]:
    """Measure the block; the cost is complete at its end.

    The peak of the processor needs Linux. It counts what the memory allocator keeps
    for the next step and the working space of the convolutions, as a user would.
    """
    cost = Cost()
    gc.collect()
    before = _reset_peak(device)
    start, cpu_start = time.perf_counter(), time.process_time()
    yield cost
    _wait(device)
    cost.seconds = time.perf_counter() - start
    cost.cpu_seconds = time.process_time() - cpu_start
    cost.n_bytes = _peak(device) - before


def _reset_peak(device: torch.device) -> int:
    """Forget the peak so far, and return the bytes that are held now."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
        return torch.cuda.memory_allocated(device)
    if platform.libc_ver()[0] == "glibc":
        ctypes.CDLL(None).malloc_trim(0)
    _CLEAR.write_text(_RESET_PEAK)
    return _peak(device)


def _peak(device: torch.device) -> int:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    lines = _STATUS.read_text().splitlines()
    line = next(line for line in lines if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
