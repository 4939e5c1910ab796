"""The memory of a run does not grow with the volume."""

import subprocess
import sys

import pytest

pytest.importorskip("resource", reason="peak memory is asked from POSIX")

PROGRAM = """
import resource, sys
import numpy as np
import torch
from napari_meunet.config import SegmentationConfig
from napari_meunet.inference.machine import inspect_machine
from napari_meunet.inference.plan import plan_segmentation
from napari_meunet.inference.segment import segment
from napari_meunet.network.card import (Card, NetworkConfig)
from napari_meunet.network.classes import unnamed_classes
from napari_meunet.network.cascade import Cascade
from napari_meunet.network.checkpoint import Checkpoint
from napari_meunet.volume.volume import Volume


class Scan:
    '''A gradient that is computed when it is read: nothing is mapped or held.'''

    shape, dtype = (int(sys.argv[1]), 176, 176), np.dtype(np.float32)

    def __getitem__(self, index):
        if not isinstance(index, tuple):
            index = (index, slice(None), slice(None))
        z, y, x = np.ogrid[tuple(slice(n) for n in self.shape)]
        return z[index[0]] % 97 + y[:, index[1]] + x[:, :, index[2]] * np.float32(0.5)


class Nowhere:
    '''Labels that are counted and dropped.'''

    shape, run_description, planes = Scan.shape, {}, 0

    def begin_run(self, key, description):
        pass

    def finished_planes(self, column):
        return self.planes

    def mark_finished(self, column, planes):
        self.planes = planes

    def write(self, start, block, *, overwrite_corrected):
        assert start[0] == self.planes and block.shape[1:] == self.shape[1:]

    def write_confidence(self, start, block):
        assert len(block)


def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


torch.set_num_threads(1)
network = NetworkConfig(
    n_classes=3, features=(4, 4, 4, 4, 4), refinement_features=(2, 2, 2), fusion="post"
)
card = Card(name="x", version="1", network=network, classes=unnamed_classes(3), data="",
            licence="CC0-1.0")
checkpoint = Checkpoint(Cascade(**network.model_dump()).state_dict(), card)
volume = Volume.from_array(Scan())
config = SegmentationConfig(device="cpu", precision="fp32")
machine = inspect_machine(config)
plan = plan_segmentation(volume, network, config, machine)
before = peak()
for step in segment(volume, checkpoint, config, Nowhere()):
    pass
assert step.done == step.total
print(peak() - before, plan.host_bytes + plan.device_bytes, 4 * np.prod(volume.shape))
"""


@pytest.mark.slow
def test_a_run_takes_what_is_planned_however_long_the_volume():
    command = [sys.executable, "-c", PROGRAM, "2500"]
    result = subprocess.run(command, check=True, capture_output=True, text=True)
    taken, planned, volume = map(int, result.stdout.split())
    assert taken < 1.25 * planned + 32e6
    assert taken < volume / 2
