"""Stage 2 and the cascade: our design, because the authors' is not published.

The abstract of arXiv:2205.15941 says that the features of the two stages are
connected via *post-concatenation*; the wiring itself was not available to us, nor is
it in the authors' notebook. What follows is therefore our reading:

- ``fusion="post"`` (default): stage 2 sees the image alone; its last features are
  concatenated with those of stage 1, and two convolutions and the head follow;
- ``fusion="pre"``: the class probabilities of stage 1 are concatenated with the image
  before stage 2, as most cascades do;
- ``fusion="none"``: stage 1 alone, which is what the authors published.
"""

from collections.abc import Sequence
from typing import Literal

from torch import Tensor, nn

from napari_meunet.network.card import NetworkConfig
from napari_meunet.network.meunet import FEATURES, MeUNet
from napari_meunet.network.stage import ConvStage, Pool

Fusion = Literal["post", "pre", "none"]

REFINEMENT_FEATURES = (8, 16, 32)
"""Channels of stage 2: half of stage 1's, for it needs detail rather than context."""


class RefinementUNet(nn.Module):
    """A U-net of three levels at full resolution, without a head.

    Parameters
    ----------
    in_channels
        1 for the image alone, ``1 + n_classes`` with the probabilities of stage 1.
    features
        Channels of the three encoder stages.
    """

    def __init__(
        self, *, in_channels: int, features: Sequence[int] = REFINEMENT_FEATURES
    ) -> None:
        super().__init__()
        f1, f2, f3 = features
        self.enc1 = ConvStage(in_channels, f1)
        self.enc2 = ConvStage(f1, f2)
        self.enc3 = ConvStage(f2, f3)
        self.dec2 = ConvStage(f2 + f3, f1)
        self.dec1 = ConvStage(f1 + f1, f1)
        self.pool = Pool()

    def forward(self, *inputs: Tensor) -> Tensor:  # n in_channels z y x, together
        """Return the last features, ``(n, features[0], z, y, x)``."""
        skip1 = self.enc1(*inputs)  # n 8 z y x
        skip2 = self.enc2(self.pool(skip1))  # n 16 z/2
        deepest = self.enc3(self.pool(skip2))  # n 32 z/4
        deep2 = self.dec2(skip2, deepest)  # n 8 z/2
        features: Tensor = self.dec1(skip1, deep2)  # n 8 z y x
        return features


class Cascade(nn.Module):
    """Both stages and what joins them.

    Parameters
    ----------
    n_classes
        Classes, background included.
    features, refinement_features
        Channels of the encoder stages of stage 1 and stage 2.
    fusion
        How the stages are joined, see the module's first lines.

    Attributes
    ----------
    network
        The architecture: these parameters.
    """

    def __init__(
        self,
        *,
        n_classes: int,
        features: Sequence[int] = FEATURES,
        refinement_features: Sequence[int] = REFINEMENT_FEATURES,
        fusion: Fusion = "post",
    ) -> None:
        super().__init__()
        self.network = NetworkConfig(
            n_classes=n_classes,
            features=tuple(features),
            refinement_features=tuple(refinement_features),
            fusion=fusion,
        )
        self.fusion = fusion
        self.stage1 = MeUNet(n_classes=n_classes, features=features)
        if fusion == "none":
            return
        in_channels = 1 + n_classes if fusion == "pre" else 1
        self.stage2 = RefinementUNet(
            in_channels=in_channels, features=refinement_features
        )
        n_last = refinement_features[0]
        if fusion == "post":
            self.fuse = ConvStage(features[0] + n_last, features[0])
            n_last = features[0]
        self.conv_out = nn.Conv3d(n_last, n_classes, kernel_size=1)

    def forward(self, image: Tensor) -> Tensor:  # n 1 z y x
        """Return the logits, ``(n, n_classes, z, y, x)``."""
        features1 = self.stage1.features(image)
        if self.fusion == "none":
            return self.stage1.conv_out(features1)  # type: ignore[no-any-return]
        return self.refined_logits(image, features1)

    def refined_logits(self, image: Tensor, features1: Tensor) -> Tensor:
        """Return the logits of stage 2.

        Parameters
        ----------
        image
            ``(n, 1, z, y, x)``.
        features1
            Last features of stage 1, ``(n, features[0], z, y, x)``.
        """
        if self.fusion == "pre":
            probabilities = self.stage1.conv_out(features1).softmax(dim=1)
            last = self.stage2(image, probabilities)
        else:
            last = self.fuse(features1, self.stage2(image))
        logits: Tensor = self.conv_out(last)
        return logits
