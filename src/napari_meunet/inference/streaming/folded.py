"""The weights of a cascade as streams use them."""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from napari_meunet.errors import MeUNetError
from napari_meunet.inference.streaming.convolutions import (
    Layer,
    asks_onednn,
    memory_format,
    of_doubled,
)
from napari_meunet.inference.streaming.schedule import Schedule, Stage
from napari_meunet.network.cascade import Cascade
from napari_meunet.network.orientations import Axes


@dataclass(frozen=True, slots=True)
class StageLayers:
    """Both convolutions of a stage.

    Attributes
    ----------
    first, second
        The convolutions.
    doubled
        The part of `first` that sees the source that is doubled, and its bias, see
        `of_doubled`. None if `first` sees all sources.
    """

    first: Layer
    second: Layer
    doubled: Layer | None = None


@dataclass(frozen=True, slots=True)
class Head:
    """A 1x1x1 convolution as a matrix ``(n_classes, n_in)``, and a column to add."""

    weight: Tensor
    bias: Tensor


class FoldedCascade:
    """A cascade in evaluation mode with BatchNorm folded into its convolutions.

    BatchNorm is then a factor and an offset for every channel; both go into the
    convolution before it, in double precision.

    Parameters
    ----------
    network
        Its weights are copied.
    schedule
        Of the cascade, or of its stage 1 alone.
    device, dtype
        Where and in which precision to compute.
    flips
        Axes of (-3, -2, -1) along which the kernels are flipped. It is as if the
        cascade saw what it is shown flipped, and its answer were flipped back: exactly,
        as everything else in it is the same from both sides.
    transposes
        Whether a source that is doubled is convolved before it is, with 8
        multiplications for 27. None: where it is known to be fast, by oneDNN.

    Attributes
    ----------
    image_dtype
        Of the image, and of the convolutions that see it: float32 for bfloat16. To
        round intensities and what they are multiplied by to 8 bits changes more labels
        than to round everything else.
    stages
        The convolutions of the stages, by the name of their module.
    heads
        The 1x1x1 convolutions, by name.

    Raises
    ------
    MeUNetError
        If a weight is not finite in double precision: oneDNN's ReLU would make 0 of
        NaN.
    """

    def __init__(
        self,
        network: Cascade,
        schedule: Schedule,
        device: torch.device,
        dtype: torch.dtype,
        flips: Axes = (),
        *,
        transposes: bool | None = None,
    ) -> None:
        self.device, self.dtype, self._flips = device, dtype, flips
        self.image_dtype = torch.float32 if dtype == torch.bfloat16 else dtype
        if transposes is None:
            transposes = asks_onednn(device, dtype)
        self._transposes = transposes
        self._memory_format = memory_format(device)
        network = deepcopy(network).double().eval().requires_grad_(False)
        self.stages: Mapping[str, StageLayers] = {
            stage.module: self._layers(network, stage) for stage in schedule.stages
        }
        self.heads: Mapping[str, Head] = {
            stage.head: self._head(network.get_submodule(stage.head))
            for stage in schedule.stages
            if stage.head
        }

    def empty(self, shape: Sequence[int], dtype: torch.dtype | None = None) -> Tensor:
        """Return room for planes ``(1, c, n, y, x)`` as the convolutions want them.

        `dtype` is that of the cascade if it is not given.
        """
        return torch.empty(
            tuple(shape),
            dtype=dtype or self.dtype,
            device=self.device,
            memory_format=self._memory_format,
        )

    def _layers(self, network: nn.Module, stage: Stage) -> StageLayers:
        blocks = (network.get_submodule(f"{stage.module}.{i}") for i in (0, 1))
        (weight, bias), (second_weight, second_bias) = map(self._folded, blocks)
        dtype = self.image_dtype if stage.sees_image else self.dtype
        second = self._layer(second_weight, second_bias, self.dtype)
        if not (stage.n_doubled and self._transposes):
            return StageLayers(self._layer(weight, bias, dtype), second)
        skip, deep = weight.tensor_split([-stage.n_doubled], dim=1)
        doubled = self._layer(of_doubled(deep), bias, self.dtype)
        return StageLayers(self._layer(skip, None, dtype), second, doubled)

    def _folded(self, block: nn.Module) -> tuple[Tensor, Tensor | None]:
        """Return weight and bias of a convolution with its BatchNorm, in double."""
        convolution, norm, _ = block.children()
        if not isinstance(convolution, nn.Conv3d) or not isinstance(
            norm, nn.BatchNorm3d
        ):
            raise TypeError(f"a block must be convolution and BatchNorm, got {block}")
        fused = fuse_conv_bn_eval(convolution, norm)
        return fused.weight.flip(self._flips), fused.bias

    def _layer(self, weight: Tensor, bias: Tensor | None, dtype: torch.dtype) -> Layer:
        _require_finite(weight, bias)
        weight = weight.to(self.device, dtype, memory_format=self._memory_format)
        if bias is not None:
            in_fp32 = asks_onednn(self.device, dtype)
            bias = bias.to(self.device, torch.float32 if in_fp32 else dtype)
        return Layer(weight, bias)

    def _head(self, module: nn.Module) -> Head:
        _require_finite(*module.parameters())
        weight, bias = (p.to(self.device, self.dtype) for p in module.parameters())
        return Head(weight.flatten(1), bias[:, None])


def _require_finite(*tensors: Tensor | None) -> None:
    for tensor in tensors:
        if tensor is not None and not tensor.isfinite().all():
            wrong = tensor[~tensor.isfinite()][0].item()
            raise MeUNetError(
                "the weights of a network, with BatchNorm folded into them, must be "
                f"finite, got {wrong}; choose another checkpoint"
            )
