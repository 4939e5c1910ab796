"""A training that runs out of memory, or never had enough."""

from contextlib import contextmanager

import pytest
import torch

from napari_meunet.config import TrainingConfig
from napari_meunet.errors import MeUNetError
from napari_meunet.network.card import Card, NetworkConfig
from napari_meunet.network.checkpoint import load_checkpoint
from napari_meunet.network.classes import unnamed_classes
from napari_meunet.network.device import computes_bf16
from napari_meunet.training.loop import fit
from napari_meunet.training.loop.objectives import Stage1Objective, Stage2Objective
from napari_meunet.training.memory.budget import Budget
from napari_meunet.training.memory.plan import plan_step
from napari_meunet.training.output import state_path
from napari_meunet.training.train import train

pytestmark = pytest.mark.usefixtures("short_calibration")

CONFIG = TrainingConfig(
    patch_size=32,
    expanded_size=48,
    batch_size=1,
    stage1_steps=4,
    stage2_steps=3,
    joint_steps=0,
    device="cpu",
)

NETWORK = NetworkConfig(
    n_classes=2, features=(16,) * 5, refinement_features=(16,) * 3, fusion="post"
)

CARD = Card(
    name="tiny",
    version="1",
    network=NETWORK,
    classes=unnamed_classes(2),
    data="noise",
    licence="BSD-3-Clause",
)


def trained(pair, path, config=CONFIG):
    steps = list(train([pair], config, CARD, path))
    return steps, load_checkpoint(path).weights


def assert_same(found, expected):
    for name, value in expected.items():
        assert torch.equal(found[name], value), name


def failing(monkeypatch, kind, when):
    """Let a forward pass of an objective fail late, by its number from 0."""
    forward, calls = kind.forward, []

    def full(self, *arguments):
        calls.append(1)
        loss = forward(self, *arguments)  # the statistics have counted the batch now
        if when(len(calls) - 1):
            raise torch.OutOfMemoryError("CUDA out of memory")
        return loss

    monkeypatch.setattr(kind, "forward", full)


def scarce(phase):
    """Return bytes that a phase fits only with some stages computed twice."""
    itemsize = 2 if computes_bf16(torch.device("cpu")) else 4
    ample = plan_step(phase, NETWORK, CONFIG, Budget("cpu", 10**12, itemsize))
    return int(0.97 * ample.n_bytes)


def test_scarce_memory_changes_the_plan_and_not_what_is_learnt(pair, tmp_path):
    steps, expected = trained(pair, tmp_path / "ample.safetensors")
    assert not any("twice" in step.message for step in steps)
    config = CONFIG.model_copy(update={"memory": scarce("stage 1")})
    steps, found = trained(pair, tmp_path / "scarce.safetensors", config)
    assert "stages computed twice" in steps[0].message
    assert steps[0].message.startswith("stage 1: ")
    assert_same(found, expected)


def test_a_step_that_runs_out_of_memory_is_taken_again(pair, tmp_path, monkeypatch):
    _, expected = trained(pair, tmp_path / "ample.safetensors")
    failing(monkeypatch, Stage1Objective, {1, 3}.__contains__)
    failing(monkeypatch, Stage2Objective, {1}.__contains__)
    steps, found = trained(pair, tmp_path / "failing.safetensors")
    said = [
        step for step in steps if "ran out of memory; going on with" in step.message
    ]
    assert [step.done for step in said] == [1, 2, 1]
    assert "computed twice" in said[0].message
    assert_same(found, expected)


def test_when_no_plan_helps_what_was_learnt_is_kept(pair, tmp_path, monkeypatch):
    _, expected = trained(pair, tmp_path / "ample.safetensors")
    path = tmp_path / "full.safetensors"
    with monkeypatch.context() as context:
        failing(context, Stage1Objective, lambda call: call >= 2)
        with pytest.raises(MeUNetError, match="goes on where it stopped"):
            list(train([pair], CONFIG, CARD, path))
    assert torch.load(state_path(path), weights_only=True)["step"] == 2
    steps, found = trained(pair, path)
    assert steps[0].done == 3
    assert_same(found, expected)


def test_a_training_goes_on_with_another_budget(pair, tmp_path):
    _, expected = trained(pair, tmp_path / "whole.safetensors")
    path = tmp_path / "stopped.safetensors"
    steps = train([pair], CONFIG, CARD, path)
    next(steps)
    steps.close()
    config = CONFIG.model_copy(update={"memory": scarce("stage 1")})
    _, found = trained(pair, path, config)
    assert_same(found, expected)


def test_other_errors_are_not_taken_for_full_memory(pair, tmp_path, monkeypatch):
    def broken(self, *arguments):
        raise RuntimeError("a bug")

    monkeypatch.setattr(Stage1Objective, "forward", broken)
    with pytest.raises(RuntimeError, match="a bug"):
        list(train([pair], CONFIG, CARD, tmp_path / "model.safetensors"))


def test_a_budget_that_nothing_fits_is_refused_before_the_first_step(pair, tmp_path):
    config = CONFIG.model_copy(update={"memory": 1000})
    path = tmp_path / "model.safetensors"
    with pytest.raises(MeUNetError, match=r"1 kB on cpu, got .* allow more --memory"):
        list(train([pair], config, CARD, path))
    assert not path.exists()


def test_a_stage_plans_with_the_memory_that_the_last_one_gave_back(
    pair, tmp_path, monkeypatch
):
    held, found = [], []

    @contextmanager
    def kept():
        held.append(len(found))
        yield
        held.append("given back")

    budget = fit.memory_budget
    monkeypatch.setattr("napari_meunet.training.train.freed_memory_kept", kept)
    monkeypatch.setattr(fit, "memory_budget", lambda *a: found.append(a) or budget(*a))
    trained(pair, tmp_path / "model.safetensors")
    assert held == [0, "given back", 1, "given back"]
