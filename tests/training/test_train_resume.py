"""A training that stops and goes on."""

import itertools
from contextlib import closing

import pytest
import torch

from napari_meunet.config import TrainingConfig
from napari_meunet.errors import MeUNetError
from napari_meunet.network.card import Card, NetworkConfig
from napari_meunet.network.checkpoint import load_checkpoint
from napari_meunet.network.classes import unnamed_classes
from napari_meunet.training.loop import fit
from napari_meunet.training.train import state_path, train
from napari_meunet.volume.volume import Volume

pytestmark = pytest.mark.usefixtures("short_calibration")

CONFIG = TrainingConfig(
    patch_size=32,
    expanded_size=32,
    batch_size=1,
    stage1_steps=3,
    stage2_steps=3,
    joint_steps=2,
    validation_steps=2,
    patience=2,
)

CARD = Card(
    name="tiny",
    version="1",
    network=NetworkConfig(
        n_classes=2,
        features=(2, 2, 2, 2, 2),
        refinement_features=(2, 2, 2),
        fusion="post",
    ),
    classes=unnamed_classes(2),
    data="noise",
    licence="BSD-3-Clause",
)


def steps_of(pair, path, config=CONFIG):
    return train([pair], config, CARD, path, validation=[mirrored(pair)])


def weights(path):
    return load_checkpoint(path).weights


def test_wherever_it_stops_it_ends_with_the_same_weights(pair, tmp_path):
    whole = tmp_path / "whole.safetensors"
    n_yields = len(list(steps_of(pair, whole)))
    # steps and batches of statistics of each phase, windows of five validations
    assert n_yields == 3 + 2 + 3 + 2 + 2 + 2 + 5 * 8
    for stop in (1, 2, 7, 11, 12, 20, 22, 30, 52):
        path = tmp_path / f"stopped-{stop}.safetensors"
        with closing(steps_of(pair, path)) as steps:
            list(itertools.islice(steps, stop))
        assert not path.exists()
        assert state_path(path).exists()
        list(steps_of(pair, path))
        assert not state_path(path).exists()
        for name, tensor in weights(whole).items():
            assert torch.equal(weights(path)[name], tensor), (stop, name)


def test_it_stops_as_often_as_one_likes(pair, tmp_path):
    whole, path = tmp_path / "whole.safetensors", tmp_path / "often.safetensors"
    list(steps_of(pair, whole))
    while not path.exists():
        with closing(steps_of(pair, path)) as steps:
            list(itertools.islice(steps, 10))  # a validation has 8 windows
    for name, tensor in weights(whole).items():
        assert torch.equal(weights(path)[name], tensor), name


def test_a_state_of_other_settings_is_refused_and_stays(pair, tmp_path):
    path = tmp_path / "model.safetensors"
    with closing(steps_of(pair, path)) as steps:
        next(steps)
    before = state_path(path).read_bytes()
    other = CONFIG.model_copy(update={"seed": 1})
    with pytest.raises(MeUNetError, match="same scans and settings"):
        list(steps_of(pair, path, other))
    assert state_path(path).read_bytes() == before


def test_a_damaged_state_is_one_clear_error(pair, tmp_path):
    path = tmp_path / "model.safetensors"
    state_path(path).write_bytes(b"not a state")
    with pytest.raises(MeUNetError, match="delete it to begin anew"):
        list(steps_of(pair, path))


def test_without_gain_a_phase_ends_early_with_its_best_weights(pair, tmp_path):
    config = CONFIG.model_copy(
        update={
            "stage1_steps": 50,
            "validation_steps": 1,
            "patience": 2,
            "learning_rate": 1e-12,
        }
    )
    path = tmp_path / "model.safetensors"
    progress = list(steps_of(pair, path, config))
    stage1 = [s for s in progress if s.message == "stage 1" and s.unit == "steps"]
    assert 3 <= len(stage1) < 50
    assert all("Dice class 1" in s.metrics for s in stage1)


def test_the_best_weights_are_kept(pair, tmp_path, monkeypatch):
    """Scores fall from the first measurement on: it is as if one step was taken."""
    falling = iter([0.9, 0.1, 0.1])

    def scores(*_):
        yield from ()
        return {1: next(falling)}

    monkeypatch.setattr(fit, "validation_dice", scores)
    alone = {"stage2_steps": 0, "joint_steps": 0, "fusion": "none"}
    exact = {"schedule": "constant", "averaging": 0, "statistics": "running"}
    network = CARD.network.model_copy(update={"fusion": "none"})
    card = CARD.model_copy(update={"network": network})
    found = []
    for many in (
        {"stage1_steps": 5, "validation_steps": 1},
        {"stage1_steps": 1, "validation_steps": 9, "patience": None},
    ):
        config = CONFIG.model_copy(update=alone | exact | many)
        path = tmp_path / f"{len(found)}.safetensors"
        held_out = [pair] if config.patience else []
        list(train([mirrored(pair)], config, card, path, validation=held_out))
        found.append(weights(path))
    assert next(falling, None) is None
    for name, tensor in found[0].items():
        assert torch.equal(tensor, found[1][name]), name


def mirrored(pair):
    return tuple(Volume.from_array(part.read(0, 34)[::-1]) for part in pair)


def test_wherever_it_stops_it_ends_as_early(pair, tmp_path):
    """A validation counts once, whether it was whole or cut off."""
    config = CONFIG.model_copy(
        update={
            "stage1_steps": 9,
            "stage2_steps": 0,
            "joint_steps": 1,
            "validation_steps": 1,
            "learning_rate": 1e-12,
        }
    )
    whole = tmp_path / "whole.safetensors"
    taken = [s for s in steps_of(pair, whole, config) if s.unit == "steps"]
    n_steps = sum(step.message == "stage 1" for step in taken)
    assert n_steps == 3  # the best, and two without gain
    for stop in (1, 8, 9, 10, 17, 18, 19, 26, 27, 28):
        path = tmp_path / f"stopped-{stop}.safetensors"
        with closing(steps_of(pair, path, config)) as steps:
            begun = list(itertools.islice(steps, stop))
        taken = [*begun, *steps_of(pair, path, config)]
        told = [s.done for s in taken if (s.unit, s.message) == ("steps", "stage 1")]
        assert told == [1, 2, 3], stop
        for name, tensor in weights(whole).items():
            assert torch.equal(weights(path)[name], tensor), (stop, name)
