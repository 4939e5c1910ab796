"""Delays, work and reach of cascades."""

import pytest
import torch

from napari_meunet.inference.streaming.schedule import IMAGE, schedule_of, sparing
from napari_meunet.network.card import NetworkConfig
from napari_meunet.network.cascade import REFINEMENT_FEATURES, Cascade
from napari_meunet.network.meunet import FEATURES


def published(fusion):
    return schedule_of(
        NetworkConfig(
            n_classes=3,
            features=FEATURES,
            refinement_features=REFINEMENT_FEATURES,
            fusion=fusion,
        )
    )


@pytest.mark.parametrize(
    ("fusion", "delay"), [("none", 96), ("post", 96), ("pre", 116)]
)
def test_labels_trail_the_planes_read_by_the_delay(fusion, delay):
    assert published(fusion).delay == delay


def test_delays_of_stage_one_follow_from_its_levels():
    # down: 2, then half of it rounded up and 2 more; up: twice that and 2 more
    delays = {stage.name: stage.delay for stage in published("none").stages}
    assert list(delays.values()) == [2, 3, 4, 4, 4, 10, 22, 46, 94 + 2]


def test_stage_two_keeps_pace_with_stage_one():
    schedule = published("post")
    delays = {stage.name: stage.delay for stage in schedule.stages}
    assert delays["stage2.dec1"] == delays["stage1.dec1"]


def test_stage_one_as_published_takes_89952_operations_a_voxel():
    assert published("none").flops_per_voxel() == 89_952


@pytest.mark.parametrize("fusion", ["none", "post", "pre"])
def test_operations_are_counted_from_the_weights_that_inference_uses(fusion):
    schedule = published(fusion)
    weights = sum(stage.n_weights for stage in schedule.stages)
    network = Cascade(n_classes=3, fusion=fusion)
    expected = sum(
        module.weight.numel()
        for module in network.modules()
        if isinstance(module, torch.nn.Conv3d) and module.kernel_size == (3, 3, 3)
    )
    assert weights == expected


@pytest.mark.parametrize(
    ("fusion", "reach"), [("none", 94), ("post", 94), ("pre", 126)]
)
def test_reach_is_where_the_network_stops_seeing(fusion, reach):
    """NaN goes through every layer, so it shows exactly what depends on a plane."""
    assert published(fusion).reach() == reach
    one = {"features": (1, 1, 1, 1, 1), "refinement_features": (1, 1, 1)}
    network = Cascade(n_classes=2, fusion=fusion, **one).double().eval()
    block = slice(128, 144)
    for plane, seen in [
        (block.start - reach - 1, False),
        (block.start - reach, True),
        (block.stop - 1 + reach, True),
        (block.stop + reach, False),
    ]:
        image = torch.zeros(1, 1, 272, 16, 16, dtype=torch.double)
        image[:, :, plane] = torch.nan
        with torch.inference_mode():
            logits = network(image)
        assert logits[:, :, block].isnan().any() == seen, plane


@pytest.mark.parametrize("fusion", ["none", "post", "pre"])
def test_sparing_takes_a_third_less_memory_for_a_tenth_more_work(fusion):
    schedule = published(fusion)
    spared = sparing(schedule)
    assert (spared.delay, spared.reach()) == (schedule.delay, schedule.reach())
    assert held(spared) < 0.71 * held(schedule)
    assert spared.flops_per_voxel() < 1.17 * schedule.flops_per_voxel()
    assert spared.ring_planes(IMAGE, 16) <= 96 + 16


def held(schedule):
    """Return the numbers that rings hold for one voxel of the section."""
    return sum(
        schedule.ring_planes(name, 16) * channels / scale**2
        for name, scale, channels in schedule.kept()
    )
