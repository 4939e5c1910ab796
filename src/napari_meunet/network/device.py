"""Which device computes, in which precisions, and how full its memory is."""

import torch

from napari_meunet.errors import MeUNetError


def choose_device(name: str) -> torch.device:
    """Return the device called `name`; ``"auto"`` is CUDA, else MPS, else the CPU.

    Raises
    ------
    MeUNetError
        If the device is not there.
    """
    cuda = torch.cuda.device_count() if torch.cuda.is_available() else 0
    mps = torch.backends.mps.is_available()
    if name == "auto":
        name = "cuda" if cuda else "mps" if mps else "cpu"
    device = torch.device(name)
    there = {"cuda": (device.index or 0) < cuda, "mps": mps, "cpu": True}
    if not there[device.type]:
        raise MeUNetError(
            f"device must be one that torch sees here, got {name!r} with {cuda} CUDA "
            "device(s); run 'meunet doctor', or choose --device cpu"
        )
    return device


def computes_bf16(device: torch.device) -> bool:
    """Return whether `device` multiplies bfloat16 in hardware.

    Emulated bf16 is slower than fp32, so emulation counts as no.
    """
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type == "cpu" and hasattr(torch.cpu, "get_capabilities"):
        return bool(torch.cpu.get_capabilities().get("avx512_bf16"))
    return False


def free_on_cuda(device: torch.device) -> int:
    """Return the bytes free on a CUDA device, with those that torch keeps for reuse."""
    kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return torch.cuda.mem_get_info(device)[0] + kept


def is_out_of_memory(error: BaseException) -> bool:
    """Tell it from other errors: but for CUDA's allocator only the words differ.

    A library that finds no memory to begin with calls itself not initialised.
    """
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    marks = (
        "out of memory",
        "DefaultCPUAllocator",
        "STATUS_ALLOC_FAILED",
        "STATUS_NOT_INITIALIZED",
    )
    return any(mark in str(error) for mark in marks)
