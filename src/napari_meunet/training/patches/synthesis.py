"""Images made up from label maps: the shapes are true, all else is random.

After Billot et al., "SynthSeg: Segmentation of brain MRI scans of any contrast and
resolution without retraining", Medical Image Analysis 86 (2023), arXiv:2107.09559, with
the artefacts of a microCT scanner. A network that has seen every contrast has to go by
shape, and has a chance on a scan unlike any it was shown.
"""

import torch
from torch import Tensor
from torch.nn import functional

from napari_meunet.training.label_values import IGNORE
from napari_meunet.training.patches.draws import between, happens, noise, uniform

MOST_PARTS = 6
"""Tissues that the background is divided into, at most."""

LEAST_STEP, GREATEST_STEP = 4, 24
"""Voxels between the control points of smooth random fields."""


def synthesised(labels: Tensor, generator: torch.Generator) -> Tensor:
    """Return a made-up scan of a label map.

    Every class, and each of some made-up tissues of the background, gets a random grey
    value and grain; then come blur, coarse voxels, uneven brightness, rings and noise,
    each at random.

    Parameters
    ----------
    labels
        ``(z, y, x)`` uint8; voxels with `IGNORE` count as background.
    generator
        Source of randomness, on the CPU.

    Returns
    -------
    Tensor
        ``(1, z, y, x)`` float32 in [0, 1], on the device of the labels.
    """
    shape, device = tuple(labels.shape), labels.device
    parts = _parts(shape, generator, device)
    background = (labels == 0) | (labels == IGNORE)
    regions = torch.where(background, parts, labels.long() + MOST_PARTS)
    n_regions = MOST_PARTS + IGNORE + 1
    grey = torch.rand(n_regions, generator=generator).to(device)
    grain = 0.2 * torch.rand(n_regions, generator=generator).to(device)
    texture = _smooth(shape, between(1, 4, generator), generator, device)
    image = grey[regions] + grain[regions] * texture
    return _scanned(image, generator).unsqueeze(0)


def _scanned(image: Tensor, generator: torch.Generator) -> Tensor:
    """Look at the image through a random scanner."""
    shape, device = tuple(image.shape), image.device
    if happens(0.5, generator):
        image = _coarsened(image, between(1, 3, generator))
    bias = _smooth(shape, max(shape) / 2, generator, device)
    image = image * (1 + 0.15 * bias)
    if happens(0.3, generator):
        image = image + 0.05 * _rings(shape, generator, device)
    grain = noise(shape, generator, device)
    return (image + 0.1 * uniform(generator) * grain).clamp(0, 1)


def _parts(
    shape: tuple[int, ...], generator: torch.Generator, device: torch.device
) -> Tensor:
    """Return ``shape`` numbers of connected made-up tissues, at least one of them."""
    n = int(torch.randint(1, MOST_PARTS + 1, (1,), generator=generator))
    step = between(LEAST_STEP, GREATEST_STEP, generator)
    fields = [_smooth(shape, step, generator, device) for _ in range(n)]
    return torch.stack(fields).argmax(dim=0)


def _smooth(
    shape: tuple[int, ...],
    step: float,
    generator: torch.Generator,
    device: torch.device,
) -> Tensor:
    """Return a random field that changes over about `step` voxels, about -1 to 1."""
    coarse = [max(2, round(n / step)) for n in shape]
    points = 2 * torch.rand(1, 1, *coarse, generator=generator) - 1
    field = functional.interpolate(
        points.to(device), size=shape, mode="trilinear", align_corners=True
    )
    smooth: Tensor = field[0, 0]
    return smooth


def _coarsened(image: Tensor, factor: float) -> Tensor:
    """Return the image as voxels `factor` times larger would show it."""
    size = [max(2, round(n / factor)) for n in image.shape]
    coarse = functional.interpolate(image[None, None], size=size, mode="area")
    fine = functional.interpolate(
        coarse, size=image.shape, mode="trilinear", align_corners=False
    )
    coarsened: Tensor = fine[0, 0]
    return coarsened


def _rings(
    shape: tuple[int, ...], generator: torch.Generator, device: torch.device
) -> Tensor:
    """Return rings about a random point of the section, the same in every plane.

    A faulty detector pixel sees the specimen from all sides at one distance from the
    axis of rotation.
    """
    _, n_y, n_x = shape
    center = torch.rand(2, generator=generator) * torch.tensor([n_y, n_x])
    y = torch.arange(n_y)[:, None] - center[0]
    x = torch.arange(n_x) - center[1]
    radius = (y**2 + x**2).sqrt().long()
    profile = torch.randn(int(radius.max()) + 1, generator=generator)
    profile = profile * (torch.rand(len(profile), generator=generator) < 0.2)
    return profile[radius].to(device).expand(shape)
