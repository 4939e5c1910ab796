"""Stage 2 begins where stage 1 ended, and not from nothing."""

from typing import Any

import torch
from torch import Tensor, nn

from napari_meunet.network.cascade import Cascade


@torch.no_grad()
def hand_over(cascade: Cascade, image: Tensor) -> None:
    """Let a post-concatenation give what stage 1 gives, until it learns better.

    The convolutions that join the stages pass the features of stage 1 through, and
    the head is that of stage 1. Batch normalisation takes a mean and a deviation away
    in between; scale and offset give those of `image` back. Stage 2 weighs nothing at
    first, but its weights have gradients.

    The same image gives the same weights, whatever they were before.

    Parameters
    ----------
    cascade
        Whose stage 1 is trained; its fusion is ``"post"``.
    image
        A batch ``(n, 1, z, y, x)``.
    """
    features1 = cascade.stage1.eval().features(image).float()
    variance, mean = torch.var_mean(features1, dim=(0, 2, 3, 4), correction=0)
    blocks: Any = cascade.fuse
    for convolution, norm, _ in blocks:
        nn.init.dirac_(convolution.weight)
        nn.init.zeros_(convolution.bias)
        norm.weight.copy_((variance + norm.eps).sqrt())
        norm.bias.copy_(mean)
    cascade.conv_out.load_state_dict(cascade.stage1.conv_out.state_dict())
