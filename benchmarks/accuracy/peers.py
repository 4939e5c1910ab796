"""MONAI's networks, trained by our loop and applied by MONAI's sliding windows.

Each network is what MONAI builds when asked for classes only; DynUNet has no defaults
and is set up as nnU-Net does it. Tensors lie in MONAI's usual order, channels first:
channels last, which suit our network, made none of these faster on a processor, and
BasicUNet and SegResNet slower.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from monai.networks.nets import BasicUNet, DynUNet, SegResNet, SwinUNETR, VNet
from torch import nn

from benchmarks.accuracy.loop import RULE, fit
from benchmarks.accuracy.task import Predict, Task, Way
from benchmarks.accuracy.windows import by_windows
from napari_meunet.training.loop.allocator import freed_memory_kept
from napari_meunet.training.loop.stepper import make_fabric

Build = Callable[[int, int], nn.Module]
"""From classes, background included, and patch size to a network."""

SMALLEST_EDGE = 4
"""nnU-Net pools until a feature map would be shorter than this
(``UNet_featuremap_min_edge_length`` of its experiment planner, version 2)."""


@dataclass(frozen=True)
class Peer:
    """One of MONAI's networks.

    Attributes
    ----------
    title
        For people.
    build
        Makes it.
    """

    title: str
    build: Build

    def learn(self, task: Task, folder: Path) -> int:
        """Train as long as ours in all phases."""
        torch.manual_seed(task.config.seed)
        network = self._network(task)
        with freed_memory_kept():
            fit(network, task)
        torch.save(network.state_dict(), self._weights(folder))
        return sum(weight.numel() for weight in network.parameters())

    @property
    def ways(self) -> tuple[Way, ...]:
        """Windows alone: most are normalised by the features of the window."""
        return ("windows",)

    def predictor(self, task: Task, folder: Path, _: Way) -> Predict:
        """Return MONAI's sliding windows, as large as the patches."""
        fabric = make_fabric(task.config)
        network = fabric.to_device(self._network(task))
        weights = torch.load(self._weights(folder), weights_only=True)
        network.load_state_dict(weights)
        return by_windows(network, fabric, task.config.patch_size, RULE)

    def _network(self, task: Task) -> nn.Module:
        return self.build(len(task.classes) + 1, task.config.patch_size)

    def _weights(self, folder: Path) -> Path:
        return folder / "weights.pt"


def n_poolings(patch_size: int) -> int:
    """Return how often nnU-Net halves patches of this edge, with cubic voxels."""
    n = 0
    while patch_size >= 2 * SMALLEST_EDGE:
        patch_size //= 2
        n += 1
    return n


def dynunet(n_classes: int, patch_size: int) -> nn.Module:
    """Return the U-net that nnU-Net plans for cubic patches and voxels.

    Two 3x3x3 convolutions a stage, stride 2 between stages, instance normalisation,
    leaky ReLU, 32 features doubling to at most 320 (MONAI's rule where none are
    given), and deep supervision at all decoder stages but the coarsest. Isensee et
    al., "nnU-Net: a self-configuring method for deep learning-based biomedical image
    segmentation", Nature Methods 18, 203-211 (2021).
    """
    strides = [1] + [2] * n_poolings(patch_size)
    return DynUNet(
        spatial_dims=3,
        in_channels=1,
        out_channels=n_classes,
        kernel_size=[3] * len(strides),
        strides=strides,
        upsample_kernel_size=strides[1:],
        norm_name=("INSTANCE", {"affine": True}),
        deep_supervision=True,
        deep_supr_num=max(1, len(strides) - 3),
    )


def basicunet(n_classes: int, _: int) -> nn.Module:
    """Return the U-net of Falk et al., Nature Methods 16, 67-70 (2019)."""
    return BasicUNet(spatial_dims=3, in_channels=1, out_channels=n_classes)


def vnet(n_classes: int, _: int) -> nn.Module:
    """Return the network of Milletari et al., 3DV 2016, arXiv:1606.04797."""
    return VNet(spatial_dims=3, in_channels=1, out_channels=n_classes)


def segresnet(n_classes: int, _: int) -> nn.Module:
    """Return the network of Myronenko, arXiv:1810.11654, without its autoencoder."""
    return SegResNet(spatial_dims=3, in_channels=1, out_channels=n_classes)


def swinunetr(n_classes: int, _: int) -> nn.Module:
    """Return the network of Hatamizadeh et al., arXiv:2201.01266, untrained."""
    return SwinUNETR(spatial_dims=3, in_channels=1, out_channels=n_classes)


PEERS: dict[str, Peer] = {
    "dynunet": Peer("DynUNet, as nnU-Net", dynunet),
    "basicunet": Peer("BasicUNet", basicunet),
    "vnet": Peer("VNet", vnet),
    "segresnet": Peer("SegResNet", segresnet),
    "swinunetr": Peer("SwinUNETR", swinunetr),
}
