"""The Train dock in a real window, with tiny trainings."""

import re

import numpy as np
import pytest
import tifffile
import torch
from napari.layers import Labels, Layer
from qtpy.QtWidgets import QMessageBox

from napari_meunet.config import LabelClass, TrainingConfig
from napari_meunet.errors import MeUNetError
from napari_meunet.labels.folder import labels_folder
from napari_meunet.network.checkpoint import (
    Checkpoint,
    load_checkpoint,
    save_checkpoint,
)
from napari_meunet.network.classes import class_table, class_words
from napari_meunet.plugin.docks.train_form import FOLDER, MODEL
from napari_meunet.plugin.layers import scan_layers, store_of
from napari_meunet.plugin.training import (
    Watch,
    mark_as_empty,
    new_labels,
    request_path,
    train_as_asked,
)
from napari_meunet.progress import Progress
from napari_meunet.training.loop.state import TrainingState
from napari_meunet.training.output import log_path, state_path
from napari_meunet.training.patches.sparse import only_painted_planes
from napari_meunet.volume.open import open_volume
from napari_meunet.volume.volume import Volume

DOCK = "Train (napari-meunet)"

TINY = TrainingConfig(
    patch_size=32,
    expanded_size=32,
    batch_size=1,
    stage1_steps=3,
    stage2_steps=2,
    joint_steps=0,
    validation_steps=2,
    device="cpu",
)
LONG = TINY.model_copy(update={"stage1_steps": 100_000})


@pytest.fixture(autouse=True)
def _small(monkeypatch, short_calibration):
    """Keep the network small and the statistics short."""
    monkeypatch.setattr("napari_meunet.training.draft.FEATURES", (2, 2, 2, 2, 2))
    monkeypatch.setattr("napari_meunet.training.draft.REFINEMENT_FEATURES", (2, 2, 2))


@pytest.fixture
def viewer(plugin, make_napari_viewer_proxy):
    return make_napari_viewer_proxy()


@pytest.fixture
def widget(viewer):
    return add_dock(viewer)


@pytest.fixture
def painted(viewer, scan, store):
    """The scan in the viewer, and its labels with three painted planes."""
    store.close()
    _, labels = (
        viewer.add_layer(Layer.create(*data)) for data in scan_layers(open_volume(scan))
    )
    for z in (5, 15, 25):
        labels.data[z, 4:20, 4:20] = 1
        labels.data[z, 10:30, 30:40] = 2
    return labels


@pytest.fixture
def folder(tmp_path, voxels):
    """A folder with one labelled scan."""
    folder = tmp_path / "flies"
    folder.mkdir()
    write_pair(folder, "fly", voxels)
    return folder


def write_pair(folder, name, voxels):
    labels = (voxels > 150).astype(np.uint8) + (voxels > 180)
    for end, array in (("", voxels), ("_labels", labels)):
        path = folder / f"{name}{end}.tif"
        tifffile.imwrite(path, array, photometric="minisblack")


@pytest.fixture
def sure(monkeypatch):
    """Answer yes to every question."""
    yes = QMessageBox.StandardButton.Yes
    monkeypatch.setattr(QMessageBox, "question", lambda *_: yes)


def add_dock(viewer):
    return viewer.window.add_plugin_dock_widget("napari-meunet", "Train")[1]


def wait_for_end(widget, qtbot):
    qtbot.waitUntil(lambda: widget.train.isVisibleTo(widget), timeout=60_000)


def start(widget, config, qtbot, n_steps=1):
    """Start a training and wait until some steps are done."""
    widget.form.options.value = config
    widget.train.click()
    assert not widget.train.isVisibleTo(widget)
    qtbot.waitUntil(lambda: widget.progress.bar.value() >= n_steps, timeout=60_000)


def train(widget, qtbot, config=TINY):
    widget.form.options.value = config
    widget.train.click()
    wait_for_end(widget, qtbot)


def weights(path):
    return load_checkpoint(path).weights


def assert_same(path, other):
    for name, tensor in weights(path).items():
        assert torch.equal(tensor, weights(other)[name]), name


def test_new_labels_lie_beside_the_scan_and_are_painted_on(widget, viewer, scan, qtbot):
    viewer.add_layer(Layer.create(*scan_layers(open_volume(scan))[0]))
    assert not widget.paint.isVisibleTo(widget)
    widget.form.classes.setText("gut, ovary")
    widget.paint.click()
    qtbot.waitUntil(widget.train.isEnabled, timeout=30_000)
    labels = viewer.layers[-1]
    assert store_of(labels).folder == labels_folder(scan)
    assert [label.name for label in store_of(labels).classes[1:]] == ["gut", "ovary"]
    assert (labels.mode, labels.selected_label) == ("paint", 1)
    assert not widget.paint.isVisibleTo(widget)


def test_a_plane_with_nothing_in_it_counts_as_painted(viewer, widget, painted):
    viewer.dims.set_current_step(0, 8)
    widget.form.empty.click()
    assert "Plane 8 counts as painted" in widget.result.text()
    assert np.flatnonzero(painted.data[8]).tolist() == [0]
    assert only_painted_planes(Volume.from_array(painted.data)).read(8, 9).sum() == 255
    store_of(painted).journal.undo()
    assert not painted.data[8].any()
    viewer.dims.set_current_step(0, 15)
    before = np.array(painted.data[15])
    widget.form.empty.click()
    assert "got 1 in plane 15" in widget.result.text()
    np.testing.assert_array_equal(painted.data[15], before)
    widget.form.painted.setChecked(False)
    assert not widget.form.empty.isVisibleTo(widget)


def test_planes_that_only_the_model_labelled_teach_nothing(
    widget, painted, tmp_path, qtbot
):
    alone, beside = (tmp_path / f"{name}.safetensors" for name in ("alone", "beside"))
    widget.form.output.path = alone
    train(widget, qtbot)
    store = store_of(painted)
    store.write((0, 0, 0), np.full((4, *store.shape[1:]), 2, np.uint8))
    assert store.corrected_planes().nonzero()[0].tolist() == [5, 15, 25]
    widget.form.output.path = beside
    train(widget, qtbot)
    assert_same(alone, beside)


def test_only_a_plane_that_is_seen_is_marked(viewer, widget, painted):
    before = np.array(painted.data)
    viewer.dims.order = (1, 0, 2)  # a cut along z
    widget.form.empty.click()
    assert "show a z plane" in widget.result.text()
    viewer.dims.order = (0, 1, 2)
    viewer.dims.ndisplay = 3
    widget.form.empty.click()
    viewer.dims.ndisplay = 2
    viewer.add_labels(np.zeros((80, 4, 4), np.uint8), translate=(-60, 0, 0))
    viewer.dims.set_point(0, -30)
    widget.form.labels.layer = painted
    widget.form.empty.click()
    assert "show a z plane" in widget.result.text()
    np.testing.assert_array_equal(painted.data, before)


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (Labels(np.zeros((8, 8), np.uint8)), "labels (z, y, x) that can be painted"),
        (Labels(np.zeros((4, 8, 8), np.int8)), "must hold the value 255, got int8"),
        (Labels(np.zeros((4, 8, 8), np.uint8)), "labels (z, y, x) that can be painted"),
    ],
    ids=["2-D", "int8", "not editable"],
)
def test_labels_that_cannot_be_marked_are_named(layer, message):
    if layer.ndim == 3 and layer.data.dtype == np.uint8:
        layer.editable = False
    with pytest.raises(MeUNetError, match=re.escape(message)):
        mark_as_empty(layer, 2)
    assert not np.any(layer.data)


def test_without_a_scan_nothing_can_be_trained_and_the_dock_says_why(widget):
    assert not widget.train.isEnabled()
    assert "Open a scan first" in widget.note.text()
    assert "Open a scan first" in widget.train.toolTip()
    assert not widget.loss.isVisibleTo(widget)


def test_from_painted_planes_to_a_model_in_the_segment_dock(
    viewer, widget, painted, scan, qtbot
):
    train(widget, qtbot)
    model = scan.with_name("fly-model.safetensors")
    card = load_checkpoint(model).card
    assert [label.name for label in card.classes] == ["background", "gut", "ovary"]
    assert card.spacing.finest == (3.0, 2.0, 1.5)
    assert [step for step, _ in widget.loss.points("loss")] == [1, 2, 3, 4, 5]
    assert widget.dice.points("Dice gut") == []
    assert "learned from" in widget.caption.text()
    assert not request_path(model).exists()
    widget.segment.click()
    segment = viewer.window.dock_widgets["Segment (napari-meunet)"]
    assert segment.model.model == str(model)
    qtbot.waitUntil(lambda: segment.model.card == card, timeout=10_000)


def test_a_model_learns_from_larger_voxels_if_that_is_asked(
    widget, painted, scan, qtbot
):
    assert widget.form.voxel_size.text() == "automatic"
    widget.form.voxel_size.setValue(4.0)
    train(widget, qtbot)
    card = load_checkpoint(scan.with_name("fly-model.safetensors")).card
    assert card.spacing.finest == pytest.approx((3.0, 4.0, 4.5))
    assert card.voxel_size == 4.0


def test_what_was_paused_ends_like_what_was_not(widget, painted, tmp_path, qtbot):
    config = TINY.model_copy(update={"stage1_steps": 15})
    whole, paused = tmp_path / "whole.safetensors", tmp_path / "paused.safetensors"
    widget.form.output.path = whole
    train(widget, qtbot, config)
    widget.form.output.path = paused
    start(widget, config, qtbot, n_steps=2)
    widget.pause.click()
    wait_for_end(widget, qtbot)
    assert state_path(paused).exists()
    assert not paused.exists()
    assert widget.train.text().startswith("Go on at")
    widget.train.click()
    wait_for_end(widget, qtbot)
    assert_same(whole, paused)
    assert [step for step, _ in widget.loss.points("loss")] == [*range(1, 18)]
    assert not state_path(paused).exists()


def start_in_a_dock(viewer, qtbot):
    """Start a long training; return what was asked, and no reference to the dock."""
    widget = add_dock(viewer)
    start(widget, LONG, qtbot, n_steps=3)
    return widget.form.value


def test_closing_the_dock_stops_and_another_one_takes_the_training_up(
    viewer, painted, scan, qtbot
):
    request = start_in_a_dock(viewer, qtbot)
    viewer.window.remove_dock_widget(viewer.window.dock_widgets[DOCK])
    model = scan.with_name("fly-model.safetensors")
    qtbot.waitUntil(lambda: state_path(model).exists(), timeout=30_000)
    other = add_dock(viewer)
    assert other.form.value == request
    assert "unfinished training of gut, ovary" in plain(other.note)
    assert other.train.text().startswith("Go on at")
    assert len(other.loss.points("loss")) >= 3
    assert not other.form.options.length.native.isVisibleTo(other)


def plain(note):
    return note.text().replace("\u200b", "")


def test_a_pause_that_could_not_be_kept_says_so(widget, painted, monkeypatch, qtbot):
    def full(self):
        raise MeUNetError("the disk is full")

    start(widget, LONG, qtbot)
    monkeypatch.setattr(TrainingState, "save", full)
    widget.pause.click()
    wait_for_end(widget, qtbot)
    assert "not everything is kept: the disk is full" in widget.result.text()


def test_a_training_that_may_replace_a_model_goes_on_in_a_new_dock(
    viewer, widget, painted, qtbot
):
    widget.form.output.path.write_bytes(b"an older model")
    widget.form.overwrite.setChecked(True)
    start(widget, LONG, qtbot)
    widget.pause.click()
    wait_for_end(widget, qtbot)
    viewer.window.remove_dock_widget(widget)
    other = add_dock(viewer)
    assert other.train.text().startswith("Go on at")
    assert not other.form.overwrite.isChecked()
    assert other.train.isEnabled()


def test_cancelling_removes_what_was_unfinished(widget, painted, scan, sure, qtbot):
    start(widget, LONG, qtbot)
    widget.cancel.click()
    wait_for_end(widget, qtbot)
    model = scan.with_name("fly-model.safetensors")
    for path in (model, state_path(model), request_path(model), log_path(model)):
        assert not path.exists()
    assert widget.train.text() == "Train"
    assert widget.form.options.length.native.isVisibleTo(widget)


def test_without_being_sure_nothing_is_cancelled(widget, painted, monkeypatch, qtbot):
    no = QMessageBox.StandardButton.No
    monkeypatch.setattr(QMessageBox, "question", lambda *_: no)
    start(widget, LONG, qtbot)
    widget.cancel.click()
    assert widget.pause.isEnabled()
    widget.pause.click()
    wait_for_end(widget, qtbot)
    widget.discard.click()
    assert widget.train.text().startswith("Go on at")


def test_a_folder_of_scans_is_learned_and_others_are_measured(
    widget, folder, voxels, tmp_path, qtbot
):
    write_pair(tmp_path, "other", voxels[::-1])
    widget.form.source.setCurrentText(FOLDER)
    widget.form.folder.path = folder
    assert "Name the classes" in widget.note.text()
    widget.form.classes.setText("gut, ovary")
    widget.form.validation.path = tmp_path
    train(widget, qtbot)
    assert "model is in" in widget.result.text()
    card = load_checkpoint(folder / "flies-model.safetensors").card
    assert card.spacing is None
    assert "Dice gut, mean of 1 scans" in card.metrics
    assert [step for step, _ in widget.dice.points("Dice ovary")] == [2, 3, 5]
    assert all(0 <= dice <= 1 for _, dice in widget.dice.points("Dice ovary"))
    assert "not learned from" in widget.caption.text()


def test_labels_without_scans_are_learned_if_all_images_are_made_up(
    widget, folder, qtbot
):
    (folder / "fly.tif").unlink()
    widget.form.source.setCurrentText(FOLDER)
    widget.form.folder.path = folder
    widget.form.classes.setText("gut, ovary")
    train(widget, qtbot)
    assert "under more options" in widget.result.text()
    train(widget, qtbot, TINY.model_copy(update={"synthetic": 1.0}))
    assert "model is in" in widget.result.text()
    assert "made up from the labels" in widget.caption.text()
    card = load_checkpoint(folder / "flies-model.safetensors").card
    assert card.training[0].specimens == ("fly",)


def measuring(*_):
    while True:
        yield Progress(0, 1, "planes", "measuring on scan 1 of 1")


def failing(*_):
    yield Progress(0, 1, "planes", "measuring on scan 1 of 1")
    raise MeUNetError("the disk is full")


@pytest.mark.parametrize(
    ("measurement", "reason"),
    [(measuring, "it was not wanted."), (failing, "the disk is full.")],
)
def test_a_model_that_is_complete_is_kept_though_it_is_not_measured(
    widget, folder, monkeypatch, qtbot, measurement, reason
):
    """Skipping the measurement asks nothing: there is nothing to lose."""
    monkeypatch.setattr("napari_meunet.measurement.measure_model", measurement)
    monkeypatch.setattr(QMessageBox, "question", lambda *_: pytest.fail("asked"))
    widget.form.source.setCurrentText(FOLDER)
    widget.form.folder.path = folder
    widget.form.classes.setText("gut, ovary")
    widget.form.options.value = TINY
    widget.train.click()
    if measurement is measuring:
        said = "Complete: measuring on scan 1 of 1."
        qtbot.waitUntil(lambda: plain(widget.result) == said, timeout=60_000)
        assert not widget.pause.isVisibleTo(widget)
        assert widget.cancel.text() == "Skip measuring"
        widget.cancel.click()
    wait_for_end(widget, qtbot)
    assert "model is in" in widget.result.text()
    assert plain(widget.note) == f"It was not measured: {reason}"
    assert widget.segment.isVisibleTo(widget)
    assert load_checkpoint(folder / "flies-model.safetensors").card.training


def test_it_starts_from_a_model_of_the_same_classes(widget, painted, model, qtbot):
    widget.form.start.setCurrentText(MODEL)
    widget.form.model.model = model
    qtbot.waitUntil(widget.train.isEnabled, timeout=10_000)
    train(widget, qtbot, TINY.model_copy(update={"learning_rate": 1e-12}))
    trained, before = weights(widget.form.output.path), weights(model)
    for name, tensor in before.items():
        if "weight" in name:
            torch.testing.assert_close(trained[name], tensor)


def test_labels_of_another_shape_are_told_in_the_dock(widget, viewer, told, qtbot):
    viewer.add_image(np.arange(32**3).reshape(32, 32, 32))
    viewer.add_labels(np.ones((20, 32, 32), int))
    widget.form.classes.setText("gut")
    train(widget, qtbot)
    assert "same shape" in widget.result.text()
    assert "same shape" in told[0]
    assert widget.train.text() == "Train"


def test_labels_of_another_scan_are_told_in_the_dock(
    widget, viewer, painted, voxels, told, qtbot
):
    viewer.add_image(voxels[::-1], name="other")
    train(widget, qtbot)
    assert "must belong to the scan" in told[-1]


def test_labels_of_other_values_are_learned(widget, folder, voxels, qtbot):
    labels = np.where(voxels > 150, 21, 0).astype(np.uint8)
    labels[voxels > 180] = 2
    path = folder / "fly_labels.tif"
    tifffile.imwrite(path, labels, photometric="minisblack")
    widget.form.source.setCurrentText(FOLDER)
    widget.form.folder.path = folder
    widget.form.classes.setText("left=21, right")
    assert "values of classes must be from 1 to 254" in plain(widget.note)
    assert not widget.train.isEnabled()
    widget.form.classes.setText("left=21, right=2")
    assert widget.form.class_list[1:] == class_table(["right=2", "left=21"])[1:]
    train(widget, qtbot)
    classes = load_checkpoint(folder / "flies-model.safetensors").card.classes
    assert class_words(classes) == ("right=2", "left=21")


def test_settings_are_a_request(widget, folder, tmp_path):
    widget.form.source.setCurrentText(FOLDER)
    widget.form.folder.path = folder
    widget.form.classes.setText(" gut ,ovary, ")
    before = widget.form.value
    assert class_words(before.classes) == ("gut", "ovary")
    changed = before.model_copy(
        update={
            "validation": tmp_path,
            "config": TINY,
            "painted_planes": True,
            "voxel_size": 6.25,
            "output": tmp_path / "mine.safetensors",
            "licence": "CC0-1.0",
        }
    )
    widget.form.value = changed
    assert widget.form.value == changed


def test_words_stand_for_steps(widget):
    options = widget.form.options
    assert options.value == TrainingConfig()
    options.length.value = "thorough"
    assert (options.value.stage1_steps, options.value.joint_steps) == (2000, 6000)
    options.value = TINY
    assert options.value == TINY
    assert options.length.value == "own numbers of steps"


def test_an_existing_model_is_replaced_only_when_that_is_allowed(widget, painted, scan):
    scan.with_name("fly-model.safetensors").write_bytes(b"precious")
    widget.form.overwrite.setChecked(True)
    assert widget.train.isEnabled()
    widget.form.overwrite.setChecked(False)
    assert not widget.train.isEnabled()
    assert "allow replacing" in widget.note.text()


def test_removing_the_labels_layer_does_not_stop_a_training(
    viewer, widget, painted, scan, qtbot
):
    start(widget, TINY.model_copy(update={"stage1_steps": 15}), qtbot)
    viewer.layers.remove(painted)
    wait_for_end(widget, qtbot)
    assert scan.with_name("fly-model.safetensors").exists()


def test_voxels_painted_meanwhile_are_learned_from(painted, widget):
    """The labels are read where they lie, not copied when the training starts."""
    widget.form.options.value = LONG
    steps = train_as_asked(widget.form.task, Watch())
    next(steps)
    painted.data[:] = 9
    with pytest.raises(MeUNetError, match="got 9 in what was painted meanwhile"):
        list(steps)


def test_a_name_without_a_folder_is_a_file_here(
    widget, painted, tmp_path, monkeypatch, qtbot
):
    monkeypatch.chdir(tmp_path)
    widget.form.output.line.setText("mine.safetensors")
    train(widget, qtbot)
    assert "model is in" in widget.result.text()
    assert (tmp_path / "mine.safetensors").exists()
    assert widget.form.isEnabled()


def test_two_clicks_make_one_layer(widget, viewer, scan, monkeypatch, qtbot):
    asked = []
    monkeypatch.setattr(
        "napari_meunet.plugin.docks.train.new_labels",
        lambda *arguments: asked.append(arguments) or new_labels(*arguments),
    )
    viewer.add_layer(Layer.create(*scan_layers(open_volume(scan))[0]))
    widget.form.classes.setText("gut")
    for _ in range(2):
        widget.paint.click()
    qtbot.waitUntil(lambda: len(viewer.layers) == 2, timeout=30_000)
    assert len(asked) == 1


def test_a_training_begun_elsewhere_gets_no_request(widget, painted, scan, told, qtbot):
    model = scan.with_name("fly-model.safetensors")
    start(widget, LONG, qtbot)
    widget.pause.click()
    wait_for_end(widget, qtbot)
    request_path(model).unlink()  # `meunet train` leaves none
    train(widget, qtbot, TINY)
    assert "same scans and settings" in told[-1]
    assert not request_path(model).exists()


def test_a_model_to_start_from_says_which_label_values_mean_what(
    widget, folder, model, qtbot
):
    checkpoint = load_checkpoint(model)
    other = LabelClass(value=21, name="ovary", color="#0080ff")
    classes = (*checkpoint.card.classes[:2], other)
    card = checkpoint.card.model_copy(update={"classes": classes})
    save_checkpoint(Checkpoint(checkpoint.weights, card), model)
    path = folder / "fly_labels.tif"
    labels = tifffile.imread(path)
    tifffile.imwrite(path, np.where(labels == 2, 21, labels).astype(np.uint8))
    widget.form.source.setCurrentText(FOLDER)
    widget.form.folder.path = folder
    widget.form.start.setCurrentText(MODEL)
    widget.form.model.model = model
    qtbot.waitUntil(widget.train.isEnabled, timeout=10_000)
    train(widget, qtbot)
    assert load_checkpoint(widget.form.output.path).card.classes == classes
