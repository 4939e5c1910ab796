"""The memory arithmetic against what streams really hold."""

import weakref

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from napari_meunet.inference.memory import Push, stream_bytes
from napari_meunet.inference.streaming.folded import FoldedCascade
from napari_meunet.inference.streaming.schedule import schedule_of
from napari_meunet.inference.streaming.stream import CascadeStream, Domain


class Watch(TorchDispatchMode):
    """Adds up the storages that are alive, and remembers the most there were."""

    def __init__(self):
        super().__init__()
        self.live = self.peak = 0
        self._seen = set()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        for leaf in tree_leaves(result):
            if isinstance(leaf, torch.Tensor):
                self._add(leaf.untyped_storage())
        return result

    def _add(self, storage):
        key, n = storage._cdata, storage.nbytes()
        if key in self._seen:
            return
        self._seen.add(key)
        self.live += n
        self.peak = max(self.peak, self.live)
        weakref.finalize(storage, self._remove, key, n)

    def _remove(self, key, n):
        self._seen.discard(key)
        self.live -= n


@pytest.mark.parametrize("fusion", ["none", "post", "pre"])
@pytest.mark.parametrize("slab", [16, 48])
def test_a_stream_takes_the_memory_that_is_planned(make_checkpoint, fusion, slab):
    checkpoint = make_checkpoint(fusion, features=(4, 8, 8, 16, 16))
    schedule = schedule_of(checkpoint.card.network)
    section, band = (64, 96), 2**17
    push = Push(slab, band, torch.float32.itemsize)
    network, device = checkpoint.build(), torch.device("cpu")
    with torch.inference_mode(), Watch() as watch:
        weights = FoldedCascade(network, device, torch.float32)
        image = weights.empty((1, 1, slab, *section)).zero_()
        watch.live = watch.peak = 0
        stream = CascadeStream(schedule, weights, Domain(96, section, 0, slab, band))
        rings = watch.live
        for _ in range(3):
            stream.push(image)
    planned = stream_bytes(schedule, section, push)
    n_weights = sum(stage.n_weights for stage in schedule.stages)
    held = sum(ring.buffer.nbytes for ring in stream.rings.values())
    assert rings == held
    assert watch.peak + 4 * n_weights <= planned <= 1.3 * (watch.peak + 4 * n_weights)
