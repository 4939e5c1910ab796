"""What others apply a network with: they hold the scan and its logits in memory.

All of them are given the network as it was trained and the whole scan as float32. To
read and scale it counts for them, as it does for ours; to write labels does not.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from benchmarks.inference.task import Network, Task, classes
from napari_meunet.network.device import computes_bf16

WINDOW = 128
"""Edge of the windows of all of them, a common patch size of nnU-Net."""

BUFFERED_WINDOWS = 4
"""Rows of windows that MONAI's buffered mode collects on the device."""

HALO = 32
"""Voxels around a block of torch-em, on either side; 64 remain."""


@dataclass(frozen=True)
class Whole:
    """The network on the whole scan at once: the truth that others are held to.

    Attributes
    ----------
    title, applies
        See `benchmarks.inference.task.Contender`.
    half
        Whether in half precision, channels last; else in fp32 as it is.
    folded
        Whether batch normalisation is a part of the convolutions, as in our engine.
    """

    title: str
    applies: Network
    half: bool = False
    folded: bool = False

    def label(self, task: Task) -> NDArray[np.uint8]:
        """Apply the network once, to the scan padded to multiples of 16."""
        predict = predictor(task, half=self.half, folded=self.folded)
        image = task.image()
        shape = image.shape[2:]
        padding = [n for size in reversed(shape) for n in (0, -size % 16)]
        with torch.inference_mode():
            padded = nn.functional.pad(image, padding).to(task.device)
            logits = predict(padded)[0]
        z, y, x = shape
        return classes(logits[:, :z, :y, :x])


@dataclass(frozen=True)
class Monai:
    """`monai.inferers.sliding_window_inference`.

    Attributes
    ----------
    title, applies
        See `benchmarks.inference.task.Contender`.
    overlap
        Of the windows.
    half
        Whether in half precision, channels last; else in fp32 as it is.
    folded
        Whether batch normalisation is a part of the convolutions, as in our engine.
    on_host
        Whether logits are put together on the host, as for scans too large for a card,
        row by row (``buffer_steps``); else on the device.
    """

    title: str
    applies: Network
    overlap: float
    half: bool = False
    folded: bool = False
    on_host: bool = False

    def label(self, task: Task) -> NDArray[np.uint8]:
        """Slide windows over the scan, one at a time."""
        from monai.inferers import sliding_window_inference

        image = task.image()
        predict = predictor(task, half=self.half, folded=self.folded)
        place = torch.device("cpu") if self.on_host else task.device
        rows = {"buffer_steps": BUFFERED_WINDOWS, "buffer_dim": 0}
        with torch.inference_mode():
            logits = sliding_window_inference(
                image.to(place),
                (WINDOW,) * 3,
                1,
                predict,
                overlap=self.overlap,
                sw_device=task.device,
                device=place,
                **(rows if self.on_host else {}),
            )
        return classes(logits[0])


@dataclass(frozen=True)
class NnUNet:
    """The predictor of nnU-Net, with windows that overlap by half.

    Attributes
    ----------
    title, applies
        See `benchmarks.inference.task.Contender`.
    mirrored
        Whether every window is labelled in eight mirrored views, as by default.
    """

    title: str
    applies: Network
    mirrored: bool

    def label(self, task: Task) -> NDArray[np.uint8]:
        """Let the predictor make logits; what it reads from a plan is given by hand."""
        from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

        heads = SimpleNamespace(
            num_segmentation_heads=len(task.checkpoint.card.classes)
        )
        predictor = nnUNetPredictor(
            device=task.device, use_mirroring=self.mirrored, allow_tqdm=False
        )
        predictor.manual_initialization(
            task.network(),
            SimpleNamespace(get_label_manager=lambda _: heads),
            SimpleNamespace(patch_size=(WINDOW,) * 3),
            None,
            {},
            "",
            (0, 1, 2),
        )
        logits = predictor.predict_sliding_window_return_logits(task.image()[0])
        return classes(logits)


@dataclass(frozen=True)
class TorchEm:
    """`torch_em.util.prediction.predict_with_halo`, without blending.

    Attributes
    ----------
    title, applies
        See `benchmarks.inference.task.Contender`.
    """

    title: str
    applies: Network

    def label(self, task: Task) -> NDArray[np.uint8]:
        """Label inner blocks of windows, whose halo is thrown away."""
        from torch_em.util.prediction import predict_with_halo

        network = task.network()
        network.out_channels = task.checkpoint.card.network.n_classes
        logits = predict_with_halo(
            task.image()[0, 0].numpy(),
            network,
            [task.device],
            (WINDOW - 2 * HALO,) * 3,
            (HALO,) * 3,
            preprocess=None,
            disable_tqdm=True,
        )
        return classes(torch.from_numpy(logits))


def predictor(
    task: Task, *, half: bool, folded: bool = False
) -> Callable[[Tensor], Tensor]:
    """Return what makes logits of windows ``(n, 1, z, y, x)``."""
    network = task.network()
    if folded:
        fold(network)
    if not half:
        return network
    network = network.to(memory_format=torch.channels_last_3d)

    def predict(windows: Tensor) -> Tensor:
        with _half_precision(task.device):
            logits: Tensor = network(windows)
        return logits

    return predict


def fold(network: nn.Module) -> None:
    """Make batch normalisation a part of the convolution before it."""
    for block in list(network.modules()):
        if isinstance(block, nn.Sequential) and isinstance(block[1], nn.BatchNorm3d):
            block[0] = fuse_conv_bn_eval(block[0], block[1])
            block[1] = nn.Identity()


def _half_precision(device: torch.device) -> AbstractContextManager[None]:
    """Return autocast to half precision where the device computes it."""
    if device.type == "cuda":
        return torch.autocast("cuda", torch.float16)
    if device.type == "cpu" and computes_bf16(device):
        return torch.autocast("cpu", torch.bfloat16)
    return nullcontext()


PEERS = {
    "whole": Whole("the whole scan at once, fp32", "stage 1"),
    "whole-half": Whole("the whole scan at once, half", "stage 1", half=True),
    "whole-folded": Whole(
        "the whole scan at once, half, folded", "stage 1", half=True, folded=True
    ),
    "monai-50": Monai("MONAI, overlap 0.5, fp32", "stage 1", 0.5),
    "monai-25": Monai("MONAI, overlap 0.25, fp32", "stage 1", 0.25),
    "monai-50-half": Monai("MONAI, overlap 0.5, half", "stage 1", 0.5, half=True),
    "monai-25-half": Monai("MONAI, overlap 0.25, half", "stage 1", 0.25, half=True),
    "monai-25-half-folded": Monai(
        "MONAI, overlap 0.25, half, folded", "stage 1", 0.25, half=True, folded=True
    ),
    "monai-on-host": Monai(
        "MONAI, overlap 0.25, half, on the host", "stage 1", 0.25, True, on_host=True
    ),
    "nnunet": NnUNet("nnU-Net, not mirrored", "stage 1", mirrored=False),
    "nnunet-mirrored": NnUNet("nnU-Net, as it is", "stage 1", mirrored=True),
    "torch-em": TorchEm("torch-em, halo 32", "stage 1"),
    "whole-cascade": Whole("the whole scan at once, fp32", "cascade"),
    "whole-folded-cascade": Whole(
        "the whole scan at once, half, folded", "cascade", half=True, folded=True
    ),
    "monai-50-cascade": Monai("MONAI, overlap 0.5, fp32", "cascade", 0.5),
    "monai-25-half-cascade": Monai("MONAI, overlap 0.25, half", "cascade", 0.25, True),
}
