"""Stage 2 begins where stage 1 ended, and not from nothing."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from napari_meunet.network.cascade import Cascade


@torch.no_grad()
def hand_over(cascade: Cascade, images: Iterable[Tensor]) -> None:
    """Let a post-concatenation give what stage 1 gives, until it learns better.

    The convolutions that join the stages pass the features of stage 1 through, and
    the head is that of stage 1. Batch normalisation takes a mean and a deviation away
    in between; scale and offset give back those of all images together. So it holds
    for the network in use, and in training about as well as a batch is like the
    others. The features of stage 2 weigh nothing at first; their weights learn from
    the first step on, and stage 2 itself from the second.

    The same images give the same weights, whatever they were before.

    Parameters
    ----------
    cascade
        Whose stage 1 is trained; its fusion is ``"post"``.
    images
        Batches ``(n, 1, z, y, x)``, at least one.
    """
    mean, variance = _moments(cascade.stage1.eval().features(i) for i in images)
    blocks: Any = cascade.fuse
    for convolution, norm, _ in blocks:
        nn.init.dirac_(convolution.weight)
        nn.init.zeros_(convolution.bias)
        norm.running_mean.copy_(mean)
        norm.running_var.copy_(variance)
        norm.weight.copy_((variance + norm.eps).sqrt())
        norm.bias.copy_(mean)
    cascade.conv_out.load_state_dict(cascade.stage1.conv_out.state_dict())


def _moments(batches: Iterable[Tensor]) -> tuple[Tensor, Tensor]:
    """Return mean and variance of every channel over batches of equal size."""
    found = [_moments_of(batch) for batch in batches]
    mean, square = (torch.stack(each).mean(dim=0) for each in zip(*found, strict=True))
    return mean, (square - mean**2).clamp(min=0)


def _moments_of(batch: Tensor) -> tuple[Tensor, Tensor]:
    """Return the mean of values and of squares, float32 without a float32 copy."""
    axes, n = (0, 2, 3, 4), batch[:, 0].numel()
    norm = torch.linalg.vector_norm(batch, dim=axes, dtype=torch.float32)
    return batch.mean(axes, dtype=torch.float32), norm**2 / n
