"""What is to be labelled, and what it means to take part."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from napari_meunet.config import SegmentationConfig
from napari_meunet.inference.images import scaled
from napari_meunet.inference.segment import limits_for
from napari_meunet.network.cascade import Fusion
from napari_meunet.network.checkpoint import Checkpoint
from napari_meunet.volume.volume import Volume

Network = Literal["stage 1", "cascade"]
"""The network that is applied: all who apply the same one can be compared."""

FUSION: dict[Network, Fusion] = {"stage 1": "none", "cascade": "post"}


@dataclass(frozen=True)
class Task:
    """A scan and a model.

    Attributes
    ----------
    scan
        On disk; its planes are mapped into memory.
    checkpoint
        Weights of the network that is applied.
    device
        What computes.
    folder
        For files of the run.
    """

    scan: Volume
    checkpoint: Checkpoint
    device: torch.device
    folder: Path

    def network(self) -> nn.Module:
        """Return the network on its device, as others would apply it."""
        return self.checkpoint.build().to(self.device)

    def image(self) -> Tensor:
        """Return the whole scan as the network sees it, ``(1, 1, z, y, x)`` float32."""
        whole = SegmentationConfig(resolution="scan")  # of every voxel, as for ours
        limits = limits_for(self.scan, self.checkpoint.card, whole)
        voxels = torch.from_numpy(self.scan.read(0, self.scan.shape[0]))
        return scaled(voxels, limits)[None, None]


class Contender(Protocol):
    """A way to label a scan.

    Attributes
    ----------
    title
        For people.
    applies
        The network.
    """

    @property
    def title(self) -> str: ...

    @property
    def applies(self) -> Network: ...

    def label(self, task: Task) -> NDArray[np.uint8]:
        """Return the labels ``(z, y, x)``, classes counted from 0."""
        ...


def classes(logits: Tensor) -> NDArray[np.uint8]:
    """Return the classes ``(z, y, x)`` of logits ``(n_classes, z, y, x)``."""
    labels: NDArray[np.uint8] = logits.argmax(dim=0).to(torch.uint8).cpu().numpy()
    return labels
