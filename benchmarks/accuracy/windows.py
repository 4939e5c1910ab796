"""Labelling a scan by windows as large as the patches, alike for all networks."""

import numpy as np
import torch
from lightning_fabric import Fabric
from monai.inferers import SlidingWindowInferer
from numpy.typing import NDArray
from torch import nn

from benchmarks.accuracy.task import Predict
from napari_meunet.inference.images import scaled
from napari_meunet.network.card import IntensityRule
from napari_meunet.volume.intensity import intensity_range
from napari_meunet.volume.volume import Volume

OVERLAP = 0.5
"""Of the windows, with Gaussian weights: nnU-Net's choice. It takes more windows than
MONAI's default of a quarter."""


def by_windows(
    network: nn.Module, fabric: Fabric, size: int, rule: IntensityRule | None
) -> Predict:
    """Return MONAI's sliding windows through a network.

    Parameters
    ----------
    network
        Gives logits ``(n, n_classes, z, y, x)``, on the device of `fabric`.
    fabric
        Where it computes, and how precisely.
    size
        Edge of a window in voxels.
    rule
        How intensities are scaled; None leaves raw values.
    """
    network.eval()
    windows = SlidingWindowInferer((size,) * 3, overlap=OVERLAP, mode="gaussian")

    def predict(volume: Volume) -> NDArray[np.uint8]:
        limits = intensity_range(volume, rule.low, rule.high) if rule else None
        voxels = torch.from_numpy(volume.read(0, volume.shape[0]))
        image = fabric.to_device(scaled(voxels, limits)[None, None])
        with torch.inference_mode(), fabric.autocast():
            labels = windows(image, network)[0].argmax(dim=0)
        return labels.to(torch.uint8).cpu().numpy()

    return predict
