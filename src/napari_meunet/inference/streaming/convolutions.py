"""The convolutions of streams, each with what goes before it and what follows it.

They pad along x alone: planes and rows have their margin with them.
"""

from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor
from torch.nn import functional

ONEDNN: Any = torch.ops.mkldnn
"""What `torch.compile` calls on processors. Sum and ReLU cost nothing within it. And
torch.conv3d, which in fp32 does not always ask oneDNN, is 16 times slower where it does
not."""

RELU: tuple[str, list[float], str] = "relu", [], ""
NOTHING: tuple[str, list[float], str] = "none", [], ""

Three = tuple[int, int, int]
ONES: Three = (1, 1, 1)
TWOS: Three = (2, 2, 2)
ALONG_X: Three = (0, 0, 1)


@dataclass(frozen=True, slots=True)
class Layer:
    """Weight and bias of a convolution."""

    weight: Tensor
    bias: Tensor | None


def asks_onednn(device: torch.device, dtype: torch.dtype) -> bool:
    """Return whether oneDNN convolves; it takes biases in fp32, whatever `dtype` is."""
    if device.type != "cpu" or not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return False
    return dtype == torch.float32 or (
        dtype == torch.bfloat16 and ONEDNN._is_mkldnn_bf16_supported()
    )


def memory_format(device: torch.device) -> torch.memory_format:
    """Return the order in memory that fast kernels want: channels last.

    Metal only knows the other one.
    """
    return torch.contiguous_format if device.type == "mps" else torch.channels_last_3d


def convolved(planes: Tensor, layer: Layer, other: Tensor | None = None) -> Tensor:
    """Return the ReLU of a 3x3x3 convolution, plus `other` before it.

    Parameters
    ----------
    planes
        ``(1, c, n, y, x)``.
    layer
        Of the convolution. Beside an `other` it has no bias: where oneDNN adds, it
        takes none in fp32 beside planes in bf16.
    other
        ``(1, c, n - 2, y - 2, x)``, like the result, which may take its place.
    """
    weight, bias = layer.weight, layer.bias
    if not asks_onednn(planes.device, planes.dtype):
        made = functional.conv3d(planes, weight, bias, padding=ALONG_X)
        return (made if other is None else made.add_(other)).relu_()
    convolution = planes, weight, bias, ALONG_X, ONES, ONES, 1
    summed, plain = ONEDNN._convolution_pointwise_.binary, ONEDNN._convolution_pointwise
    if other is not None:
        made = summed(other, *convolution, "add", 1.0, *RELU)
    else:
        made = plain(*convolution, *RELU)
    return cast(Tensor, made)


def convolved_doubled(planes: Tensor, layer: Layer) -> Tensor:
    """Return a 3x3x3 convolution of planes doubled along every axis, without ReLU.

    Parameters
    ----------
    planes
        As they are, ``(1, c, n, y, x)``.
    layer
        With a weight of `of_doubled`.

    Returns
    -------
    Tensor
        ``(1, c, 2n - 2, 2y - 2, 2x)``: all but the first and the last of the doubled
        planes and rows.
    """
    weight, bias, padding = layer.weight, layer.bias, (2, 2, 1)
    if not asks_onednn(planes.device, planes.dtype):
        return functional.conv_transpose3d(planes, weight, bias, TWOS, padding)
    convolution = planes, weight, bias, padding, (0, 0, 0), TWOS, ONES, 1
    transposed = ONEDNN._convolution_transpose_pointwise
    return cast(Tensor, transposed(*convolution, *NOTHING))


def of_doubled(weight: Tensor) -> Tensor:
    """Return the weight by which a transposed convolution sees a source as it is.

    A 3x3x3 convolution of what is doubled along every axis (nearest neighbour) meets
    every voxel of the source twice along an axis. With w0, w1 and w2 of the weights
    along it, an even voxel of the output is ``w0 c[i-1] + (w1 + w2) c[i]`` and an odd
    one ``(w0 + w1) c[i] + w2 c[i+1]``: a transposed convolution of stride 2 by
    ``(w2, w1 + w2, w0 + w1, w0)``, for 8 multiplications instead of 27.

    Parameters
    ----------
    weight
        ``(n_out, n_in, 3, 3, 3)``.

    Returns
    -------
    Tensor
        ``(n_in, n_out, 4, 4, 4)``, as `torch.nn.functional.conv_transpose3d` wants it.
    """
    n_out, n_in = weight.shape[:2]
    flipped = weight.flip(-3, -2, -1).reshape(-1, 1, 3, 3, 3)
    pairs = torch.ones_like(flipped[:1, :, :2, :2, :2])
    summed = functional.conv3d(flipped, pairs, padding=1)
    return summed.view(n_out, n_in, 4, 4, 4).transpose(0, 1)
