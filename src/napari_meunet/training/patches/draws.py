"""Random numbers that decide about a patch: few of them, and the same everywhere.

They come from a generator on the processor. Noise, one number a voxel, is made where
the patch is.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

GREATEST_SEED = 2**62


def uniform(generator: torch.Generator) -> float:
    """Return a number in [0, 1)."""
    return float(torch.rand(1, generator=generator))


def between(low: float, high: float, generator: torch.Generator) -> float:
    """Return a number from `low` to `high`."""
    return low + (high - low) * uniform(generator)


def happens(probability: float, generator: torch.Generator) -> bool:
    """Return whether something of this probability does."""
    return uniform(generator) < probability


def noise(
    shape: Sequence[int], generator: torch.Generator, device: torch.device
) -> Tensor:
    """Return normal noise of deviation 1 on a device; its numbers depend on it."""
    if device.type == "cpu":
        return torch.randn(*shape, generator=generator)
    seed = int(torch.randint(GREATEST_SEED, (1,), generator=generator))
    there = torch.Generator(device).manual_seed(seed)
    return torch.randn(*shape, generator=there, device=device)
