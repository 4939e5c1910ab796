"""From the logits that a stream makes to labels, slab by slab."""

from collections.abc import Iterable
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from napari_meunet.inference.streaming.confidence import BlockMeans, confidence

Bands = Iterable[tuple[slice, Tensor]]
"""Rows of a slab, and their logits ``(n_classes, k, rows, x)``."""


class Labelled(NamedTuple):
    """Labels and how sure they are.

    Attributes
    ----------
    labels
        uint8 ``(k, y, x)``. What lies outside the volume has no meaning.
    confidence
        float32 ``(k/4, y/4, x/4)``, see
        `napari_meunet.inference.streaming.confidence`.
    """

    labels: Tensor
    confidence: Tensor


class Labelling(Protocol):
    """A way from logits to labels."""

    @property
    def delay(self) -> int:
        """Planes by which the labels trail the logits, a multiple of `BLOCK`."""
        ...

    def labelled(self, plane: int, bands: Bands) -> Labelled:
        """Return labels from the logits of a slab.

        Parameters
        ----------
        plane
            First one of the slab.
        bands
            All of it; none where it lies outside the volume, and labels there have no
            meaning.
        """
        ...


class Likeliest:
    """Gives every voxel the class of its greatest logit, ties to the lowest class.

    Parameters
    ----------
    shape
        Voxels of a slab along (z, y, x).
    device
        Where the logits are.
    """

    delay = 0

    def __init__(self, shape: tuple[int, int, int], device: torch.device) -> None:
        self._shape, self._device = shape, device

    def labelled(self, plane: int, bands: Bands) -> Labelled:
        """Return the labels of a slab."""
        labels = torch.empty(self._shape, dtype=torch.uint8, device=self._device)
        blocks = BlockMeans(self._shape, self._device)
        for rows, logits in bands:
            labels[:, rows], best = likeliest(logits)
            blocks.add(rows, confidence(logits, best))
        return Labelled(labels, blocks.means())


def likeliest(scores: Iterable[Tensor]) -> tuple[Tensor, Tensor]:
    """Return the class of the greatest score, of equals the lowest, and that score.

    Parameters
    ----------
    scores
        Of the classes, all of one shape. Class by class they are compared ten times as
        fast as along an axis of classes.
    """
    first, *others = scores
    labels, best = torch.zeros_like(first, dtype=torch.uint8), first.clone()
    for number, score in enumerate(others, start=1):
        torch.maximum(labels, (score > best).view(torch.uint8) * number, out=labels)
        torch.maximum(best, score, out=best)
    return labels, best
