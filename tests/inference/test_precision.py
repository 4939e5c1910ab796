"""Half precision, with weights that have learned something."""

from collections import deque

import numpy as np

from napari_meunet.config import SegmentationConfig
from napari_meunet.inference.segment import segment
from napari_meunet.labels.temporary import temporary_labels
from napari_meunet.network.card import BUNDLED
from napari_meunet.network.checkpoint import load_checkpoint
from napari_meunet.training.phantoms.phantom import make_phantom
from napari_meunet.volume.volume import Volume


def test_half_precision_changes_few_labels(tmp_path):
    """The benchmark has 4 in 100 000, and so has this scan: 26 voxels."""
    scan = Volume.from_array(make_phantom((160, 64, 64), seed=5).image)
    checkpoint, found = load_checkpoint(BUNDLED), {}
    for precision in ("fp32", "bf16"):
        config = SegmentationConfig(device="cpu", precision=precision)
        with temporary_labels(scan, checkpoint.card.classes, tmp_path) as store:
            deque(segment(scan, checkpoint, config, store), maxlen=0)
            found[precision] = np.array(store.labels[:])
    share = np.bincount(found["fp32"].ravel(), minlength=3) / scan.planes.size
    assert share[1:].min() > 0.005
    different = (found["fp32"] != found["bf16"]).mean()
    assert 0 < different < 1e-4
