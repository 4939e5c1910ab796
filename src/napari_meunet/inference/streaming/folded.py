"""The weights of a cascade as streams use them."""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

from napari_meunet.network.cascade import Cascade
from napari_meunet.network.orientations import Axes


@dataclass(frozen=True, slots=True)
class Layer:
    """Weight and bias of a 3x3x3 convolution or, flattened, of a head."""

    weight: Tensor
    bias: Tensor | None


class FoldedCascade:
    """A cascade in evaluation mode with BatchNorm folded into its convolutions.

    BatchNorm is then a factor and an offset for every channel; both go into the
    convolution before it, in double precision.

    Parameters
    ----------
    network
        Its weights are copied.
    device, dtype
        Where and in which precision to compute.
    flips
        Axes of (-3, -2, -1) along which the kernels are flipped. It is as if the
        cascade saw what it is shown flipped, and its answer were flipped back: exactly,
        as everything else in it is the same from both sides.

    Attributes
    ----------
    stages
        Both convolutions of every stage, by the name of its module.
    heads
        The 1x1x1 convolutions, by name.
    """

    def __init__(
        self,
        network: Cascade,
        device: torch.device,
        dtype: torch.dtype,
        flips: Axes = (),
    ) -> None:
        self.device, self.dtype, self._flips = device, dtype, flips
        # Channels last is what fast kernels want; Metal only knows the other order.
        self._memory_format = (
            torch.contiguous_format if device.type == "mps" else torch.channels_last_3d
        )
        # torch.conv3d is 16 times slower in fp32 where channels times planes times rows
        # are 20480 or less, because it then does not ask oneDNN.
        self._ask_onednn = (
            device.type == "cpu"
            and dtype == torch.float32
            and torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
        )
        stages: dict[str, tuple[Layer, Layer]] = {}
        heads: dict[str, Layer] = {}
        for name, module in deepcopy(network).double().eval().named_modules():
            match module:
                case nn.Sequential() if isinstance(module[0], nn.Sequential):
                    stages[name] = self._folded(module[0]), self._folded(module[1])
                case nn.Conv3d(kernel_size=(1, 1, 1)):
                    heads[name] = self._layer(module.weight.flatten(1), module.bias)
        self.stages: Mapping[str, tuple[Layer, Layer]] = stages
        self.heads: Mapping[str, Layer] = heads

    def empty(self, shape: Sequence[int]) -> Tensor:
        """Return room for planes ``(1, c, n, y, x)`` as the convolutions want them."""
        return torch.empty(
            tuple(shape),
            dtype=self.dtype,
            device=self.device,
            memory_format=self._memory_format,
        )

    def convolved(self, planes: Tensor, layer: Layer) -> Tensor:
        """Return a convolution without its ReLU, padded along x alone.

        ``(1, c, n, y, x)`` becomes ``(1, c, n - 2, y - 2, x)``.
        """
        padding, ones = (0, 0, 1), (1, 1, 1)
        if self._ask_onednn:
            return torch.mkldnn_convolution(
                planes, layer.weight, layer.bias, padding, ones, ones, 1
            )
        return functional.conv3d(planes, layer.weight, layer.bias, 1, padding)

    def _folded(self, block: nn.Module) -> Layer:
        convolution, norm, _ = block.children()
        if not isinstance(convolution, nn.Conv3d) or not isinstance(
            norm, nn.BatchNorm3d
        ):
            raise TypeError(f"a block must be convolution and BatchNorm, got {block}")
        fused = fuse_conv_bn_eval(convolution, norm)
        layer = self._layer(fused.weight.flip(self._flips), fused.bias)
        return Layer(layer.weight.to(memory_format=self._memory_format), layer.bias)

    def _layer(self, weight: Tensor, bias: Tensor | None) -> Layer:
        return Layer(
            weight.detach().to(self.device, self.dtype),
            None if bias is None else bias.detach().to(self.device, self.dtype),
        )
