"""What this computer can do for a run."""

import platform
import time
from dataclasses import dataclass
from functools import cache
from textwrap import shorten

import torch
from torch import Tensor
from torch.nn import functional

from napari_meunet.config import SegmentationConfig
from napari_meunet.errors import MeUNetError
from napari_meunet.inference.streaming.convolutions import (
    Layer,
    asks_onednn,
    convolved,
    convolved_doubled,
    memory_format,
    of_doubled,
)
from napari_meunet.inference.streaming.domain import Domain
from napari_meunet.inference.streaming.folded import FoldedCascade
from napari_meunet.inference.streaming.schedule import schedule_of
from napari_meunet.inference.streaming.stream import CascadeStream
from napari_meunet.network.card import NetworkConfig
from napari_meunet.network.cascade import REFINEMENT_FEATURES, Cascade
from napari_meunet.network.device import (
    choose_device,
    computes_bf16,
    free_on_cuda,
    is_out_of_memory,
)
from napari_meunet.network.free_memory import free_on_host
from napari_meunet.network.meunet import FEATURES

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}

TOLERANCE = {"fp32": 2e-3, "bf16": 3e-2, "fp16": 5e-3}
"""Greatest relative error of a sound 3x3x3 convolution: several roundings of the inputs
(TensorFloat-32 for fp32 on CUDA), and far less than a broken kernel makes."""


@dataclass(frozen=True)
class Machine:
    """A device and what was measured on it.

    Attributes
    ----------
    device
        ``"cpu"``, ``"cuda:0"``, ``"mps"``.
    name
        For people.
    precision
        ``"fp32"``, ``"bf16"`` or ``"fp16"``: the one asked for, or the best that the
        device computes natively and correctly.
    host_free, device_free
        Bytes; the same memory if the device is the processor.
    rate
        Operations per second of the engine on a small section.
    """

    device: str
    name: str
    precision: str
    host_free: int
    device_free: int
    rate: float

    @property
    def shares_memory(self) -> bool:
        """Whether the device computes in the host's memory."""
        return not self.device.startswith("cuda")

    @property
    def transposes(self) -> bool:
        """Whether a `FoldedCascade` convolves what is doubled before it is."""
        return asks_onednn(torch.device(self.device), DTYPES[self.precision])

    def __str__(self) -> str:
        """Return one line for people."""
        return (
            f"{self.device} ({self.name}), {self.precision}, "
            f"{self.device_free / 1e9:.1f} GB free, {self.rate / 1e9:.0f} GFLOP/s"
        )


def inspect_machine(config: SegmentationConfig) -> Machine:
    """Return the device that `config` asks for, tried out.

    The first call for a device takes up to a second.

    Raises
    ------
    MeUNetError
        If the device is not there, its memory is full, or its 3D convolutions are
        wrong in the precision asked for.
    """
    device = choose_device(config.device)
    try:
        return _tried_out(device, config.precision)
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        raise MeUNetError(
            f"{device} must have memory free to be tried out, got "
            f"{type(error).__name__} ({shorten(str(error), 120)}); close other "
            "programs that use it, or choose another device"
        ) from error


def _tried_out(device: torch.device, asked: str) -> Machine:
    precision = _sound_precision(device, asked)
    host_free = free_on_host()
    on_cuda = device.type == "cuda"
    return Machine(
        device=str(device),
        name=_name(device),
        precision=precision,
        host_free=host_free,
        device_free=free_on_cuda(device) if on_cuda else host_free,
        rate=measured_rate(device, precision),
    )


def _name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{platform.machine()}, {torch.get_num_threads()} threads"


def _sound_precision(device: torch.device, asked: str) -> str:
    """Return the first precision in which the device convolves correctly."""
    native = {"cuda": ("fp16", "fp32"), "mps": ("fp32",), "cpu": ("fp32",)}[device.type]
    if device.type == "cpu" and computes_bf16(device):
        native = ("bf16", "fp32")
    for precision in native if asked == "auto" else (asked,):
        error = convolution_error(device, precision)
        if error <= TOLERANCE[precision]:
            return precision
    raise MeUNetError(
        f"3D convolutions on {device} must be right, got a relative error of "
        f"{error:.2g} in {precision}; update torch {torch.__version__} or the "
        "driver, or choose another device or precision"
    )


@cache
def convolution_error(device: torch.device, precision: str) -> float:
    """Return the relative error of a small 3x3x3 convolution on `device`.

    Some releases of cuDNN convolve wrongly in bf16 (pytorch issue 163539). What is
    tried out is what streams do: half of what is convolved is doubled.
    """
    dtype = DTYPES[precision]

    def cast(tensor: Tensor) -> Tensor:
        return tensor.to(device, dtype, memory_format=memory_format(device))

    rng = torch.Generator().manual_seed(0)
    skip = torch.randn(1, 16, 6, 24, 24, generator=rng)
    deep = torch.randn(1, 16, 3, 12, 12, generator=rng)
    weight = torch.randn(16, 32, 3, 3, 3, generator=rng)
    whole = torch.cat((skip, functional.interpolate(deep, scale_factor=2)), 1)
    expected = functional.conv3d(whole.double(), weight.double(), padding=(0, 0, 1))
    expected.relu_()
    if asks_onednn(device, dtype):
        of_deep = Layer(cast(of_doubled(weight[:, 16:])), None)
        other = convolved_doubled(cast(deep), of_deep)
        found = convolved(cast(skip), Layer(cast(weight[:, :16]), None), other)
    else:
        found = convolved(cast(whole), Layer(cast(weight), None))
    return float((found.cpu().double() - expected).norm() / expected.norm())


@cache
def measured_rate(device: torch.device, precision: str) -> float:
    """Return the operations per second of stage 1 as published.

    All weights are zero, and none is drawn: a training in another thread has the same
    random numbers whether somebody asks for a forecast or not.
    """
    network = NetworkConfig(
        n_classes=3,
        features=FEATURES,
        refinement_features=REFINEMENT_FEATURES,
        fusion="none",
    )
    with torch.device("meta"):
        cascade = Cascade(**network.model_dump())
    cascade.to_empty(device="cpu")
    for tensor in cascade.state_dict().values():
        tensor.zero_()
    schedule = schedule_of(network)
    weights = FoldedCascade(cascade, schedule, device, DTYPES[precision])
    edge, band = (512, 2**26) if device.type == "cuda" else (96, 2**22)
    domain = Domain(2**20, (edge, edge), 2**19, 16, band)  # where all stages work
    with torch.inference_mode():
        stream = CascadeStream(schedule, (weights,), domain)
        image = weights.empty((1, 1, 16, edge, edge), weights.image_dtype).zero_()
        stream.push(image).labels.cpu()  # kernels are chosen and compiled here
        start = time.perf_counter()
        stream.push(image).labels.cpu()
        seconds = time.perf_counter() - start
    return 16 * edge**2 * schedule.flops_per_voxel() / seconds
