"""The one augmentation of the authors' notebook: MONAI's RandAffine (cell 2)."""

import math

import torch
from torch import Tensor
from torch.nn import functional

GREATEST_TURN = math.pi / 2
"""About each axis, either way."""

GREATEST_SCALING = 0.1
"""Of each axis for itself, up or down, as a fraction."""


def random_affine(
    image: Tensor, labels: Tensor, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Return image and labels turned and scaled about their centre.

    Linear for the image, nearest for the labels; what lies beyond the patch is its
    reflection, which is MONAI's default.

    Parameters
    ----------
    image
        ``(1, z, y, x)`` float32, a cube.
    labels
        ``(z, y, x)`` uint8.
    generator
        Source of randomness, on the CPU.
    """
    numbers = 2 * torch.rand(6, generator=generator) - 1
    scale = torch.diag(1 + GREATEST_SCALING * numbers[3:])
    return moved(image, labels, rotation(GREATEST_TURN * numbers[:3]) @ scale)


def rotation(angles: Tensor) -> Tensor:
    """Return ``(3, 3)``: turns about the axes z, y, x, the last of them first."""
    result = torch.eye(3)
    for axis, angle in enumerate(angles):
        one, other = (a for a in range(3) if a != axis)
        turn = torch.eye(3)
        turn[one, one] = turn[other, other] = angle.cos()
        sign = -1 if axis == 1 else 1  # z turns towards x, not x towards z
        turn[one, other], turn[other, one] = -sign * angle.sin(), sign * angle.sin()
        result = result @ turn
    return result


def moved(image: Tensor, labels: Tensor, matrix: Tensor) -> tuple[Tensor, Tensor]:
    """Return both as seen through a map about the centre.

    Parameters
    ----------
    image, labels
        As in `random_affine`.
    matrix
        ``(3, 3)``, from a place in the result, (z, y, x) from the centre, to the place
        in the patch whose value it gets.
    """
    size = image.shape[-1]
    device = image.device
    axis = (torch.arange(size, device=device) - (size - 1) / 2) * (2 / size)
    places = torch.stack(torch.meshgrid(axis, axis, axis, indexing="ij"), dim=-1)
    grid = (places @ matrix.T.to(device)).flip(-1)[None]  # 1 z y x (x y z)
    images, truths = (
        functional.grid_sample(
            values[None], grid, mode, padding_mode="reflection", align_corners=False
        )[0]
        for values, mode in ((image, "bilinear"), (labels[None].float(), "nearest"))
    )
    return images, truths[0].to(torch.uint8)
