"""Stage 1, the memory-efficient U-net: the authors' network exactly.

Wang, Blackie, Miguel-Aliaga and Bai, "Memory-efficient Segmentation of
High-resolution Volumetric MicroCT Images", MIDL 2022, arXiv:2205.15941. Layers,
channels and state-dict names follow the class `UNet3d` of the authors' published
notebook (github.com/Virgil3706/Memory-efficient-U-net, cells 30 and 51), so their
checkpoints load. The paper's *local* patch passes through all stages
(`MeUNet.forward`); its 1.5 times larger *expanded* patch is trained with the same
weights at half resolution (`MeUNet.expanded_logits`) and plays no part in inference.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from napari_meunet.network.stage import ConvStage, Pool

FEATURES = (16, 32, 64, 128, 128)
"""Channels of enc1 ... enc5 in the authors' notebook, cell 30."""


class _Dummy(nn.Module):
    """Holds the authors' unused scalar, so that their state dicts load strictly.

    They needed an input with a gradient for reentrant checkpointing; here nothing
    uses it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.dummy = nn.Parameter(torch.ones(1))


class MeUNet(nn.Module):
    """The memory-efficient U-net of stage 1.

    Parameters
    ----------
    n_classes
        Classes, background included.
    features
        Channels of the five encoder stages.
    """

    def __init__(self, *, n_classes: int, features: Sequence[int] = FEATURES) -> None:
        super().__init__()
        f1, f2, f3, f4, f5 = features
        self.dummy_layer = _Dummy()
        self.enc1 = ConvStage(1, f1)
        self.enc2 = ConvStage(f1, f2)
        self.enc3 = ConvStage(f2, f3)
        self.enc4 = ConvStage(f3, f4)
        self.enc5 = ConvStage(f4, f5)
        self.dec4 = ConvStage(f4 + f5, f3)
        self.dec3 = ConvStage(f3 + f3, f2)
        self.dec2 = ConvStage(f2 + f2, f1)
        self.dec1 = ConvStage(f1 + f1, f1)
        self.conv_out = nn.Conv3d(f1, n_classes, kernel_size=1)
        self.global_out = nn.Conv3d(f1, n_classes, kernel_size=1)
        self.pool = Pool()

    def forward(self, image: Tensor) -> Tensor:  # n 1 z y x
        """Return the logits of a local patch, ``(n, n_classes, z, y, x)``."""
        logits: Tensor = self.conv_out(self.features(image))
        return logits

    def features(self, image: Tensor) -> Tensor:  # n 1 z y x
        """Return the last features, ``(n, features[0], z, y, x)``."""
        return self.features_and_half(image)[0]

    def features_and_half(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Return what `conv_out` reads, and at half resolution what `global_out` does.

        Both are ``(n, features[0], z, y, x)``, the latter with half the voxels along
        each axis.
        """
        skip1 = self.enc1(image)  # n 16 z y x
        half = self._half_resolution(self.pool(skip1))  # n 16 z/2 y/2 x/2
        return self.dec1(skip1, half), half

    def expanded_logits(self, image: Tensor) -> Tensor:  # n 1 z y x
        """Return the logits of an expanded patch at half resolution.

        The full-resolution encoder stage runs without gradient and the
        full-resolution decoder stage not at all (notebook cell 30): that is what
        makes the network memory-efficient.
        """
        with torch.no_grad():
            pooled = self.pool(self.enc1(image))
        logits: Tensor = self.global_out(self._half_resolution(pooled))
        return logits

    def _half_resolution(self, pooled: Tensor) -> Tensor:  # n 16 z/2 y/2 x/2
        skip2 = self.enc2(pooled)  # n 32 z/2
        skip3 = self.enc3(self.pool(skip2))  # n 64 z/4
        skip4 = self.enc4(self.pool(skip3))  # n 128 z/8
        deepest = self.enc5(self.pool(skip4))  # n 128 z/16
        deep4 = self.dec4(skip4, deepest)  # n 64 z/8
        deep3 = self.dec3(skip3, deep4)  # n 32 z/4
        deep2: Tensor = self.dec2(skip2, deep3)  # n 16 z/2
        return deep2
