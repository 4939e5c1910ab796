"""The Segment dock, without a window."""

import threading
from pathlib import Path

import numpy as np
import pytest
import tifffile
from napari.components import ViewerModel
from napari.layers import Layer

from napari_meunet.config import SegmentationConfig
from napari_meunet.labels.folder import labels_folder
from napari_meunet.labels.store import LabelStore
from napari_meunet.network.card import SpacingRange
from napari_meunet.network.checkpoint import (
    Checkpoint,
    load_checkpoint,
    save_checkpoint,
)
from napari_meunet.plugin.docks import segment as dock
from napari_meunet.plugin.docks.segment import SegmentWidget
from napari_meunet.plugin.doubt import Doubt
from napari_meunet.plugin.layers import scan_layers, store_of, volume_of
from napari_meunet.plugin.segmentation import finished_now
from napari_meunet.plugin.widgets.fields.options_form import OptionsForm
from napari_meunet.progress import Progress
from napari_meunet.volume.open import open_volume


@pytest.fixture
def viewer():
    viewer = ViewerModel()
    yield viewer
    viewer.layers.clear()


@pytest.fixture
def widget(viewer, model, qtbot):
    widget = SegmentWidget(viewer)
    qtbot.addWidget(widget)
    widget.model.model = model
    widget.options.value = CONFIG
    widget.show()
    return widget


def add_scan(viewer, scan):
    return [
        viewer.add_layer(Layer.create(*data)) for data in scan_layers(open_volume(scan))
    ]


def wait_for_plan(widget, qtbot):
    qtbot.waitUntil(widget.run.isEnabled, timeout=60_000)


def wait_for_end(widget, qtbot):
    qtbot.waitUntil(
        lambda: "The labels are in" in widget.result.text(), timeout=120_000
    )


CONFIG = SegmentationConfig(device="cpu", precision="fp32", slab=16)


def labels_of_engine(scan, model, folder, n_planes=32):
    """What the engine gives without any window, or a part of it."""
    from napari_meunet.inference.segment import segment
    from napari_meunet.network.checkpoint import load_checkpoint

    volume, checkpoint = open_volume(scan), load_checkpoint(model)
    with LabelStore.open_or_create(folder, volume, checkpoint.card.classes) as store:
        steps = segment(volume, checkpoint, CONFIG, store)
        while next(steps).done < n_planes:
            pass
        steps.close()
        return np.array(store.labels)


def test_without_a_scan_nothing_can_run_and_the_dock_says_why(widget, qtbot):
    qtbot.waitUntil(lambda: widget.model.card is not None)
    assert not widget.run.isEnabled()
    assert "Add a scan first" in widget.plan.text()
    assert "Add a scan first" in widget.run.toolTip()


def test_the_card_says_what_the_model_has_seen(widget, qtbot):
    qtbot.waitUntil(lambda: widget.model.card is not None)
    assert "nothing, it is random" in widget.model.note.text()
    assert "CC0" in widget.model.note.text()


def test_a_file_that_is_no_model_is_refused(widget, viewer, scan, tmp_path, qtbot):
    add_scan(viewer, scan)
    other = tmp_path / "other.safetensors"
    other.write_bytes(b"not a model at all")
    widget.model.model = other
    qtbot.waitUntil(lambda: "must be" in widget.model.note.text(), timeout=10_000)
    assert not widget.run.isEnabled()
    assert "Choose a model" in widget.plan.text()


def test_options_are_a_config(qtbot):
    form = OptionsForm()
    assert form.value == SegmentationConfig()
    config = SegmentationConfig(
        preset="paper", device="cuda:1", memory=2_500_000_000, overwrite_corrected=True
    )
    form.value = config
    assert form.value == config
    form.skip_air.value = True  # windows are as they were published
    form.average.value = True
    assert form.value == config
    config = SegmentationConfig(
        device="cpu", skip_air=True, average=True, resolution="scan"
    )
    form.value = config
    assert form.value == config


def test_the_plan_is_shown_before_the_run(widget, viewer, scan, qtbot):
    add_scan(viewer, scan)
    wait_for_plan(widget, qtbot)
    assert "cpu" in widget.plan.text()
    assert not labels_folder(scan).exists()


def test_voxels_unlike_those_of_training_are_told_with_the_plan(
    widget, viewer, scan, model, tmp_path, qtbot
):
    checkpoint = load_checkpoint(model)
    trained = SpacingRange(finest=(900.0,) * 3, coarsest=(1000.0,) * 3)
    card = checkpoint.card.model_copy(update={"spacing": trained})
    other = tmp_path / "coarse.safetensors"
    save_checkpoint(Checkpoint(checkpoint.weights, card), other)
    widget.model.model = str(other)
    add_scan(viewer, scan)
    wait_for_plan(widget, qtbot)
    assert "trained on 900 x 900 x 900 um (z, y, x) to 1000" in widget.plan.text()


def test_a_device_that_is_not_there_is_told_in_the_dock(widget, viewer, scan, qtbot):
    add_scan(viewer, scan)
    widget.options.value = SegmentationConfig(device="cuda:9")
    qtbot.waitUntil(lambda: "device must be" in widget.plan.text(), timeout=60_000)
    assert not widget.run.isEnabled()


def test_an_image_that_is_no_volume_is_told_in_the_dock(widget, viewer, qtbot):
    viewer.add_image(np.zeros((8, 9)))
    qtbot.waitUntil(lambda: "must be a volume" in widget.plan.text())
    assert not widget.run.isEnabled()


def test_an_image_of_another_reader_is_opened_beside_the_window(
    widget, viewer, voxels, monkeypatch, qtbot
):
    opened_in, go_on = [], threading.Event()

    def slow_volume_of(layer):
        opened_in.append(threading.current_thread())
        go_on.wait(10)
        return volume_of(layer)

    monkeypatch.setattr(dock, "volume_of", slow_volume_of)
    qtbot.waitUntil(lambda: widget.model.card is not None)
    viewer.add_image(voxels)
    assert "Looking at the image" in widget.plan.text()
    assert not widget.run.isEnabled()
    go_on.set()
    wait_for_plan(widget, qtbot)
    assert threading.main_thread() not in opened_in


def test_the_last_image_chosen_counts_however_long_another_takes(
    widget, viewer, voxels, monkeypatch, qtbot
):
    go_on = threading.Event()

    def slow_volume_of(layer):
        if layer.name == "slow":
            go_on.wait(10)
        return volume_of(layer)

    monkeypatch.setattr(dock, "volume_of", slow_volume_of)
    viewer.add_image(voxels, name="slow")
    viewer.add_image(voxels, name="quick")
    qtbot.waitUntil(lambda: widget.folder.path is not None)
    go_on.set()
    wait_for_plan(widget, qtbot)
    assert widget.folder.path == Path.home() / "quick.meunet"


def test_a_run_writes_what_the_engine_gives(
    widget, viewer, scan, model, tmp_path, qtbot
):
    expected = labels_of_engine(scan, model, tmp_path / "expected.meunet")
    assert len(np.unique(expected)) > 1
    add_scan(viewer, scan)
    wait_for_plan(widget, qtbot)
    widget.run.click()
    assert not widget.run.isEnabled()
    wait_for_end(widget, qtbot)
    labels = viewer.layers[-1]
    np.testing.assert_array_equal(np.asarray(labels.data), expected)
    assert store_of(labels).folder == labels_folder(scan)
    assert not widget.row.isVisible()


def test_an_interrupted_run_is_resumed(widget, viewer, model, tmp_path, qtbot):
    scan = tmp_path / "deep.tif"
    noise = np.random.default_rng(0).integers(0, 200, (112, 16, 16), np.uint8)
    tifffile.imwrite(scan, noise, photometric="minisblack")
    expected = labels_of_engine(scan, model, tmp_path / "expected.meunet", n_planes=112)
    part = labels_of_engine(scan, model, labels_folder(scan), n_planes=2)
    assert np.any(part != expected)
    add_scan(viewer, scan)
    wait_for_plan(widget, qtbot)
    assert widget.run.text().startswith("Resume at")
    widget.run.click()
    wait_for_end(widget, qtbot)
    np.testing.assert_array_equal(np.asarray(viewer.layers[-1].data), expected)


def test_options_may_change_while_a_run_goes_on(widget, viewer, scan, told, qtbot):
    add_scan(viewer, scan)
    wait_for_plan(widget, qtbot)
    widget.run.click()
    qtbot.waitUntil(widget.row.isVisible, timeout=60_000)
    folder, widget.folder.path = widget.folder.path, None
    wait_for_end(widget, qtbot)
    assert told == []
    widget.folder.path = folder
    qtbot.waitUntil(lambda: "complete" in widget.plan.text(), timeout=30_000)


def test_a_folder_in_the_viewer_is_known_by_any_path(
    widget, viewer, scan, store, monkeypatch, qtbot
):
    store.close()
    add_scan(viewer, scan)
    monkeypatch.chdir(scan.parent)
    widget.folder.path = Path(store.folder.name)
    wait_for_plan(widget, qtbot)
    widget.run.click()
    wait_for_end(widget, qtbot)
    assert len(viewer.layers) == 2


def test_a_volume_without_contrast_is_told_before_a_run(
    widget, viewer, tmp_path, qtbot
):
    viewer.add_image(np.zeros((8, 9, 10), np.uint8), name="flat")
    widget.folder.path = tmp_path
    qtbot.waitUntil(lambda: "grey values" in widget.plan.text(), timeout=60_000)
    assert not widget.run.isEnabled()


def test_labels_of_an_image_named_like_a_path_have_a_plain_name(
    widget, viewer, voxels, tmp_path, qtbot
):
    viewer.add_image(voxels, name="left/right")
    qtbot.waitUntil(lambda: widget.folder.path == Path.home() / "left-right.meunet")
    widget.folder.path = tmp_path
    wait_for_plan(widget, qtbot)
    widget.run.click()
    wait_for_end(widget, qtbot)
    assert (tmp_path / "left-right.meunet").is_dir()


def test_a_complete_run_is_not_offered_again(widget, viewer, scan, qtbot):
    add_scan(viewer, scan)
    wait_for_plan(widget, qtbot)
    widget.run.click()
    wait_for_end(widget, qtbot)
    qtbot.waitUntil(lambda: "complete" in widget.plan.text(), timeout=30_000)
    assert not widget.run.isEnabled()


def test_where_the_model_is_unsure_is_shown_over_the_labels(
    widget, viewer, scan, qtbot
):
    (image,) = add_scan(viewer, scan)
    wait_for_plan(widget, qtbot)
    assert not widget.doubt.isEnabled()
    widget.run.click()
    wait_for_end(widget, qtbot)
    qtbot.waitUntil(widget.doubt.isEnabled, timeout=60_000)
    widget.doubt.click()
    labels, doubt = viewer.layers[1:]
    sure = store_of(labels).confidence
    np.testing.assert_array_equal(np.asarray(doubt.data), 255 - sure)
    assert np.ptp(sure) > 0
    for corner in (0, 1):  # it covers the labels to the edges of their voxels
        ends = (
            layer.data_to_world(corner * np.array(layer.data.shape) - 0.5)
            for layer in (labels, doubt)
        )
        np.testing.assert_allclose(*ends)
    assert widget.image.layer == image
    assert not widget.doubt.isEnabled()
    viewer.layers.remove(doubt)
    assert widget.doubt.isEnabled()


def test_where_the_model_has_said_nothing_there_is_no_doubt():
    doubt = Doubt(np.array([[[0, 1, 128, 255]]], np.uint8))
    assert doubt[:].tolist() == [[[0, 254, 127, 0]]]
    assert doubt[0, 0, 2] == 127
    assert (doubt.shape, doubt.ndim, doubt.size) == ((1, 1, 4), 3, 4)


def test_what_a_person_painted_survives_a_run(widget, viewer, scan, store, qtbot):
    store.close()
    _, labels = add_scan(viewer, scan)
    labels.data[4:6, 4:6, 4:6] = 2
    labels.data[6:8, 6:8, 6:8] = 1
    wait_for_plan(widget, qtbot)
    widget.run.click()
    wait_for_end(widget, qtbot)
    assert len(viewer.layers) == 2
    np.testing.assert_array_equal(labels.data[4:6, 4:6, 4:6], 2)
    np.testing.assert_array_equal(labels.data[6:8, 6:8, 6:8], 1)


def test_an_image_in_memory_has_its_labels_where_the_person_says(
    widget, viewer, voxels, tmp_path, qtbot
):
    viewer.add_image(voxels, name="mine")
    qtbot.waitUntil(lambda: widget.folder.path == Path.home() / "mine.meunet")
    widget.folder.path = tmp_path
    wait_for_plan(widget, qtbot)
    widget.run.click()
    wait_for_end(widget, qtbot)
    with LabelStore.open(tmp_path / "mine.meunet", writable=False) as store:
        assert store.shape == voxels.shape


def test_labels_of_another_scan_are_refused(widget, viewer, voxels, store, qtbot):
    store.close()
    viewer.add_image(voxels[::-1], name="mine")
    widget.folder.path = store.folder
    qtbot.waitUntil(lambda: "must belong to the scan" in widget.plan.text())
    assert not widget.run.isEnabled()


def test_a_run_that_cannot_begin_says_why(
    widget, viewer, voxels, tmp_path, told, qtbot
):
    viewer.add_image(voxels, name="mine")
    widget.folder.path = tmp_path / "missing" / "mine.meunet"
    wait_for_plan(widget, qtbot)
    widget.run.click()
    qtbot.waitUntil(lambda: bool(told), timeout=30_000)
    assert "must be writable" in told[0]
    assert "writable" in widget.result.text()
    assert widget.run.isEnabled()


def test_a_class_in_the_legend_is_painted_with(widget, viewer, scan, store, qtbot):
    store.close()
    _, labels = add_scan(viewer, scan)
    wait_for_plan(widget, qtbot)
    widget.legend.chosen.emit(2)
    assert labels.selected_label == 2
    assert labels.mode == "paint"
    assert viewer.layers.selection.active == labels


@pytest.mark.parametrize(
    ("before", "now", "planes"),
    [
        (None, 3, range(0, 3)),
        (3, 5, range(3, 5)),
        (8, 10, range(8, 10)),  # the last of a column
        (10, 13, range(0, 3)),  # the first of the next
        (8, 13, range(0, 10)),  # the end of one and the start of the next
    ],
)
def test_the_planes_that_have_come_are_known(before, now, planes):
    steps = [None if done is None else Progress(done, 20, "") for done in (before, now)]
    assert finished_now(*steps, depth=10) == planes
