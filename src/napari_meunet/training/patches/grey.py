"""Random changes of grey values, each in a fraction of the patches.

The fractions are nnU-Net's (Isensee et al., Nature Methods 18, 203-211, 2021;
``nnUNetTrainer.get_training_transforms``), less its low resolution and its inverted
gamma. The changes of brightness and gamma are half as strong as there, for scans are
scaled by their percentiles before: a network whose patches were all changed strongly
learned far more slowly. ``docs/training.md`` has the figures.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from napari_meunet.training.patches.draws import between, happens, noise

GREATEST_NOISE = 0.06
"""Standard deviation."""


def regrey(image: Tensor, generator: torch.Generator) -> Tensor:
    """Return the image with some of the changes.

    Parameters
    ----------
    image
        ``(1, z, y, x)`` in [0, 1], and so is the result.
    generator
        Source of randomness, on the CPU.
    """
    for probability, change in CHANGES:
        if happens(probability, generator):
            image = change(image, generator).clamp(0, 1)
    return image


def noisy(image: Tensor, generator: torch.Generator) -> Tensor:
    """Add Gaussian noise."""
    grain = noise(image.shape, generator, image.device)
    return image + between(0, GREATEST_NOISE, generator) * grain


def blurred(image: Tensor, _: torch.Generator) -> Tensor:
    """Average over three voxels along each axis."""
    return functional.avg_pool3d(image, 3, stride=1, padding=1, count_include_pad=False)


def brighter(image: Tensor, generator: torch.Generator) -> Tensor:
    """Multiply by a factor: brighter or darker."""
    return image * between(0.88, 1.12, generator)


def contrasted(image: Tensor, generator: torch.Generator) -> Tensor:
    """Move values away from their mean, or towards it."""
    mean = image.mean()
    return mean + (image - mean) * between(0.8, 1.25, generator)


def bent(image: Tensor, generator: torch.Generator) -> Tensor:
    """Raise to a power: bends the scale of values, and leaves its ends."""
    return image ** between(0.85, 1.2, generator)


Change = Callable[[Tensor, torch.Generator], Tensor]

CHANGES: tuple[tuple[float, Change], ...] = (
    (0.1, noisy),
    (0.1, blurred),
    (0.15, brighter),
    (0.15, contrasted),
    (0.3, bent),
)
"""The fraction of the patches that is changed, and how; in this order."""
