import copy
from functools import cache

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import nn

from napari_meunet.network.cascade import Cascade
from napari_meunet.network.device import computes_bf16
from napari_meunet.network.stage import (
    ConvStage,
    Pool,
    conv_stages,
    freeze_statistics,
    join,
    norms,
    recompute,
    statistics_kept,
)
from napari_meunet.training.loop.objectives import (
    JointObjective,
    Stage1Objective,
    Stage2Objective,
)

SIZES = {"n_classes": 2, "features": (2,) * 5, "refinement_features": (2,) * 3}

KINDS = {
    "stage 1": lambda cascade: Stage1Objective(cascade, 16),
    "stage 2": Stage2Objective,
    "both stages": JointObjective,
}


def cascade(fusion="post"):
    torch.manual_seed(0)
    return Cascade(**SIZES, fusion=fusion)


NAMES = sorted(conv_stages(cascade()))


@cache
def after_two_steps(kind, fusion, names, *, frozen=False):
    """Return weights, statistics and losses."""
    size = 32 if kind == "stage 1" else 16
    network = cascade(fusion)
    recompute(network, names)
    objective = KINDS[kind](network).train()
    if frozen:
        freeze_statistics(objective)
    fitted = [p for p in objective.parameters() if p.requires_grad]
    optimiser = torch.optim.Adam(fitted, 1e-2)
    torch.manual_seed(1)
    losses = []
    for _ in range(2):
        image = torch.rand(2, 1, size, size, size)
        labels = torch.randint(0, 2, (2, size, size, size))
        optimiser.zero_grad()
        loss = objective(image, labels, None)
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    return network.state_dict(), losses


@pytest.mark.parametrize("fusion", ["post", "pre"])
@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=3)
@example(names=set(NAMES))
@given(names=st.sets(st.sampled_from(NAMES)))
def test_whatever_is_computed_twice_the_same_is_learnt(kind, fusion, names):
    expected, expected_losses = after_two_steps(kind, fusion, frozenset())
    found, losses = after_two_steps(kind, fusion, frozenset(names))
    assert losses == expected_losses
    for name, value in expected.items():  # weights and running statistics, bit by bit
        assert torch.equal(found[name], value), name


@pytest.mark.parametrize("kind", KINDS)
def test_frozen_statistics_stay_whatever_is_computed_twice(kind):
    expected, expected_losses = after_two_steps(kind, "post", frozenset(), frozen=True)
    names = frozenset(NAMES)
    found, losses = after_two_steps(kind, "post", names, frozen=True)
    assert losses == expected_losses
    untrained = cascade().state_dict()
    for name, value in expected.items():
        assert torch.equal(found[name], value), name
        if "running_" in name or "num_batches" in name:
            assert torch.equal(value, untrained[name]), name


@pytest.mark.parametrize("name", NAMES)
def test_a_stage_computed_twice_counts_a_batch_once(name):
    network = cascade().train()
    recompute(network, [name])
    network(torch.rand(2, 1, 16, 16, 16)).sum().backward()
    counts = {int(n.num_batches_tracked) for n in norms(network)}
    assert counts == {1}
    assert {n.momentum for n in norms(network)} == {0.1}


def test_a_stage_computed_twice_keeps_what_comes_in_and_goes_out():
    def saved(stage):
        sizes = {}

        def pack(tensor):
            sizes[tensor.data_ptr()] = tensor.numel()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            stage(skip, deep)
        return [n for n in sizes.values() if n >= 4 * 8**3]

    skip = torch.rand(1, 2, 8, 8, 8, requires_grad=True)
    deep = torch.rand(1, 3, 4, 4, 4, requires_grad=True)
    stage = ConvStage(5, 4)
    whole = saved(stage)
    # the joined input, then both convolutions and both ReLUs in place of BatchNorm
    assert sorted(whole) == [4 * 8**3] * 4 + [5 * 8**3]
    stage.recomputed = True
    assert saved(stage) == []  # it holds its inputs itself


def test_two_inputs_are_joined_in_any_sizes():
    skip, deep = torch.rand(1, 1, 5, 4, 4), torch.rand(1, 2, 2, 2, 2)
    joined = join(skip, deep)
    assert torch.equal(joined[:, :1], skip)
    assert torch.equal(joined[:, 1:, :, ::2, ::2][:, :, [0, 4]], deep)
    same = torch.rand(1, 2, 5, 4, 4)
    assert torch.equal(join(skip, same), torch.cat((skip, same), dim=1))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_pooling_keeps_the_precision_under_autocast(dtype):
    features = torch.rand(1, 2, 4, 4, 4).to(dtype)
    with torch.autocast("cpu", torch.bfloat16):
        pooled = Pool()(features)
    assert pooled.dtype == dtype
    assert torch.equal(pooled.float(), nn.MaxPool3d(2, 2)(features.float()))


def test_statistics_are_kept_and_normalisation_is_as_in_training():
    torch.manual_seed(0)
    stage = ConvStage(1, 2).train()
    image = torch.rand(2, 1, 8, 8, 8)
    before = copy.deepcopy(stage.state_dict())
    with statistics_kept(stage):
        kept = stage(image)
    for name, value in stage.state_dict().items():
        assert torch.equal(value, before[name]), name
    assert torch.equal(stage(image), kept)
    assert int(norms(stage)[0].num_batches_tracked) == 1


@pytest.mark.skipif(
    not computes_bf16(torch.device("cpu")), reason="this processor has no bf16"
)
def test_gradients_of_the_smallest_features_are_those_in_fp32():
    """oneDNN read memory that nobody had written to, on processors without AMX."""
    torch.manual_seed(0)
    stage, image = ConvStage(64, 128), torch.randn(1, 64, 2, 2, 2)
    found = []
    for enabled in [False] + 10 * [True]:
        unwritten = [torch.full((2**18,), torch.nan) for _ in range(40)]
        del unwritten  # its memory is what is taken next
        stage.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            features = stage(image)
        features.float().square().mean().backward()
        found.append(stage[0][0].weight.grad.clone())
    expected, *others = found
    for gradient in others:
        assert (gradient - expected).norm() < 0.1 * expected.norm()
