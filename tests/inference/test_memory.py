"""The memory arithmetic against what streams really hold."""

import pytest
import torch

from napari_meunet.inference.memory import Push, kept_bytes, stream_bytes
from napari_meunet.inference.streaming.domain import Domain
from napari_meunet.inference.streaming.folded import FoldedCascade
from napari_meunet.inference.streaming.schedule import schedule_of, sparing
from napari_meunet.inference.streaming.stream import CascadeStream


@pytest.mark.parametrize("fusion", ["none", "post", "pre"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(("slab", "n_networks"), [(16, 1), (16, 4), (48, 1)])
@pytest.mark.parametrize(("band", "spare"), [(2**17, False), (2**22, True)])
def test_a_stream_takes_the_memory_that_is_planned(
    make_checkpoint, watch, fusion, slab, n_networks, dtype, band, spare
):
    checkpoint = make_checkpoint(fusion, features=(4, 8, 8, 16, 16))
    schedule = schedule_of(checkpoint.card.network)
    schedule = sparing(schedule) if spare else schedule
    section = 64, 96
    push = Push(slab, band, dtype.itemsize, 4, transposes=True, n_networks=n_networks)
    network, device = checkpoint.build(), torch.device("cpu")
    with torch.inference_mode(), watch:
        weights = [
            FoldedCascade(network, schedule, device, dtype) for _ in range(n_networks)
        ]
        image = weights[0].empty((1, 1, slab, *section), torch.float32).zero_()
        watch.live = watch.peak = 0
        stream = CascadeStream(schedule, weights, Domain(96, section, 0, slab, band))
        assert watch.live == kept_bytes(schedule, section, push)
        for _ in range(0, schedule.delay + slab, slab):
            stream.push(image)
    planned = stream_bytes(schedule, section, push)
    n_weights = n_networks * sum(stage.n_weights for stage in schedule.stages)
    taken = watch.peak + dtype.itemsize * n_weights
    assert taken <= planned <= 1.3 * taken
