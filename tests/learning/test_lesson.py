"""Learning from corrections: what is kept, and what is not."""

from contextlib import closing, contextmanager

import numpy as np
import pytest
import torch

from napari_meunet.config import LabelClass
from napari_meunet.errors import MeUNetError
from napari_meunet.labels.store import LabelStore
from napari_meunet.learning import lesson as room
from napari_meunet.learning.comparison import Known, Score
from napari_meunet.learning.lesson import learn, learning_config
from napari_meunet.network.card import Card, NetworkConfig, read_card
from napari_meunet.network.cascade import Cascade
from napari_meunet.network.checkpoint import (
    Checkpoint,
    load_checkpoint,
    save_checkpoint,
)
from napari_meunet.network.classes import unnamed_classes
from napari_meunet.progress import Progress, returned
from napari_meunet.training.label_values import IGNORE
from napari_meunet.training.output import candidates
from napari_meunet.training.train import train
from napari_meunet.volume.volume import Volume

pytestmark = pytest.mark.usefixtures("short_calibration")

SHAPE = (40, 64, 256)
SMALL = {"patch_size": 32, "expanded_size": 32, "batch_size": 1, "device": "cpu"}
HASTY = {**SMALL, "learning_rate": 1e-2}


@pytest.fixture
def truth():
    """Return a ball in each of four cells."""
    z, y, x = np.indices(SHAPE)
    ball = (z - 20) ** 2 + (y - 32) ** 2 + (x % 64 - 32) ** 2 < 14**2
    return ball.astype(np.uint8)


@pytest.fixture
def scan(truth, rng):
    noise = rng.normal(0, 10, SHAPE)
    return Volume.from_array(np.clip(60 + 120 * truth + noise, 0, 255).astype(np.uint8))


@pytest.fixture
def checkpoint():
    """Return a model that knows nothing."""
    torch.manual_seed(1)
    network = NetworkConfig(
        n_classes=2,
        features=(4, 4, 4, 4, 4),
        refinement_features=(2, 2, 2),
        fusion="post",
    )
    card = Card(
        name="ignorant",
        version="1",
        network=network,
        classes=unnamed_classes(2),
        data="nothing",
        licence="BSD-3-Clause",
    )
    return Checkpoint(Cascade(**network.model_dump()).state_dict(), card)


@pytest.fixture
def acquainted(scan, truth, checkpoint, tmp_path):
    """Return the same with statistics of the scan: these stay in a lesson."""
    path, card = tmp_path / "acquainted.safetensors", checkpoint.card
    config = learning_config(
        1, **{**SMALL, "learning_rate": 1e-9, "statistics": "measured"}
    )
    pair = scan, Volume.from_array(truth)
    list(train([pair], config, card, path, initial=checkpoint))
    return load_checkpoint(path)


@pytest.fixture
def store(tmp_path, scan, truth, checkpoint):
    """Return labels in which a person has drawn what the model has not found."""
    folder, classes = tmp_path / "scan.meunet", checkpoint.card.classes
    with LabelStore.create(folder, scan, classes) as store:
        store.write_confidence((0, 0, 0), np.full((10, 16, 64), 128, np.uint8))
        editable = store.editable()
        editable[:, :, :] = truth
        for x in range(0, 8, 2):  # a place of each cell, with the background in it
            store.reviewed.mark((0, 0, x))
        yield store


def learned(scan, store, checkpoint, output, n_steps=80, **choices):
    config = learning_config(n_steps, **{**HASTY, **choices})
    return learn(scan, store, checkpoint, config, output, command="a test")


def test_a_model_learns_what_a_person_has_corrected(scan, store, acquainted, tmp_path):
    output = tmp_path / "new.safetensors"
    slowly = {"n_steps": 150, "learning_rate": 3e-3}
    outcome = returned(learned(scan, store, acquainted, output, **slowly))
    assert outcome.is_better
    assert outcome.before.total == outcome.after.total
    assert outcome.after.wrong < outcome.before.wrong / 4
    (name,) = outcome.after.dice
    assert outcome.after.dice[name] > 0.85
    card = read_card(output)
    assert card.metrics[f"Dice {name}, held-out cells"] == round(
        outcome.after.dice[name], 4
    )
    assert card.training[-1].config["joint_steps"] == 150
    weights = load_checkpoint(output).weights
    for name in (name for name in weights if ".running_" in name):
        assert torch.equal(weights[name], acquainted.weights[name]), name
    assert not candidates(output)


def test_a_model_that_is_no_better_is_not_kept(scan, store, checkpoint, tmp_path):
    output = tmp_path / "new.safetensors"
    output.write_bytes(b"the model of yesterday")
    outcome = returned(learned(scan, store, checkpoint, output, n_steps=0))
    assert outcome.after.wrong == outcome.before.wrong > 0
    assert not outcome.is_better
    assert output.read_bytes() == b"the model of yesterday"
    assert not candidates(output)


def test_the_model_halfway_is_written_where_it_is_better(
    scan, store, acquainted, tmp_path, monkeypatch
):
    wrong = {
        "the model before": 100,
        "the new model": 50,
        "halfway to the new model": 9,
    }

    def score(self, model, name):
        yield Progress(1, 1, "planes", name)
        return Score(wrong[name], 1000, {"ball": 0.9})

    monkeypatch.setattr(Known, "score", score)
    output = tmp_path / "new.safetensors"
    outcome = returned(learned(scan, store, acquainted, output, n_steps=2))
    assert outcome.halfway
    assert "mean of the weights" in read_card(output).data
    half = load_checkpoint(output).weights
    wrong["the new model"] = 8
    outcome = returned(learned(scan, store, acquainted, output, n_steps=2))
    assert not outcome.halfway
    whole = load_checkpoint(output).weights
    floats = {name: each for name, each in whole.items() if each.is_floating_point()}
    for name, weight in floats.items():
        mean = (weight + acquainted.weights[name]) / 2
        torch.testing.assert_close(half[name], mean, rtol=2e-3, atol=2e-3)
    assert any((half[name] != weight).any() for name, weight in floats.items())


def test_measuring_counts_what_a_person_vouches_for_and_the_model_was_sure_of(
    scan, store, checkpoint, truth, tmp_path
):
    output = tmp_path / "new.safetensors"
    seen = returned(learned(scan, store, checkpoint, output, n_steps=0)).before
    # of both cells that are held out: the ball, and what else lies in a reviewed place
    ball, place = truth[:, :, :64], truth[:32, :32, :32]
    assert seen.total == 2 * (place.size + ball.sum() - place.sum())
    store.write_confidence((0, 0, 0), np.full((10, 16, 64), 255, np.uint8))
    sure = returned(learned(scan, store, checkpoint, output, n_steps=0)).before
    assert sure.total == seen.total  # a person has set something in every place
    with half_corrected(scan, checkpoint, truth, tmp_path) as store:
        sure = returned(learned(scan, store, checkpoint, output, n_steps=0)).before
    assert sure.total == 2 * (ball[:, :, :32].sum() + 40 * 64 * 32)


@contextmanager
def half_corrected(scan, checkpoint, truth, tmp_path):
    """Open labels of a sure model; every other place along x was corrected."""
    folder, classes = tmp_path / "half.meunet", checkpoint.card.classes
    with LabelStore.create(folder, scan, classes) as store:
        store.write_confidence((0, 0, 0), np.full((10, 16, 64), 255, np.uint8))
        editable = store.editable()
        for x in range(0, 256, 64):
            editable[:, :, x : x + 32] = truth[:, :, x : x + 32]
        yield store


def test_every_other_patch_is_of_corrections(
    scan, checkpoint, truth, tmp_path, monkeypatch
):
    given = {}

    def train_nothing(pairs, config, card, output, *, initial, turns):
        given.update(pairs=pairs, turns=turns)
        save_checkpoint(initial, output)
        yield Progress(1, 1, "steps", "nothing")

    monkeypatch.setattr(room, "train", train_nothing)
    other = scan, Volume.from_array(truth)
    output, config = tmp_path / "new.safetensors", learning_config(1, **SMALL)
    replay = [other, other]
    with half_corrected(scan, checkpoint, truth, tmp_path) as store:
        steps = learn(
            scan, store, checkpoint, config, output, command="a test", replay=replay
        )
        returned(steps)
        labels = [labels.planes[:] for _, labels in given["pairs"]]
    assert given["turns"] == [0, 1, 0, 2, 0, 3]
    mine, sure, *others = labels
    assert 0 < (mine != IGNORE).sum() < (sure != IGNORE).sum()
    assert [np.array_equal(each, truth) for each in others] == [True, True]


def test_a_training_that_was_stopped_goes_on_and_is_not_done_twice(
    scan, store, checkpoint, tmp_path, monkeypatch
):
    output = tmp_path / "new.safetensors"
    with closing(learned(scan, store, checkpoint, output, n_steps=4)) as steps:
        while next(steps).done < 2:
            pass
    (state,) = candidates(output)
    assert state.name.endswith(".candidate.unfinished.pt")
    with closing(learned(scan, store, checkpoint, output, n_steps=4)) as steps:
        counts = [(step := next(steps)).done]
        while "held-out" not in step.message:
            step = next(steps)
            counts.append(step.done)
    assert counts[:2] == [0, 3]  # first the corrections are looked at
    (candidate,) = candidates(output)
    assert candidate.suffix == ".safetensors"
    assert not output.exists()

    def train_again(*_, **__):
        raise AssertionError("it was trained already")

    monkeypatch.setattr(room, "train", train_again)
    returned(learned(scan, store, checkpoint, output, n_steps=4))
    assert not candidates(output)


def test_too_few_corrections_are_refused_before_work_starts(scan, checkpoint, tmp_path):
    folder = tmp_path / "empty.meunet"
    with LabelStore.create(folder, scan, checkpoint.card.classes) as store:
        output = tmp_path / "new.safetensors"
        with pytest.raises(MeUNetError, match="run Segment with the preset 'exact'"):
            returned(learned(scan, store, checkpoint, output))
        store.write_confidence((0, 0, 0), np.full((10, 16, 64), 128, np.uint8))
        with pytest.raises(MeUNetError, match="got 0; correct a few more places"):
            returned(learned(scan, store, checkpoint, output))


def test_a_lesson_is_about_one_scan_as_it_lies_there():
    config = learning_config(seed=3)
    assert config.augmentation == "none"  # sides are not exchanged either
    assert (config.statistics, config.dice) == ("frozen", False)
    assert config.seed == 3


def test_what_was_corrected_meanwhile_begins_a_new_lesson(
    scan, store, checkpoint, tmp_path
):
    output = tmp_path / "new.safetensors"
    with closing(learned(scan, store, checkpoint, output, n_steps=4)) as steps:
        while next(steps).done < 2:
            pass
    (old,) = candidates(output)
    store.editable()[0, 0, 0] = 1
    with closing(learned(scan, store, checkpoint, output, n_steps=4)) as steps:
        assert [next(steps).done for _ in range(2)] == [0, 1]
    (new,) = candidates(output)
    assert new != old


def test_both_models_are_measured_on_what_was_known_at_first(
    scan, store, checkpoint, tmp_path
):
    lesson = learned(scan, store, checkpoint, tmp_path / "a.safetensors", n_steps=0)
    before = returned(
        learned(scan, store, checkpoint, tmp_path / "b.safetensors", n_steps=0)
    )
    measured = False
    with pytest.raises(StopIteration) as end:
        while True:
            step = next(lesson)
            if "held-out" in step.message and not measured:
                measured = True
                store.editable()[:] = 1  # a person goes on
    assert measured
    assert end.value.value.after == end.value.value.before == before.before


def test_a_model_of_other_classes_is_refused(scan, store, checkpoint, tmp_path):
    classes = (
        checkpoint.card.classes[0],
        LabelClass(value=7, name="x", color="#aabbcc"),
    )
    card = checkpoint.card.model_copy(update={"classes": classes})
    other = Checkpoint(checkpoint.weights, card)
    with pytest.raises(MeUNetError, match="checkpoint with the same classes"):
        next(learned(scan, store, other, tmp_path / "new.safetensors"))
