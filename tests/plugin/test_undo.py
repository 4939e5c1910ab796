"""Undo and redo by the keys of a layer."""

import threading

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Labels, Layer
from napari.utils.key_bindings import coerce_keybinding

from napari_meunet.errors import MeUNetError
from napari_meunet.labels.box import box_at
from napari_meunet.plugin.layers import labels_layer
from napari_meunet.plugin.undo import REDO, UNDO, step
from napari_meunet.plugin.view import camera_of, show_box
from napari_meunet.plugin.watch import watch


@pytest.fixture
def viewer():
    viewer = ViewerModel()
    watch(viewer)
    return viewer


@pytest.fixture
def layer(store, viewer):
    return viewer.add_layer(Layer.create(*labels_layer(store)))


def press(layer, key):
    layer.keymap[coerce_keybinding(key)](layer)


def drag(layer, z):
    with layer.block_history():
        for x in range(10, 20):
            layer.paint((z, 16, x), 1)


def test_a_drag_a_fill_and_a_polygon_are_one_stroke_each(store, layer):
    before = []
    for act in (
        lambda: drag(layer, 3),
        lambda: layer.fill((3, 0, 0), 2),
        lambda: layer.paint_polygon([(5, 2, 2), (5, 2, 20), (5, 20, 12)], 1),
        lambda: layer.paint((5, 16, 16), 2),
        lambda: drag(layer, 6),
    ):
        before.append(np.array(store.labels))
        act()
    after = np.array(store.labels)
    assert len(store.journal.history.done) == len(before)
    for labels in reversed(before):
        press(layer, UNDO)
        np.testing.assert_array_equal(store.labels, labels)
    assert not store.has_corrections
    press(layer, UNDO)  # nothing is left, and nothing happens
    for _ in before:
        press(layer, REDO)
    np.testing.assert_array_equal(store.labels, after)


def test_what_is_shown_is_what_an_undo_left(store, viewer, layer):
    viewer.dims.set_current_step(0, 3)
    drag(layer, 3)
    assert layer._slice.image.raw.any()
    press(layer, UNDO)
    assert not layer._slice.image.raw.any()


def test_much_is_undone_beside_the_window(store, viewer, layer, monkeypatch, qtbot):
    monkeypatch.setattr("napari_meunet.plugin.undo.AT_ONCE", 0)
    goes_on = threading.Event()
    undo = store.journal.undo

    def undo_slowly():
        assert goes_on.wait(10)
        return undo()

    viewer.dims.set_current_step(0, 3)
    layer.mode = "paint"
    drag(layer, 3)
    layer.paint((3, 5, 5), 2)
    assert len(store.journal.history.done) == 2
    monkeypatch.setattr(store.journal, "undo", undo_slowly)
    step(layer, store.journal, 2)
    assert not layer.editable
    press(layer, UNDO)  # nothing happens
    goes_on.set()
    qtbot.waitUntil(lambda: layer.editable)
    assert layer.mode == "paint"
    assert not store.journal.history.done
    assert not layer._slice.image.raw.any()
    step(layer, store.journal, -2)
    qtbot.waitUntil(lambda: layer.editable and not store.journal.history.undone)
    assert (store.labels[3, 16, 10:20] == 1).all()
    assert store.labels[3, 5, 5] == 2


def test_what_goes_wrong_beside_the_window_is_told(store, layer, monkeypatch, qtbot):
    monkeypatch.setattr("napari_meunet.plugin.undo.AT_ONCE", 0)
    drag(layer, 3)

    def fail():
        raise MeUNetError("the disk must have room, got none")

    told = []
    monkeypatch.setattr("napari_meunet.plugin.undo.tell", told.append)
    monkeypatch.setattr(store.journal, "undo", fail)
    step(layer, store.journal, 1)
    qtbot.waitUntil(lambda: layer.editable)
    assert "room" in str(told[0])


def test_a_full_disk_is_told_and_changes_nothing(store, layer, monkeypatch):
    drag(layer, 3)
    painted = np.array(store.labels)

    def full(part):
        raise OSError(28, "no space left on device")

    told = []
    with monkeypatch.context() as patched:
        patched.setattr(store.journal._records, "_write", full)
        patched.setattr("napari_meunet.plugin.undo.show_error", told.append)
        press(layer, UNDO)
    assert "no space left" in told[0]
    np.testing.assert_array_equal(store.labels, painted)


def test_changes_that_were_restored_are_told(store, viewer, monkeypatch):
    told = []
    monkeypatch.setattr("napari_meunet.plugin.watch.show_info", told.append)
    store.journal.n_restored = 12
    viewer.add_layer(Layer.create(*labels_layer(store)))
    assert told == [
        "fly labels was not closed last time. Changes restored from the journal: 12"
    ]


def test_the_view_moves_only_where_it_must():
    viewer = ViewerModel()
    layer = viewer.add_layer(Labels(np.zeros((9, 8, 7), int), scale=(3, 2, 1)))
    viewer.add_image(np.zeros((2, 9, 8, 7)), scale=(1, 3, 2, 1))
    viewer.dims.set_current_step(1, 4)
    at = viewer.dims.current_step
    show_box(viewer, layer, box_at((3, 0, 0), (3, 2, 2)))
    assert viewer.dims.current_step == at
    show_box(viewer, layer, box_at((6, 0, 0), (2, 2, 2)))
    assert viewer.dims.point[1] == 6 * 3
    viewer.dims.order = (0, 3, 1, 2)
    show_box(viewer, layer, box_at((0, 0, 6), (1, 1, 1)))
    assert viewer.dims.point[3] == 6


def test_the_camera_flies_to_what_is_out_of_view():
    viewer = ViewerModel()
    layer = viewer.add_layer(Labels(np.zeros((9, 80, 70), int), scale=(3, 2, 1)))
    layer.corner_pixels = np.array([[0, 0, 0], [8, 20, 20]])
    before = camera_of(viewer).center
    show_box(viewer, layer, box_at((3, 10, 10), (3, 20, 20)))
    assert camera_of(viewer).center == before
    show_box(viewer, layer, box_at((3, 60, 50), (1, 3, 3)))
    assert camera_of(viewer).center[1:] == (61 * 2, 51)
