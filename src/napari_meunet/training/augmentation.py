"""Random changes to training patches, on the device that trains."""

import torch
from torch import Tensor


def augmented(
    image: Tensor, labels: Tensor, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Flip, turn and re-light a batch; the same geometry for image and labels.

    Parameters
    ----------
    image
        ``(n, 1, z, y, x)``, values in [0, 1], cubic.
    labels
        ``(n, z, y, x)``.
    generator
        Source of randomness, on the CPU.
    """
    flips = [a for a in (-3, -2, -1) if _chance(generator, 0.5)]
    image, labels = image.flip(flips), labels.flip(flips)
    order = [int(a) for a in torch.randperm(3, generator=generator)]
    image = image.permute(0, 1, *(a + 2 for a in order))
    labels = labels.permute(0, *(a + 1 for a in order))
    return _relit(image.contiguous(), generator), labels.contiguous()


def _relit(image: Tensor, generator: torch.Generator) -> Tensor:
    """Change contrast, brightness, gamma and noise; the range stays [0, 1]."""
    contrast, brightness, gamma, noise = torch.rand(4, generator=generator).tolist()
    image = (image * (0.7 + 0.6 * contrast) + 0.2 * (brightness - 0.5)).clamp(0, 1)
    image = image ** (0.7 + 0.8 * gamma)
    if _chance(generator, 0.5):
        grain = torch.randn(image.shape, generator=generator).to(image.device)
        image = image + 0.08 * noise * grain
    return image.clamp(0, 1)


def _chance(generator: torch.Generator, probability: float) -> bool:
    return bool(torch.rand(1, generator=generator) < probability)
