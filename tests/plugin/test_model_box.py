"""Teaching the model in the Correct dock, without a window."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Layer

from napari_meunet.labels.folder import labels_folder
from napari_meunet.learning import lesson as room
from napari_meunet.learning.comparison import Outcome, Score
from napari_meunet.network.card import BUNDLED, read_card
from napari_meunet.plugin.docks.correct import CorrectWidget
from napari_meunet.plugin.layers import image_layer, labels_layer
from napari_meunet.plugin.learning import new_model_path, outcome_in_words
from napari_meunet.plugin.widgets.fields.model_choice import ModelChoice
from napari_meunet.training.output import candidates
from napari_meunet.volume.open import open_volume

pytestmark = pytest.mark.usefixtures("short_calibration")


@pytest.fixture
def voxels():
    return np.random.default_rng(0).integers(0, 200, (32, 32, 80), np.uint8)


@pytest.fixture
def viewer(scan, store):
    store.write_confidence((0, 0, 0), np.full((8, 8, 20), 128, np.uint8))
    viewer = ViewerModel()
    viewer.add_layer(Layer.create(*image_layer(open_volume(scan))))
    viewer.add_layer(Layer.create(*labels_layer(store)))
    yield viewer
    viewer.layers.clear()


@pytest.fixture
def hasty(monkeypatch):
    """Let lessons take one step with small patches."""
    choices = {"patch_size": 32, "expanded_size": 32, "batch_size": 1, "device": "cpu"}
    few = partial(room.learning_config, n_steps=1, **choices)
    monkeypatch.setattr(room, "learning_config", few)


@pytest.fixture
def box(viewer, store, model, qtbot, hasty):
    for x in (10, 70):  # in two cells
        store.editable()[5:9, 5:9, x : x + 4] = 1
    widget = CorrectWidget(viewer)
    qtbot.addWidget(widget)
    box = widget.model
    box.model.model = str(model)
    qtbot.waitUntil(box.learn.isEnabled)
    yield box
    qtbot.waitUntil(lambda: box._job is None, timeout=30_000)


def taught(box, qtbot):
    box.learn.click()
    assert not box.learn.isEnabled()
    qtbot.waitUntil(box.learn.isEnabled, timeout=30_000)
    return box.result.text().replace("\u200b", "")  # where a line may end


def test_a_better_model_is_offered_everywhere_and_learns_next(
    box, qtbot, model, scan, monkeypatch
):
    monkeypatch.setattr(Outcome, "is_better", True)
    others = ModelChoice()  # as the one of the Segment dock
    qtbot.addWidget(others)
    chosen = others.model
    first = scan.with_name("fly-learned.safetensors")
    assert "The new model is fly-learned.safetensors" in taught(box, qtbot)
    assert box.model.model == str(first)
    assert (others.model, others._models.itemData(1)) == (chosen, str(first))
    assert read_card(first).command[-1] == "the Correct dock of napari"
    taught(box, qtbot)
    second = scan.with_name("fly-learned-2.safetensors")
    assert box.model.model == str(second)
    assert len(read_card(second).training) == 2
    box.back.click()
    assert box.model.model == str(first)
    assert box.back.isHidden()
    assert box.model._models.count() == 4  # and the bundled one


def test_a_model_that_is_no_better_is_not_kept(box, qtbot, model, scan, monkeypatch):
    monkeypatch.setattr(Outcome, "is_better", False)
    assert "no better, so the new model was not kept" in taught(box, qtbot)
    assert box.model.model == str(model)
    assert not list(scan.parent.glob("fly-learned*"))


def test_a_lesson_that_was_stopped_goes_on(box, qtbot, scan, monkeypatch):
    many = partial(room.learning_config, n_steps=10_000)
    monkeypatch.setattr(room, "learning_config", many)
    box.learn.click()
    qtbot.waitUntil(lambda: "of 10000 steps" in box.row.note.text(), timeout=30_000)
    box.row.cancel.click()
    qtbot.waitUntil(box.learn.isEnabled, timeout=30_000)
    assert "Stopped; press again" in box.result.text()
    (state,) = candidates(new_model_path(labels_folder(scan)))
    assert state.name.endswith(".candidate.unfinished.pt")


def test_without_corrections_it_says_what_to_do(viewer, store, model, qtbot, told):
    widget = CorrectWidget(viewer)
    qtbot.addWidget(widget)
    widget.model.model.model = str(model)
    qtbot.waitUntil(widget.model.learn.isEnabled)
    assert "got 0; correct a few more places" in taught(widget.model, qtbot)
    assert len(told) == 1


@pytest.mark.parametrize("there", [True, False], ids=["there", "moved away"])
def test_the_model_that_made_the_labels_is_proposed(viewer, store, model, qtbot, there):
    source = str(model) if there else str(model.with_name("gone.safetensors"))
    store.begin_run("some key", {"model_source": source})
    widget = CorrectWidget(viewer)
    qtbot.addWidget(widget)
    assert widget.model.model.model == (source if there else BUNDLED)


def test_labels_that_cannot_be_corrected_teach_nothing(qtbot):
    viewer = ViewerModel()
    viewer.add_labels(np.zeros((4, 4, 4), np.uint8))
    widget = CorrectWidget(viewer)
    qtbot.addWidget(widget)
    assert not widget.model.isEnabled()


def test_an_outcome_is_told_in_figures():
    before = Score(1200, 30_000, {"gut": 0.8123})
    after = Score(300, 30_000, {"gut": 0.9, "ovary": 0.5})
    words = outcome_in_words(Outcome(before, after), Path("a/fly-learned.safetensors"))
    assert words.startswith(
        "Of 30,000 voxels that were held out (yours, and those that the old model had "
        "no doubt of), 1,200 were wrong before and 300 are now "
        "(Dice gut 0.81 to 0.90). The new model is fly-learned.safetensors,"
    )


def test_names_of_models_are_counted(tmp_path):
    folder = tmp_path / "fly.meunet"
    assert new_model_path(folder).name == "fly-learned.safetensors"
    new_model_path(folder).touch()
    assert new_model_path(folder).name == "fly-learned-2.safetensors"
