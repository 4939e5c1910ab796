"""The docks in a real window, as a person uses them."""

import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from napari.layers import Layer
from qtpy.QtCore import QPoint, QPointF, Qt
from qtpy.QtGui import QWheelEvent
from qtpy.QtWidgets import (
    QAbstractButton,
    QAbstractSpinBox,
    QApplication,
    QComboBox,
    QLineEdit,
    QProgressBar,
    QWidget,
)

from napari_meunet.config import SegmentationConfig
from napari_meunet.labels.store import LabelStore
from napari_meunet.plugin import sample
from napari_meunet.plugin.docks import segment as dock
from napari_meunet.plugin.layers import labels_layer, store_of
from napari_meunet.plugin.segmentation import Run
from napari_meunet.progress import Progress

PLUGIN = "napari-meunet"
DOCKS = ("Open", "Segment", "Correct", "Train", "Export")
CONTROLS = (QAbstractButton, QAbstractSpinBox, QComboBox, QLineEdit, QProgressBar)


@pytest.fixture
def make_viewer(plugin, make_napari_viewer_proxy, tmp_path, monkeypatch):
    """Make viewers whose samples are small and lie in the test's own folder."""
    monkeypatch.setenv(sample.FOLDER, str(tmp_path / "samples"))
    monkeypatch.setattr(sample, "SHAPE", (48, 40, 40))
    return make_napari_viewer_proxy


def add_dock(viewer, name):
    return viewer.window.add_plugin_dock_widget(PLUGIN, name)[1]


def ready_to_segment(viewer, model, qtbot):
    """Open the sample and the Segment dock, and wait for the plan."""
    widget = add_dock(viewer, "Segment")
    widget.model.model = model
    widget.options.value = SegmentationConfig(device="cpu", precision="fp32")
    viewer.open_sample(PLUGIN, "synthetic-fly")
    qtbot.waitUntil(widget.run.isEnabled, timeout=60_000)
    return widget


def press(viewer, layer, key, qtbot, modifier=Qt.NoModifier):
    """Press Control and a key in the picture, with a layer selected."""
    viewer.layers.selection.active = layer
    picture = viewer.window._qt_viewer.canvas.native
    qtbot.keyClick(picture, key, Qt.ControlModifier | modifier)


def start_run(viewer, model, qtbot):
    """Start a run and wait until it has done something."""
    widget = ready_to_segment(viewer, model, qtbot)
    widget.run.click()
    qtbot.waitUntil(lambda: widget.row.bar.value() >= 1, timeout=60_000)
    return widget


@pytest.fixture
def slow_run(monkeypatch):
    """Make every run slow; what became of it is in the list."""
    history = []

    def steps(store):
        try:
            for z in range(48):
                time.sleep(0.05)
                store.write((z, 0, 0), np.full((1, 40, 40), 1, np.uint8))
                yield Progress(z + 1, 48, "planes")
        finally:
            history.append(threading.current_thread())

    def prepare(task, store):
        store = LabelStore.create(task.folder, task.volume, task.card.classes)
        return Run(store, steps(store), Layer.create(*labels_layer(store)))

    monkeypatch.setattr(dock, "prepare", prepare)
    return history


def test_from_the_sample_over_a_run_to_painting_and_back(make_viewer, model, qtbot):
    viewer = make_viewer()
    widget = ready_to_segment(viewer, model, qtbot)
    widget.run.click()
    qtbot.waitUntil(
        lambda: "The labels are in" in widget.result.text(), timeout=120_000
    )
    labels = viewer.layers[-1]
    before = np.array(store_of(labels).labels)
    labels.brush_size = 6
    labels.paint((20, 20, 20), 1)
    assert np.any(store_of(labels).labels != before)
    press(viewer, labels, Qt.Key_Z, qtbot)
    np.testing.assert_array_equal(store_of(labels).labels, before)
    labels.paint((30, 10, 10), 1)
    painted = np.array(store_of(labels).labels)
    viewer.close()

    viewer = make_viewer()
    _, labels = viewer.open_sample(PLUGIN, "synthetic-fly")
    np.testing.assert_array_equal(np.asarray(store_of(labels).labels), painted)
    assert labels.data[30, 10, 10] == 1
    assert labels.editable
    viewer.dims.set_current_step(0, 3)
    press(viewer, labels, Qt.Key_Z, qtbot)
    np.testing.assert_array_equal(store_of(labels).labels, before)
    assert viewer.dims.current_step[0] == 30  # where something has changed
    press(viewer, labels, Qt.Key_Z, qtbot, Qt.ShiftModifier)
    np.testing.assert_array_equal(store_of(labels).labels, painted)


def test_labels_appear_while_the_run_goes_on(make_viewer, model, slow_run, qtbot):
    viewer = make_viewer(show=True)
    widget = ready_to_segment(viewer, model, qtbot)
    viewer.dims.set_current_step(0, 1)
    widget.run.click()
    qtbot.waitUntil(lambda: widget.row.bar.value() >= 3, timeout=30_000)
    picture = viewer.screenshot(flash=False).astype(int)
    assert np.any(picture[..., 0] - picture[..., 2] > 60)  # orange over grey
    widget.row.cancel.click()
    qtbot.waitUntil(lambda: not widget.row.isVisible(), timeout=30_000)


def test_removing_the_labels_layer_stops_the_run_without_a_word(
    make_viewer, model, slow_run, told, qtbot
):
    viewer = make_viewer()
    widget = start_run(viewer, model, qtbot)
    store = store_of(viewer.layers[1])
    viewer.layers.remove(viewer.layers[1])
    qtbot.waitUntil(lambda: bool(slow_run), timeout=30_000)
    qtbot.waitUntil(lambda: not widget.row.isVisible(), timeout=30_000)
    assert slow_run[0] is not threading.main_thread()
    assert told == []
    LabelStore.open(store.folder).close()


def test_closing_the_window_stops_the_run(make_viewer, model, slow_run, qtbot):
    viewer = make_viewer()
    start_run(viewer, model, qtbot)
    folder = store_of(viewer.layers[1]).folder
    viewer.close()
    qtbot.waitUntil(lambda: bool(slow_run), timeout=30_000)
    with LabelStore.open(folder) as store:
        assert store.writable


def test_closing_the_dock_stops_the_run(make_viewer, model, slow_run, qtbot):
    viewer = make_viewer()
    viewer.window.remove_dock_widget(start_run(viewer, model, qtbot))
    qtbot.waitUntil(lambda: bool(slow_run), timeout=30_000)
    assert store_of(viewer.layers[1]).writable


def test_a_paused_run_goes_on_to_the_end(make_viewer, model, slow_run, qtbot):
    viewer = make_viewer()
    widget = ready_to_segment(viewer, model, qtbot)
    widget.run.click()
    qtbot.waitUntil(lambda: widget.row.bar.value() >= 2, timeout=30_000)
    widget.row.pause.click()
    qtbot.waitUntil(lambda: widget.row.pause.text() == "Go on", timeout=10_000)
    assert widget.row.note.text() == "Paused"
    widget.row.pause.click()
    qtbot.waitUntil(lambda: "The labels are in" in widget.result.text(), timeout=60_000)
    assert np.all(store_of(viewer.layers[1]).labels == 1)


def test_docks_above_each_other_scroll_and_leave_the_window_as_it_is(
    make_viewer, scan, model, qtbot
):
    viewer = make_viewer(show=True)
    viewer.window.resize(1280, 800)
    docks = {name: add_dock(viewer, name) for name in DOCKS}
    docks["Open"].path.path = scan
    docks["Segment"].model.model = model
    viewer.open_sample(PLUGIN, "synthetic-fly")
    qtbot.waitUntil(docks["Open"].add.isEnabled, timeout=30_000)
    qtbot.waitUntil(docks["Segment"].run.isEnabled, timeout=60_000)
    _, _, width, height = viewer.window.geometry()
    assert (width, height) == (1280, 800)
    for widget in docks.values():
        assert widget.verticalScrollBar().maximum() > 0 or (
            widget.widget().height() <= widget.viewport().height()
        )


def test_the_wheel_over_a_field_is_left_to_the_dock(make_viewer, qtbot):
    widget = add_dock(make_viewer(show=True), "Segment")
    qtbot.waitUntil(widget.isVisible)
    field = widget.options.device.native
    middle = QPointF(field.rect().center())
    turn = QWheelEvent(
        middle,
        QPointF(field.mapToGlobal(middle.toPoint())),
        QPoint(),
        QPoint(0, -120),
        Qt.MouseButton.NoButton,
        Qt.KeyboardModifier.NoModifier,
        Qt.ScrollPhase.NoScrollPhase,
        False,
    )
    QApplication.sendEvent(field, turn)
    assert widget.options.value == SegmentationConfig()
    assert not turn.isAccepted()


@pytest.mark.parametrize("name", DOCKS)
def test_every_control_says_what_it_is_for(make_viewer, model, name, qtbot):
    viewer = make_viewer()
    widget = add_dock(viewer, name)
    if name == "Segment":
        widget.model.model = model
        qtbot.waitUntil(lambda: bool(widget.legend.children()[1:]), timeout=30_000)
    silent = [
        control
        for control in widget.widget().findChildren(QWidget)
        if isinstance(control, CONTROLS)
        and not (control.toolTip() or control.parent().toolTip())
    ]
    assert silent == []


def test_a_dock_does_not_wait_for_what_only_files_need():
    docks = ", ".join(name.lower() for name in DOCKS)
    script = (
        f"import sys; from napari_meunet.plugin.docks import {docks}; "
        "print({'dask.array', 'zarr', 'nibabel', 'tifffile', 'torch'} & {*sys.modules})"
    )
    loaded = subprocess.check_output([sys.executable, "-c", script], text=True)
    assert loaded.strip() == "set()"


@pytest.mark.parametrize("name", DOCKS)
def test_a_dock_opens_twice_and_fits_into_320_pixels(make_viewer, name, qtbot):
    viewer = make_viewer(show=True)
    widget = add_dock(viewer, name)
    assert widget.minimumSizeHint().width() <= 320
    viewer.window.remove_dock_widget(widget)
    assert add_dock(viewer, name) is not widget


def test_what_was_tried_does_not_make_the_dock_wider(make_viewer, qtbot):
    viewer = make_viewer(show=True)
    widget = add_dock(viewer, "Correct")
    widget.model.trial.choices.show()
    widget.model.trial.comparison.show()
    assert widget.minimumSizeHint().width() <= 320


def test_the_open_dock_adds_a_scan(make_viewer, scan, qtbot):
    viewer = make_viewer()
    widget = add_dock(viewer, "Open")
    widget.path.path = scan
    qtbot.waitUntil(widget.add.isEnabled, timeout=30_000)
    assert widget.minimumSizeHint().width() <= 320
    widget.add.click()
    qtbot.waitUntil(lambda: len(viewer.layers) == 1, timeout=30_000)


def test_the_export_dock_writes_a_file(make_viewer, tmp_path, qtbot):
    viewer = make_viewer()
    viewer.add_labels(np.ones((4, 5, 6), np.uint8))
    widget = add_dock(viewer, "Export")
    widget.path.path = tmp_path / "out.nii.gz"
    widget.export.click()
    qtbot.waitUntil(lambda: "Written" in widget.note.text(), timeout=30_000)
    assert (tmp_path / "out.nii.gz").exists()
