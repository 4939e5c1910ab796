"""The memory arithmetic against what streams really hold."""

import pytest
import torch

from napari_meunet.inference.machine import DTYPES, Machine
from napari_meunet.inference.memory import Push, kept_bytes, stream_bytes
from napari_meunet.inference.plan import IMAGE_ITEMSIZE, ITEMSIZE
from napari_meunet.inference.streaming.convolutions import asks_onednn
from napari_meunet.inference.streaming.domain import Domain
from napari_meunet.inference.streaming.folded import FoldedCascade
from napari_meunet.inference.streaming.schedule import schedule_of, sparing
from napari_meunet.inference.streaming.stream import CascadeStream


@pytest.mark.parametrize("fusion", ["none", "post", "pre"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(("slab", "n_networks"), [(16, 1), (16, 4), (48, 1)])
@pytest.mark.parametrize(
    ("band", "spare", "transposes"),
    [(2**17, False, True), (2**22, True, True), (2**17, True, False)],
)
def test_a_stream_takes_the_memory_that_is_planned(
    make_checkpoint, watch, fusion, slab, n_networks, dtype, band, spare, transposes
):
    if transposes and not asks_onednn(torch.device("cpu"), dtype):
        pytest.skip("nothing is transposed where oneDNN does not convolve")
    checkpoint = make_checkpoint(fusion, features=(4, 8, 8, 16, 16))
    schedule = schedule_of(checkpoint.card.network)
    schedule = sparing(schedule) if spare else schedule
    section = 64, 96
    push = Push(
        slab, band, dtype.itemsize, 4, transposes=transposes, n_networks=n_networks
    )
    network, device = checkpoint.build(), torch.device("cpu")
    with torch.inference_mode(), watch:
        weights = [
            FoldedCascade(network, schedule, device, dtype, transposes=transposes)
            for _ in range(n_networks)
        ]
        image = weights[0].empty((1, 1, slab, *section), torch.float32).zero_()
        watch.live = watch.peak = 0
        stream = CascadeStream(schedule, weights, Domain(96, section, 0, slab, band))
        assert watch.live == kept_bytes(schedule, section, push)
        for _ in range(0, schedule.delay + slab, slab):
            stream.push(image)
    planned = stream_bytes(schedule, section, push)
    taken = watch.peak + sum(map(weight_bytes, weights))
    assert taken <= planned <= 1.3 * taken


def weight_bytes(weights):
    """Return what the weights of a cascade take, but for heads and biases."""
    layers = (
        layer
        for stage in weights.stages.values()
        for layer in (stage.first, stage.second, stage.doubled)
        if layer is not None
    )
    return sum(layer.weight.nbytes for layer in layers)


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_the_plan_knows_in_which_precision_streams_compute(make_checkpoint, precision):
    checkpoint, device = make_checkpoint("none"), torch.device("cpu")
    schedule = schedule_of(checkpoint.card.network)
    weights = FoldedCascade(checkpoint.build(), schedule, device, DTYPES[precision])
    machine = Machine("cpu", "this", precision, 0, 0, 0.0)
    assert weights.dtype.itemsize == ITEMSIZE[precision]
    assert weights.image_dtype.itemsize == IMAGE_ITEMSIZE[precision]
    found = weights.stages["stage1.dec1"].doubled
    assert machine.transposes == (found is not None)
