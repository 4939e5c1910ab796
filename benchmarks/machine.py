"""What computed: for tables that say where they come from."""

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch


def machine(device: torch.device, *packages: str) -> dict[str, str | int]:
    """Return the name of what computes, and the versions of some packages.

    Parameters
    ----------
    device
        What computes.
    packages
        Names in the package index, besides torch and numpy; those that are not
        installed are left out.
    """
    is_cuda = device.type == "cuda"
    found = {name: _version(name) for name in ("torch", "numpy", *packages)}
    return {
        "device": torch.cuda.get_device_name(device) if is_cuda else processor(),
        "cores": os.cpu_count() or 1,
        "python": platform.python_version(),
        **{name: text for name, text in found.items() if text},
    }


def processor() -> str:
    """Return the name of the processor, as far as the system tells."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if "model name" in line]
    return names[0] if names else platform.processor()


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
