"""What is minimised: one module for each phase of the training.

A forward pass returns the loss, so that a wrapper for several devices sees one call a
step. A batch counts once in the BatchNorm statistics, however often it passes.
"""

from itertools import product
from typing import Self

import torch
from torch import Tensor, nn

from napari_meunet.network.cascade import Cascade
from napari_meunet.network.meunet import MeUNet
from napari_meunet.network.stage import statistics_kept
from napari_meunet.training.label_values import IGNORE
from napari_meunet.training.loop.losses import (
    Loss,
    at_offsets,
    segmentation_loss,
)
from napari_meunet.training.memory.step import Phase

STAGE1_SHARE = 0.5
"""Weight of the losses of stage 1 while both stages learn together (our choice)."""


def half_labels(labels: Tensor) -> Tensor:
    """Return the labels ``(n, z, y, x)`` with half the voxels along each axis.

    The first of every 2x2x2, as in the authors' notebook, or the next that has a label
    where planes were painted.
    """
    corners = [labels[:, z::2, y::2, x::2] for z, y, x in product((0, 1), repeat=3)]
    half, *others = corners
    for other in others:
        half = torch.where(half == IGNORE, other, half)
    return half


def both_heads_loss(
    stage1: MeUNet,
    features: Tensor,
    half: Tensor,
    labels: Tensor,
    offsets: Tensor | None,
    loss: Loss,
) -> Tensor:
    """Return the sum of the losses of stage 1's heads, at full and half resolution.

    So the expanded patch is the local one, and one pass serves both.
    """
    full = loss(at_offsets(stage1.conv_out(features), offsets), labels)
    coarse = at_offsets(stage1.global_out(half), offsets, 0.5)
    return full + loss(coarse, half_labels(labels))


class Stage1Objective(nn.Module):
    """The sum of the losses of the expanded patch and of the local one at its centre.

    Parameters
    ----------
    cascade
        Its stage 1 is trained.
    patch_size
        Edge of the local patch; the expanded patch is what comes in.
    loss
        Of logits and labels.
    """

    name: Phase = "stage 1"

    def __init__(
        self, cascade: Cascade, patch_size: int, loss: Loss = segmentation_loss
    ) -> None:
        super().__init__()
        self._loss = loss
        self.stage1 = cascade.stage1
        self._patch_size = patch_size
        self.stage1.requires_grad_(requires_grad=True)

    def logits(self, image: Tensor) -> Tensor:
        """Return the logits of images ``(n, 1, z, y, x)``."""
        logits: Tensor = self.stage1(image)
        return logits

    def forward(self, image: Tensor, labels: Tensor, offsets: Tensor | None) -> Tensor:
        """Return the loss of images ``(n, 1, z, y, x)`` and labels ``(n, z, y, x)``.

        These were taken at `offsets`, see `at_offsets`.
        """
        margin = (image.shape[-1] - self._patch_size) // 2
        if not margin:
            features, half = self.stage1.features_and_half(image)
            return both_heads_loss(
                self.stage1, features, half, labels, offsets, self._loss
            )
        center = slice(margin, margin + self._patch_size)
        # first: its stage without a gradient is the widest of all
        with statistics_kept(self.stage1):
            logits = at_offsets(self.stage1.expanded_logits(image), offsets, 0.5)
        loss = self._loss(logits, half_labels(labels))
        local = at_offsets(self.stage1(image[:, :, center, center, center]), offsets)
        return loss + self._loss(local, labels[:, center, center, center])


class Stage2Objective(nn.Module):
    """The loss of stage 2 on the frozen stage 1, which is computed on the fly.

    Parameters
    ----------
    cascade
        All of it but stage 1 is trained.
    loss
        Of logits and labels.
    """

    name: Phase = "stage 2"

    def __init__(self, cascade: Cascade, loss: Loss = segmentation_loss) -> None:
        super().__init__()
        self._loss = loss
        self.cascade = cascade
        cascade.requires_grad_(requires_grad=True)
        cascade.stage1.requires_grad_(requires_grad=False)

    def train(self, mode: bool = True) -> Self:
        """Leave the frozen stage in evaluation mode."""
        super().train(mode)
        self.cascade.stage1.eval()
        return self

    def logits(self, image: Tensor) -> Tensor:
        """Return the logits of images ``(n, 1, z, y, x)``."""
        logits: Tensor = self.cascade(image)
        return logits

    def forward(self, image: Tensor, labels: Tensor, offsets: Tensor | None) -> Tensor:
        """Return the loss, see `Stage1Objective.forward`."""
        with torch.no_grad():
            features1 = self.cascade.stage1.features(image)
        logits = self.cascade.refined_logits(image, features1)
        return self._loss(at_offsets(logits, offsets), labels)


class JointObjective(nn.Module):
    """The loss of stage 2 and a share of both heads' of stage 1, all with gradients.

    Parameters
    ----------
    cascade
        All of it is trained.
    loss
        Of logits and labels.
    """

    name: Phase = "both stages"

    def __init__(self, cascade: Cascade, loss: Loss = segmentation_loss) -> None:
        super().__init__()
        self._loss = loss
        self.cascade = cascade
        cascade.requires_grad_(requires_grad=True)

    def logits(self, image: Tensor) -> Tensor:
        """Return the logits of images ``(n, 1, z, y, x)``."""
        logits: Tensor = self.cascade(image)
        return logits

    def forward(self, image: Tensor, labels: Tensor, offsets: Tensor | None) -> Tensor:
        """Return the loss, see `Stage1Objective.forward`."""
        stage1 = self.cascade.stage1
        features1, half = stage1.features_and_half(image)
        loss1 = both_heads_loss(stage1, features1, half, labels, offsets, self._loss)
        logits = at_offsets(self.cascade.refined_logits(image, features1), offsets)
        return self._loss(logits, labels) + STAGE1_SHARE * loss1


Objective = Stage1Objective | Stage2Objective | JointObjective
