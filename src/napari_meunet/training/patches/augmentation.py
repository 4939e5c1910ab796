"""Random changes to training patches, on the device that trains."""

import math
from dataclasses import dataclass
from typing import Literal, NamedTuple, Self

import torch
from torch import Tensor
from torch.nn import functional

from napari_meunet.config import TrainingConfig, Turn
from napari_meunet.network.orientations import orientations
from napari_meunet.training.label_values import IGNORE
from napari_meunet.training.patches.affine import random_affine
from napari_meunet.training.patches.draws import happens
from napari_meunet.training.patches.grey import regrey
from napari_meunet.training.patches.synthesis import synthesised

MARGIN = 1.25
"""A patch to be turned or zoomed is cut out so much larger."""

GREATEST_TURN = math.radians(30)
"""About a random axis; right angles come on top where they are allowed."""

GREATEST_ZOOM = 1.3
"""Along each axis for itself, up or down."""

CONTROL_POINTS = 6
"""Along each axis, of the elastic deformation."""

GREATEST_SHIFT = 0.06
"""Of a control point, as a fraction of the patch."""


def learns_detail(config: TrainingConfig) -> bool:
    """Tell whether patches are drawn and moved so that labels may be finer."""
    return config.sampling == "balanced" and config.augmentation != "affine"


class Moved(NamedTuple):
    """Images and labels after all that happens to them, of one patch or of several.

    Attributes
    ----------
    images
        ``(n, 1, z, y, x)``.
    labels
        ``(n, z, y, x)`` uint8.
    offsets
        ``(n, 3)`` voxels along (z, y, x), from the middle of a voxel to the place in it
        whose label that is; zeros if there is one label in a voxel.
    """

    images: Tensor
    labels: Tensor
    offsets: Tensor


@dataclass(frozen=True)
class Augmentation:
    """What may happen to a patch.

    Attributes
    ----------
    deform
        Fraction of the patches that are turned, zoomed and bent by any amount.
    mirror
        Whether a mirror image along any axis is as good as the original. False for
        classes that differ by their side alone, as left and right do.
    synthetic
        Fraction of the patches whose image is made up from their labels.
    kind
        ``"full"`` flips, turns by right angles, and changes grey values, see
        `napari_meunet.training.patches.grey`.
        ``"none"`` does nothing, whatever the rest says.
        ``"affine"`` does neither, nor does it bend: see
        `napari_meunet.training.patches.affine`. It never mirrors.
    turn
        About which axes a patch may be turned by right angles: all, z alone, or
        none, for classes that differ by their direction alone, as fibres do.
    """

    deform: float
    mirror: bool
    synthetic: float = 0.0
    kind: Literal["full", "none", "affine"] = "full"
    turn: Turn = "any"

    @classmethod
    def of(cls, config: TrainingConfig) -> Self:
        """Return what a training asks for."""
        return cls(
            config.deform,
            config.mirror,
            config.synthetic,
            config.augmentation,
            config.turn,
        )

    def drawn_size(self, size: int) -> int:
        """Return the edge of the patches to cut out for patches of edge `size`."""
        bends = self.deform and self.kind == "full"
        return 2 * round(size * MARGIN / 2) if bends else size

    def greatest_shift(self, size: int) -> int:
        """Return how far off its middle a patch may show what it was drawn for.

        A quarter of what is cut out for the local patch of edge `size`, which is less
        than half of that patch: an expanded one is not cut further off.
        """
        return self.drawn_size(size) // 4

    def apply(self, image: Tensor, labels: Tensor, size: int, seed: int) -> Moved:
        """Return image and labels of edge `size`, moved together.

        Of labels that are finer than the image, one is taken from each voxel, from the
        same corner of all voxels of a patch, at random of those with a label. Where
        that is beyond the middles of the outermost voxels, there is none.

        Parameters
        ----------
        image
            ``(n, 1, z, y, x)``, cubes of edge `drawn_size`; values in [0, 1] unless
            the kind is affine.
        labels
            ``(n, z, y, x)`` uint8, as large or `detail` times as large. What the full
            augmentation turns in from beyond the patch becomes `IGNORE`.
        size
            Edge of the result.
        seed
            Of the randomness.
        """
        generator = torch.Generator().manual_seed(seed)
        # places in half precision would be off by a part of a voxel
        with torch.autocast(image.device.type, enabled=False):
            patches = [
                self._changed(one, truth, size, generator)
                for one, truth in zip(image, labels, strict=True)
            ]
        images, truths, offsets = zip(*patches, strict=True)
        return Moved(torch.stack(images), torch.stack(truths), torch.stack(offsets))

    def _changed(
        self, image: Tensor, labels: Tensor, size: int, generator: torch.Generator
    ) -> Moved:
        """Return a patch with all that happens to it, of edge `size`."""
        image, labels, offset = self._moved(image, labels, size, generator)
        if happens(self.synthetic, generator):
            image, offset = synthesised(labels, generator), torch.zeros(3)
        if self.kind == "full":
            image = regrey(image, generator)
        return Moved(image, labels, offset)

    def _moved(
        self, image: Tensor, labels: Tensor, size: int, generator: torch.Generator
    ) -> Moved:
        """Return both as the augmentation moves them, of edge `size`."""
        deforms = self.kind != "none" and happens(self.deform, generator)
        if self.kind == "affine":
            patch = _center(image, size), _center(labels, size)
            moved = random_affine(*patch, generator) if deforms else patch
            return Moved(*moved, torch.zeros(3))
        offset = _random_offset(labels, labels.shape[-1] // image.shape[-1], generator)
        if deforms:
            patch = _deformed(image, labels, size, offset, generator)
        else:
            patch = _center(image, size), _center(_taken(labels, image, offset), size)
        if self.kind == "none":
            return Moved(patch[0], _known_between(patch[1].clone(), offset), offset)
        ways = orientations(self.turn, mirror=self.mirror)
        order, flips = ways[int(torch.randint(len(ways), (1,), generator=generator))]
        image = patch[0].permute(0, *(a + 4 for a in order)).flip(flips)
        labels = patch[1].permute(*(a + 3 for a in order)).flip(flips)
        offset = offset[list(order)]
        offset[list(flips)] *= -1
        labels = _known_between(labels.contiguous(), offset)
        return Moved(image.contiguous(), labels, offset)


def _center(patch: Tensor, size: int) -> Tensor:
    start = (patch.shape[-1] - size) // 2
    return patch[..., start : start + size, start : start + size, start : start + size]


def _random_offset(labels: Tensor, detail: int, generator: torch.Generator) -> Tensor:
    """Return the middle of one of `detail` parts of a voxel along each axis.

    Where planes were painted, many parts have no label in any voxel: one of the others.
    """
    if detail == 1:
        return torch.zeros(3)
    for number in torch.randperm(detail**3, generator=generator).tolist():
        part = (number // detail**2, number // detail % detail, number % detail)
        offset = (torch.tensor(part) + 0.5) / detail - 0.5
        if (_part(labels, detail, offset) != IGNORE).any():
            break
    return offset


def _taken(labels: Tensor, image: Tensor, offset: Tensor) -> Tensor:
    """Return one of the labels in every voxel of an image, that at an offset."""
    return _part(labels, labels.shape[-1] // image.shape[-1], offset)


def _part(labels: Tensor, detail: int, offset: Tensor) -> Tensor:
    first = ((offset + 0.5) * detail).floor().int().tolist()
    z, y, x = (slice(start, None, detail) for start in first)
    return labels[z, y, x]


def _known_between(labels: Tensor, offset: Tensor) -> Tensor:
    """Forget labels beyond the outermost middles: nothing is known to be there."""
    for axis, aside in enumerate(offset.tolist()):
        if aside:
            labels.narrow(axis, -1 if aside > 0 else 0, 1).fill_(IGNORE)
    return labels


def _deformed(
    image: Tensor,
    labels: Tensor,
    size: int,
    offset: Tensor,
    generator: torch.Generator,
) -> tuple[Tensor, Tensor]:
    """Turn, zoom and bend; linear for the image, nearest for the labels.

    Those are taken at an offset from the middles of the voxels that result.
    """
    drawn, device = image.shape[-1], image.device
    places = torch.arange(size, device=device) - (size - 1) / 2
    axis = places * (2 / drawn)  # centre 0, as below
    grid = torch.stack(torch.meshgrid(axis, axis, axis, indexing="ij")[::-1], dim=-1)
    shift = _bend(size, generator, device) * (2 * GREATEST_SHIFT * size / drawn)
    grid = grid @ _random_map(generator).to(device) + shift  # z y x (x y z)
    aside = _aside(grid, offset).unsqueeze(0)
    grid = grid.unsqueeze(0)
    moved = functional.grid_sample(
        image.unsqueeze(0), grid, padding_mode="reflection", align_corners=False
    )
    # 1 is added so that the zeros from beyond the patch can be told from background
    numbers = labels.float()[None, None] + 1
    found = functional.grid_sample(numbers, aside, mode="nearest", align_corners=False)
    truth = torch.where(found > 0, found - 1, IGNORE).to(torch.uint8)
    return moved[0], truth[0, 0]


def _aside(grid: Tensor, offset: Tensor) -> Tensor:
    """Return what a smooth grid ``(z, y, x, 3)`` is at an offset from its points."""
    if not offset.any():
        return grid
    slopes = torch.gradient(grid, dim=(0, 1, 2))
    aside = zip(offset.tolist(), slopes, strict=True)
    moved: Tensor = grid + sum(by * slope for by, slope in aside)
    return moved


def _random_map(generator: torch.Generator) -> Tensor:
    """Return ``(3, 3)``: a rotation about a random axis times a zoom of each axis."""
    axis = functional.normalize(torch.randn(3, generator=generator), dim=0)
    x, y, z = axis.tolist()
    cross = torch.tensor([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    angle = (2 * torch.rand(1, generator=generator) - 1) * GREATEST_TURN
    rotation = torch.linalg.matrix_exp(angle * cross)
    exponents = 2 * torch.rand(3, generator=generator) - 1
    return torch.matmul(rotation, torch.diag(GREATEST_ZOOM**exponents))


def _bend(size: int, generator: torch.Generator, device: torch.device) -> Tensor:
    """Return a smooth field ``(z, y, x, 3)`` within [-1, 1]."""
    points = 2 * torch.rand(1, 3, *(CONTROL_POINTS,) * 3, generator=generator) - 1
    field = functional.interpolate(
        points.to(device), size=(size,) * 3, mode="trilinear", align_corners=True
    )
    bend: Tensor = field[0].movedim(0, -1)
    return bend
