"""How much memory is free, and how much of it a run takes if nobody says."""

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import psutil

HOST_SHARE = 0.5
"""Of what is free where other programs compute, too."""

CUDA_SHARE = 0.8
"""Of what is free on a card; the rest is for cuDNN's working space, and for gaps."""

Names = tuple[str, str, str]

VERSION_2: Names = ("memory.max", "memory.current", "inactive_file")
VERSION_1: Names = (
    "memory.limit_in_bytes",
    "memory.usage_in_bytes",
    "total_inactive_file",
)
"""Files with the limit and what is taken, and in ``memory.stat`` what files take."""

_CGROUPS = Path("/sys/fs/cgroup")
_OWN_CGROUPS = Path("/proc/self/cgroup")


def share_of(device: str) -> float:
    """Return the part of the free memory of a device that a run takes."""
    return CUDA_SHARE if device.startswith("cuda") else HOST_SHARE


def free_on_host() -> int:
    """Return the bytes that this process may still take, on Linux within its cgroups.

    Clusters and containers give a job a part of a computer's memory, and end it when
    it takes more.
    """
    return min([int(psutil.virtual_memory().available), *_left_in_cgroups()])


def _left_in_cgroups() -> Iterator[int]:
    """Yield what every limit leaves that this process lies under.

    See "Control Group v2" and "Memory Resource Controller" in the documentation of
    the Linux kernel. What files occupy can be given up, and counts as free.
    """
    if not _OWN_CGROUPS.exists():
        return
    for line in _OWN_CGROUPS.read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            yield from _left(_CGROUPS, path, VERSION_2)
        elif "memory" in controllers.split(","):
            yield from _left(_CGROUPS / "memory", path, VERSION_1)


def _left(root: Path, path: str, names: Names) -> Iterator[int]:
    """Yield what the limits of a cgroup and of those around it leave."""
    own = PurePosixPath(path.lstrip("/"))
    for cgroup in (own, *own.parents):
        folder = root / cgroup
        try:
            limit, taken = ((folder / name).read_text() for name in names[:2])
            statistics = (folder / "memory.stat").read_text().splitlines()
        except OSError:  # not seen from within a container
            continue
        if limit.strip() == "max":
            continue
        files = dict(line.split() for line in statistics).get(names[2], "0")
        yield max(int(limit) - int(taken) + int(files), 0)
