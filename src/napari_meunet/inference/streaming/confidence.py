"""How sure a network is of its labels, block by block of 4 x 4 x 4 voxels.

A voxel's confidence is the probability that softmax gives to its label. One minus it is
the chance that the label is wrong, as far as the network knows, so a block's mean tells
how many wrong voxels to expect there.
"""

import torch
from torch import Tensor
from torch.nn import functional

from napari_meunet.inference.streaming.schedule import BLOCK


def confidence(logits: Tensor, best: Tensor) -> Tensor:
    """Return the probability of the likeliest class, float32.

    Parameters
    ----------
    logits
        Of all classes, along the first axis.
    best
        Their maximum.
    """
    total = torch.zeros_like(best, dtype=torch.float32)
    for logit in logits:
        total += (logit - best).exp_()
    return total.reciprocal_()


class BlockMeans:
    """Means over blocks, from values that come some rows at a time.

    Parameters
    ----------
    shape
        Voxels along (z, y, x), multiples of `BLOCK`.
    device
        Where the values are.
    """

    def __init__(self, shape: tuple[int, int, int], device: torch.device) -> None:
        z, y, x = shape
        # Bands have an even number of rows: half a block of them or more.
        self._halves = torch.zeros((z // BLOCK, y // 2, x // BLOCK), device=device)

    def add(self, rows: slice, values: Tensor) -> None:
        """Take the values ``(z, rows, x)``; `rows` begin and end at even numbers."""
        z, _, x = self._halves.shape
        halves = slice(rows.start // 2, rows.stop // 2)
        planes = functional.avg_pool2d(values, (2, BLOCK))
        self._halves[:, halves] = planes.view(z, BLOCK, -1, x).mean(1)

    def means(self) -> Tensor:
        """Return the means ``(z/4, y/4, x/4)``, float32; 0 where none have come."""
        return (self._halves[:, ::2] + self._halves[:, 1::2]) / 2
