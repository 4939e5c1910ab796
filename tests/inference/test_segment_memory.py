"""The memory of a run does not grow with the volume."""

import subprocess
import sys

import numpy as np
import pytest
import tifffile

if sys.platform != "linux":
    pytest.skip(
        "only there is memory counted so, and given back", allow_module_level=True
    )

PROGRAM = """
import resource, sys
from pathlib import Path
import torch
from napari_meunet.config import SegmentationConfig
from napari_meunet.inference.machine import inspect_machine
from napari_meunet.inference.plan import plan_segmentation
from napari_meunet.inference.segment import segment
from napari_meunet.network.card import (Card, NetworkConfig)
from napari_meunet.network.classes import unnamed_classes
from napari_meunet.network.cascade import Cascade
from napari_meunet.network.checkpoint import Checkpoint
from napari_meunet.labels.store import LabelStore
from napari_meunet.volume.open import open_volume


def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


torch.set_num_threads(1)
network = NetworkConfig(
    n_classes=3, features=(4, 4, 4, 4, 4), refinement_features=(2, 2, 2), fusion="post"
)
card = Card(name="x", version="1", network=network, classes=unnamed_classes(3), data="",
            licence="CC0-1.0")
checkpoint = Checkpoint(Cascade(**network.model_dump()).state_dict(), card)
volume = open_volume(Path(sys.argv[1]))
config = SegmentationConfig(device="cpu", precision="fp32")
machine = inspect_machine(config)
plan = plan_segmentation(volume, network, config, machine)
with LabelStore.create(Path(sys.argv[2]), volume, card.classes) as store:
    before = peak()
    for step in segment(volume, checkpoint, config, store):
        pass
assert step.done == step.total
print(peak() - before, plan.host_bytes + plan.device_bytes)
"""


@pytest.mark.slow
def test_a_run_takes_what_is_planned_however_long_the_volume(tmp_path):
    scan = tmp_path / "scan.tif"
    z, y, x = np.ogrid[:2500, :176, :176]
    voxels = (z % 97 + y // 2 + x // 3).astype(np.uint8)
    tifffile.imwrite(scan, voxels, photometric="minisblack")
    command = [sys.executable, "-c", PROGRAM, scan, tmp_path / "scan.meunet"]
    result = subprocess.run(command, check=True, capture_output=True, text=True)
    taken, planned = map(int, result.stdout.split())
    assert taken < 1.25 * planned + 32e6
