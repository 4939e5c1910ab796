"""The arithmetic against what autograd really holds, on tensors without data."""

import weakref

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from napari_meunet.config import TrainingConfig
from napari_meunet.network.cascade import Cascade
from napari_meunet.network.stage import recompute
from napari_meunet.training.loop.objectives import (
    JointObjective,
    Stage1Objective,
    Stage2Objective,
)
from napari_meunet.training.memory.peak import peak_bytes
from napari_meunet.training.memory.step import step_of

DTYPES = {2: torch.bfloat16, 4: torch.float32}

SIX_GB = 6e9


class Held(TorchDispatchMode):
    """Counts the bytes of all storages alive, and the most at once."""

    def __init__(self):
        super().__init__()
        self.now = self.most = 0
        self._known = weakref.WeakSet()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        for leaf in tree_leaves(result):
            if isinstance(leaf, torch.Tensor):
                self._count(leaf.untyped_storage())
        return result

    def _count(self, storage):
        if storage in self._known:
            return
        self._known.add(storage)
        self.now += storage.nbytes()
        self.most = max(self.most, self.now)
        weakref.finalize(storage, self._forget, storage.nbytes())

    def _forget(self, n_bytes):
        self.now -= n_bytes


def settings(patch, expanded, batch):
    sizes = {"patch_size": patch, "expanded_size": expanded, "batch_size": batch}
    return TrainingConfig(**sizes)


def held(phase, config, itemsize, recomputed, architecture):
    """Return the most bytes that one step holds, the second one of Adam's."""
    size = config.expanded_size if phase == "stage 1" else config.patch_size
    with FakeTensorMode(), Held() as memory:
        cascade = Cascade(**architecture)
        recompute(cascade, recomputed)
        objective = {
            "stage 1": lambda: Stage1Objective(cascade, config.patch_size),
            "stage 2": lambda: Stage2Objective(cascade),
            "both stages": lambda: JointObjective(cascade),
        }[phase]().train()
        average = Cascade(**architecture)
        optimiser = torch.optim.Adam(p for p in objective.parameters())
        for parameter in objective.parameters():
            parameter.grad = torch.zeros_like(parameter)
        optimiser.step()  # makes the moments
        optimiser.zero_grad()
        image = torch.empty(config.batch_size, 1, size, size, size)
        labels = torch.empty(config.batch_size, size, size, size, dtype=torch.uint8)
        with torch.autocast("cpu", torch.bfloat16, enabled=itemsize == 2):
            loss = objective(image, labels, None)
        loss.backward()
        optimiser.step()
        del average
    return memory.most


def step_and_names(phase, config, architecture):
    step = step_of(phase, Cascade(**architecture).network, config)
    return step, list(step.stages)


@pytest.mark.parametrize("itemsize", [2, 4])
@pytest.mark.parametrize("phase", ["stage 1", "stage 2", "both stages"])
def test_what_is_planned_is_held(phase, itemsize):
    config = settings(96, 144, 2)
    architecture = {"n_classes": 4}
    step, names = step_and_names(phase, config, architecture)
    for recomputed in ([], names[1::3]):
        planned = peak_bytes(step, recomputed, itemsize)
        really = held(phase, config, itemsize, recomputed, architecture)
        assert planned == pytest.approx(really, rel=0.15), recomputed


@pytest.mark.parametrize(
    "architecture",
    [
        {"n_classes": 9, "fusion": "post"},
        {"n_classes": 3, "features": (8, 16, 16, 32, 32), "fusion": "post"},
    ],
)
def test_other_networks_are_planned_as_well(architecture):
    config = settings(160, 160, 1)
    step, names = step_and_names("stage 1", config, architecture)
    for recomputed in ([], names):
        planned = peak_bytes(step, recomputed, 2)
        really = held("stage 1", config, 2, recomputed, architecture)
        assert planned == pytest.approx(really, rel=0.15)


@pytest.mark.parametrize(
    ("phase", "whole", "least"),
    [("stage 1", 3.8, 2.0), ("stage 2", 2.3, 1.5), ("both stages", 4.1, 2.0)],
)
def test_the_published_patches_fit_six_gigabytes(phase, whole, least):
    """Mixed precision, batch 1: the allocator's arithmetic, without cuDNN's space."""
    config = settings(160, 240, 1)
    architecture = {"n_classes": 3}
    step, names = step_and_names(phase, config, architecture)
    for recomputed, most in (([], whole), (names, least)):
        really = held(phase, config, 2, recomputed, architecture)
        assert really < most * 1e9 < SIX_GB
        planned = peak_bytes(step, recomputed, 2)
        assert planned == pytest.approx(really, rel=0.05)
