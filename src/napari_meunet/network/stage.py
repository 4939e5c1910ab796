"""The stage that both networks are made of, and how it remembers what it saw.

A stage is two 3x3x3 convolutions, each with BatchNorm and ReLU. In training it can be
told to keep little and to compute the rest again (activation checkpointing, Chen et
al., "Training deep nets with sublinear memory cost", arXiv:1604.06174).
"""

from collections.abc import Collection, Iterator
from contextlib import contextmanager, nullcontext

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

SMALLEST = 2
"""Voxels along an axis up to which processors compute in fp32: from features of 2^3
voxels in bf16, oneDNN (torch 2.13, AVX512-BF16 without AMX) makes gradients of weights
out of memory that was never written to."""


def conv_block(n_in: int, n_out: int) -> nn.Sequential:
    """Return a 3x3x3 convolution with bias, batch normalisation and ReLU."""
    return nn.Sequential(
        nn.Conv3d(n_in, n_out, kernel_size=3, padding=1),
        nn.BatchNorm3d(n_out),
        nn.ReLU(inplace=True),
    )


def join(skip: Tensor, deep: Tensor) -> Tensor:
    """Upsample `deep` to the size of `skip` (nearest) and put `skip` before it."""
    if deep.shape[2:] != skip.shape[2:]:
        deep = functional.interpolate(deep, size=skip.shape[2:], mode="nearest")
    return torch.cat((skip, deep), dim=1)


class Pool(nn.MaxPool3d):
    """The maximum of every 2x2x2 voxels, in the precision that they come in.

    On processors, autocast would pool in fp32: the same values from twice the memory,
    in three times the time.
    """

    def __init__(self) -> None:
        super().__init__(2, 2)

    def forward(self, features: Tensor) -> Tensor:  # n c z y x
        """Return features of half the size, ``(n, c, z/2, y/2, x/2)``."""
        with torch.autocast(features.device.type, enabled=False):
            pooled: Tensor = super().forward(features)
        return pooled


class ConvStage(nn.Sequential):
    """Two convolution blocks, ``n_in -> n_out -> n_out`` channels.

    Parameters
    ----------
    n_in, n_out
        Channels.

    Attributes
    ----------
    recomputed
        Whether training keeps nothing of the stage but what comes in and what goes
        out, and computes the rest again when it needs it for the gradient. What is
        learnt is the same; it takes less memory and more time.
    """

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__(conv_block(n_in, n_out), conv_block(n_out, n_out))
        self.recomputed = False

    def forward(self, *inputs: Tensor) -> Tensor:
        """Return the features of one input, or of a skip and a deep one to `join`."""
        if not (self.recomputed and torch.is_grad_enabled()):
            return self._features(*inputs)
        features: Tensor = checkpoint(
            self._features,
            *inputs,
            use_reentrant=False,
            preserve_rng_state=False,  # nothing is random here
            context_fn=lambda: (nullcontext(), statistics_kept(self)),
        )
        return features

    def _features(self, *inputs: Tensor) -> Tensor:
        features = inputs[0] if len(inputs) == 1 else join(*inputs)
        is_small = min(features.shape[2:]) <= SMALLEST
        if (
            features.device.type == "cpu"
            and is_small
            and torch.is_autocast_enabled("cpu")
        ):
            with torch.autocast("cpu", enabled=False):
                return self._convolved(features.float()).to(features.dtype)
        return self._convolved(features)

    def _convolved(self, features: Tensor) -> Tensor:
        for block in self:
            features = block(features)
        return features


def conv_stages(network: nn.Module) -> dict[str, ConvStage]:
    """Return the stages of a network by the names of their modules."""
    named = network.named_modules()
    return {name: stage for name, stage in named if isinstance(stage, ConvStage)}


def recompute(network: nn.Module, names: Collection[str]) -> None:
    """Have the stages with these names, and no others, computed again in training."""
    for name, stage in conv_stages(network).items():
        stage.recomputed = name in names


def norms(module: nn.Module) -> list[nn.BatchNorm3d]:
    """Return the batch normalisations that gather statistics: those in training."""
    return [m for m in module.modules() if isinstance(m, nn.BatchNorm3d) and m.training]


def freeze_statistics(module: nn.Module) -> None:
    """Let batch normalisations do in training what they do in use, and gather nothing.

    Until ``module.train()`` is called again.
    """
    for norm in norms(module):
        norm.eval()


@contextmanager
def statistics_kept(module: nn.Module) -> Iterator[None]:
    """Normalise by the batch in the block, as in training, but remember nothing.

    The momentum becomes 0 rather than the tracking being switched off, so that a stage
    that is computed again saves the same tensors as at the first time.
    """
    gathering = norms(module)
    before = [(norm.momentum, norm.num_batches_tracked) for norm in gathering]
    for norm in gathering:
        norm.momentum, norm.num_batches_tracked = 0.0, None
    try:
        yield
    finally:
        for norm, (momentum, n_batches) in zip(gathering, before, strict=True):
            norm.momentum, norm.num_batches_tracked = momentum, n_batches
