"""Bad input and bad luck: a clear error, and nothing good is lost."""

import itertools
from contextlib import closing

import numpy as np
import pytest
import torch

from napari_meunet import progress
from napari_meunet.config import TrainingConfig
from napari_meunet.errors import MeUNetError
from napari_meunet.network.card import Card, NetworkConfig
from napari_meunet.network.checkpoint import load_checkpoint
from napari_meunet.network.classes import unnamed_classes
from napari_meunet.training.label_values import IGNORE
from napari_meunet.training.loop.state import TrainingState
from napari_meunet.training.loop.stepper import Stepper
from napari_meunet.training.output import state_path
from napari_meunet.training.train import train
from napari_meunet.volume.volume import Volume

pytestmark = pytest.mark.usefixtures("short_calibration")

CONFIG = TrainingConfig(
    patch_size=32,
    expanded_size=32,
    batch_size=1,
    stage1_steps=4,
    stage2_steps=0,
    fusion="none",
    device="cpu",
)


def card(n_classes=2):
    return Card(
        name="tiny",
        version="1",
        network=NetworkConfig(
            n_classes=n_classes,
            features=(2,) * 5,
            refinement_features=(2,) * 3,
            fusion="none",
        ),
        classes=unnamed_classes(n_classes),
        data="noise",
        licence="BSD-3-Clause",
    )


@pytest.fixture
def image(rng):
    return rng.integers(0, 255, (34, 40, 36), dtype=np.uint8)


def pair_of(image, labels):
    return Volume.from_array(image), Volume.from_array(labels.astype(np.uint8))


def test_a_loss_that_is_no_number_leaves_the_last_good_state(
    image, tmp_path, monkeypatch
):
    path, pair = tmp_path / "model.safetensors", pair_of(image, image > 100)
    with closing(train([pair], CONFIG, card(), path)) as steps:
        next(steps)
    before = torch.load(state_path(path), weights_only=True)
    monkeypatch.setattr(
        "napari_meunet.training.loop.objectives.Stage1Objective.forward",
        lambda self, image, labels, offsets: image.sum() * torch.nan,
    )
    with pytest.raises(MeUNetError, match="loss must stay finite, got nan"):
        list(train([pair], CONFIG, card(), path))
    after = torch.load(state_path(path), weights_only=True)
    assert after["step"] == before["step"] == 1
    for name, tensor in before["cascade"].items():
        assert torch.equal(after["cascade"][name], tensor), name


def test_a_label_painted_wrong_meanwhile_loses_no_step(image, tmp_path):
    path, labels = tmp_path / "model.safetensors", (image > 100).astype(np.uint8)
    pair = Volume.from_array(image), Volume.from_array(labels)
    config = CONFIG.model_copy(update={"stage1_steps": 20})
    with closing(train([pair], config, card(), path)) as steps:
        list(itertools.islice(steps, 2))
        labels[:] = 9
        with pytest.raises(MeUNetError, match="got 9 in what was painted meanwhile"):
            list(steps)
    assert torch.load(state_path(path), weights_only=True)["step"] >= 2


def test_weights_that_are_no_numbers_are_never_saved(image, tmp_path, monkeypatch):
    path, pair = tmp_path / "model.safetensors", pair_of(image, image > 100)
    with closing(train([pair], CONFIG, card(), path)) as steps:
        next(steps)
    before = state_path(path).read_bytes()
    step = Stepper.step

    def spoiling(self, *arguments):
        loss = step(self, *arguments)
        next(self.objective.stage1.enc1.parameters()).data.fill_(torch.nan)
        return loss

    monkeypatch.setattr(Stepper, "step", spoiling)
    steps = train([pair], CONFIG, card(), path)
    next(steps)
    with pytest.raises(MeUNetError, match="weights must be finite to be kept"):
        steps.close()
    assert state_path(path).read_bytes() == before


def test_a_full_disk_is_one_clear_error_and_leaves_the_old_state(tmp_path):
    resource = pytest.importorskip("resource", reason="limits of POSIX")
    state = TrainingState(tmp_path / "model.unfinished.pt", "key")
    state.cascade = {"weight": torch.zeros(10)}
    state.save()
    before = state.path.read_bytes()
    state.cascade = {"weight": torch.zeros(10**6)}
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10**5, limits[1]))
    try:
        with pytest.raises(MeUNetError, match="must be writable, got File too large"):
            state.save()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert state.path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [state.path]


def test_labels_of_nothing_but_ignored_voxels_are_refused(image, tmp_path):
    pair = pair_of(image, np.full(image.shape, IGNORE))
    with pytest.raises(MeUNetError, match="some voxels must have a label"):
        list(train([pair], CONFIG, card(), tmp_path / "model.safetensors"))


def test_a_volume_smaller_than_the_patch_is_trained_on(image, tmp_path):
    small = image[:9, :14, :11]
    path = tmp_path / "model.safetensors"
    list(train([pair_of(small, small > 100)], CONFIG, card(), path))
    weights = load_checkpoint(path).weights.values()
    assert all(tensor.isfinite().all() for tensor in weights)


def test_a_class_may_be_missing_from_some_of_the_scans(image, tmp_path):
    path = tmp_path / "model.safetensors"
    both = np.where(image > 200, 2, image > 100)
    pairs = [pair_of(image, both), pair_of(image, image > 100)]
    steps = list(train(pairs, CONFIG, card(3), path))
    losses = [step.metrics["loss"] for step in steps if "loss" in step.metrics]
    assert len(losses) == 4
    assert np.isfinite(losses).all()


def test_a_patch_without_a_labelled_voxel_changes_nothing_by_itself():
    from napari_meunet.training.loop.losses import segmentation_loss

    logits = torch.randn(1, 2, 4, 4, 4, requires_grad=True)
    labels = torch.full((1, 4, 4, 4), IGNORE, dtype=torch.uint8)
    loss = segmentation_loss(logits, labels)
    loss.backward()
    assert loss.isfinite()
    assert not logits.grad.any()


def test_the_states_of_a_training_follow_each_other(image, tmp_path):
    path, pair = tmp_path / "model.safetensors", pair_of(image, image > 100)
    for n in (1, 2):
        with closing(train([pair], CONFIG, card(), path)) as steps:
            list(itertools.islice(steps, 1))
        assert torch.load(state_path(path), weights_only=True)["step"] == n


def test_reading_labels_is_told_and_can_be_stopped(image, tmp_path, monkeypatch):
    monkeypatch.setattr(progress, "SECONDS_BETWEEN_STEPS", 0.0)
    path, pair = tmp_path / "model.safetensors", pair_of(image, image > 100)
    with closing(train([pair], CONFIG, card(), path)) as steps:
        told = list(itertools.islice(steps, len(image)))
        assert next(steps).unit == "steps"
    assert [(step.done, step.unit) for step in told] == [
        (z, "planes") for z in range(1, len(image) + 1)
    ]
