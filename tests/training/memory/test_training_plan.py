from dataclasses import replace
from functools import cache
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_meunet.config import TrainingConfig
from napari_meunet.errors import MeUNetError
from napari_meunet.network.card import NetworkConfig
from napari_meunet.training.memory import budget as budgets
from napari_meunet.training.memory.budget import memory_budget
from napari_meunet.training.memory.peak import peak_bytes
from napari_meunet.training.memory.plan import Budget, plan_step

NETWORK = NetworkConfig(
    n_classes=3,
    features=(16, 32, 64, 128, 128),
    refinement_features=(8, 16, 32),
    fusion="post",
)
CONFIG = TrainingConfig(patch_size=160, expanded_size=240, batch_size=1)
AMPLE = Budget("cuda:0", 10**12, 2)
PHASES = ("stage 1", "stage 2", "both stages")


def plan(phase, n_bytes):
    return plan_step(phase, NETWORK, CONFIG, replace(AMPLE, n_bytes=n_bytes))


@cache
def least(phase):
    """Return the bytes of the smallest plan there is."""
    smallest = plan(phase, 10**12)
    while smallest.smaller():
        smallest = smallest.smaller()
    return smallest.n_bytes


@pytest.mark.parametrize("phase", PHASES)
def test_with_ample_memory_nothing_is_computed_twice(phase):
    ample = plan(phase, 10**12)
    assert ample.recomputed == ()
    assert ample.more_operations == 0
    assert "twice" not in str(ample)


@settings(max_examples=20)
@given(st.sampled_from(PHASES), st.integers(10**9, 5 * 10**9))
def test_the_fewest_stages_that_fit_are_computed_twice(phase, n_bytes):
    if n_bytes < least(phase):
        with pytest.raises(MeUNetError, match="must fit the memory allowed"):
            plan(phase, n_bytes)
        return
    found = plan(phase, n_bytes)
    assert found.n_bytes == peak_bytes(found.step, found.recomputed, 2) <= n_bytes
    if found.recomputed:
        assert peak_bytes(found.step, found.recomputed[:-1], 2) > n_bytes


def test_the_wide_and_shallow_stages_go_first():
    # enc1 spares 3 x 16 + 0 channels for 27 x 17 x 16 weights, dec1 3 x 16 + 32 for
    # 27 x 48 x 16, and at level 2 the weights are four times as many for twice as much
    smallest = plan("stage 1", least("stage 1"))
    assert smallest.recomputed[:2] == ("stage1.enc1", "stage1.dec1")


def test_the_work_done_twice_is_counted():
    # all stages twice: a forward pass more on one forward pass and two backward
    config = CONFIG.model_copy(update={"expanded_size": 160})
    step = plan_step("stage 1", NETWORK, config, AMPLE)
    everything = replace(step, recomputed=tuple(step.step.stages))
    assert everything.more_operations == pytest.approx(1 / 3)
    assert "9 of 9 stages computed twice (33% more work)" in str(everything)


@pytest.mark.parametrize("phase", PHASES)
def test_a_smaller_plan_takes_less_until_there_is_none(phase):
    plans = [plan(phase, 10**12)]
    while smaller := plans[-1].smaller():
        plans.append(smaller)
    assert len(plans) > 2
    assert all(b.n_bytes < a.n_bytes for a, b in pairwise(plans))


def test_what_never_fits_is_an_error_with_remedies():
    with pytest.raises(MeUNetError, match=r"1 GB on cuda:0, got .* --batch-size"):
        plan("stage 1", 10**9)


def test_the_budget_is_what_was_asked_for_or_a_share_of_what_is_free(monkeypatch):
    cpu = torch.device("cpu")
    asked = TrainingConfig(memory=123)
    assert memory_budget(asked, cpu, 4) == Budget("cpu", 123, 4)
    monkeypatch.setattr(budgets, "free_on_host", lambda: 8000)
    assert memory_budget(TrainingConfig(), cpu, 2) == Budget("cpu", 4000, 2)
    two = TrainingConfig(n_devices=2)
    assert memory_budget(two, cpu, 2).n_bytes == 2000
    monkeypatch.setattr(budgets, "free_on_cuda", lambda device: 1000)
    cuda = torch.device("cuda:0")
    assert memory_budget(TrainingConfig(), cuda, 2) == Budget("cuda:0", 800, 2)
