"""The Correct dock, without a window."""

from datetime import UTC, datetime

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Labels, Layer
from napari.utils.key_bindings import coerce_keybinding

from napari_meunet.labels.box import box_at
from napari_meunet.labels.journal.history import Stroke
from napari_meunet.labels.reviewed import Reviewed
from napari_meunet.labels.tools.keep import Keep
from napari_meunet.plugin.docks.correct import CorrectWidget, progress_in_words
from napari_meunet.plugin.layers import labels_layer
from napari_meunet.plugin.view import camera_of
from napari_meunet.plugin.widgets.history_list import words

SHAPE = (64, 40, 70)  # 2 x 2 x 3 places
CONFIDENCE = np.full((16, 10, 18), 255, np.uint8)
CONFIDENCE[2, 9, 17] = 55  # place (0, 1, 2)
CONFIDENCE[9, 3, 1] = 155  # place (1, 0, 0)


@pytest.fixture
def store(tmp_path):
    from napari_meunet.labels.store import LabelStore
    from napari_meunet.volume.volume import Spacing, Volume

    volume = Volume.from_array(np.zeros(SHAPE, np.uint8), Spacing((3, 2, 2), "test"))
    with LabelStore.create(tmp_path / "fly.meunet", volume, ()) as store:
        store.write_confidence((0, 0, 0), CONFIDENCE)
        yield store


@pytest.fixture
def viewer(store):
    viewer = ViewerModel()
    viewer.add_layer(Layer.create(*labels_layer(store)))
    yield viewer
    viewer.layers.clear()


@pytest.fixture
def widget(viewer, qtbot):
    widget = CorrectWidget(viewer)
    qtbot.addWidget(widget)
    return widget


def press(viewer, key):
    viewer.keymap[coerce_keybinding(key)](viewer)


def place(viewer):
    """Return the voxel in the middle of the view."""
    layer = viewer.layers[0]
    z = layer.world_to_data(viewer.dims.point)[0]
    _, y, x = layer.world_to_data(camera_of(viewer).center)
    return round(z), round(y), round(x)


def test_the_keys_lead_through_the_places_the_worst_first(viewer, widget, store):
    assert "0 of 2 places reviewed" in widget.state.text()
    assert not widget.reviewed.isEnabled()
    viewer.add_points(np.zeros((1, 3)))
    press(viewer, "N")
    assert viewer.layers.selection.active is viewer.layers[0]  # to paint on
    assert place(viewer) == (10, 38, 69)  # in the last, smaller block
    press(viewer, "N")
    assert place(viewer) == (38, 14, 6)
    press(viewer, "N")  # round again
    assert place(viewer) == (10, 38, 69)
    press(viewer, "R")
    assert "1 of 2 places reviewed, with 67% of" in widget.state.text()
    assert place(viewer) == (38, 14, 6)
    press(viewer, "R")
    assert "2 of 2 places" in widget.state.text()
    assert not widget.next.isEnabled()
    press(viewer, "N")
    press(viewer, "R")
    assert np.argwhere(store.review().reviewed.places).tolist() == [
        [0, 1, 2],
        [1, 0, 0],
    ]


def test_what_is_left_is_told_beside_what_is_labelled(store):
    assert "with a label" not in progress_in_words(store.review())  # there is none
    store.write((0, 0, 0), np.ones((10, 10, 10), np.uint8))
    wrong = 64 * (200 + 100) / 255
    expected = f"beside 1,000 with a label ({wrong / 1000:.1%})."
    assert expected in progress_in_words(store.review())


def test_what_was_marked_by_mistake_is_gone_back_to(viewer, widget, store):
    first, second = (10, 38, 69), (38, 14, 6)
    assert not widget.back.isEnabled()
    press(viewer, "Shift-N")  # there is nothing behind
    for key in "NRN":
        press(viewer, key)
    assert place(viewer) == second  # the only one that is left comes again
    press(viewer, "Shift-N")
    assert place(viewer) == first
    assert "0 of 2 places" in widget.state.text()
    assert not widget.back.isEnabled()
    assert not store.review().reviewed.places.any()
    press(viewer, "R")
    assert place(viewer) == second
    widget.reviewed.click()
    assert "2 of 2 places" in widget.state.text()
    widget.back.click()
    assert place(viewer) == second
    assert "1 of 2 places" in widget.state.text()


def test_a_place_that_is_not_in_view_is_not_marked(viewer, widget, store):
    press(viewer, "N")  # place (0, 1, 2)
    viewer.dims.set_point(0, 32 * 3)
    press(viewer, "R")
    assert "must be in view: go to one of the planes 0 to 31" in widget.place.text()
    assert not store.review().reviewed.places.any()
    viewer.dims.set_point(0, 31 * 3)
    press(viewer, "R")
    assert np.argwhere(store.review().reviewed.places).tolist() == [[0, 1, 2]]


def test_a_plane_of_a_place_is_kept(viewer, widget, store, qtbot):
    layer = viewer.layers[0]
    layer.corner_pixels = np.array([[0, 0, 0], [63, 39, 69]])
    press(viewer, "N")  # place (0, 1, 2), plane 10
    press(viewer, "K")
    (plane,) = np.unique(np.argwhere(store.corrected.read(whole(store)))[:, 0])
    assert plane == 10
    assert store.corrected.read(np.s_[10:11, 32:40, 64:70]).all()
    assert np.count_nonzero(store.corrected.read(whole(store))) == 8 * 6
    assert words(store.journal.history.done[-1]).endswith("kept 48 voxels, plane 10")
    kept = "This place: planes 0 to 31; 48 of its 1,536 voxels are yours"
    assert said(widget) == f"{kept}, all of plane 10."
    press(viewer, "K")
    assert len(store.journal.history.done) == 1
    for z in range(32):
        viewer.dims.set_current_step(0, z)
        press(viewer, "K")
    assert said(widget).endswith("1,536 of its 1,536 voxels are yours, all of it.")
    store.journal.undo()
    assert store.corrected.read(whole(store)).sum() == 31 * 48
    for _ in range(30):
        store.journal.undo()
    qtbot.waitUntil(widget.undo.isEnabled)
    widget.undo.click()
    qtbot.waitUntil(lambda: said(widget).endswith("0 of its 1,536 voxels are yours."))
    assert not store.corrected.read(whole(store)).any()


def test_before_the_first_place_what_is_in_view_is_kept(viewer, widget, store):
    viewer.layers[0].corner_pixels = np.array([[0, 5, 0], [63, 24, 49]])
    viewer.dims.set_point(0, 50 * 3)
    widget.keep.click()
    kept = store.corrected.read(whole(store))
    assert kept[50, 5:25, :50].all()
    assert np.count_nonzero(kept) == 20 * 50


@pytest.mark.parametrize("order", [(1, 0, 2), (2, 0, 1)])
def test_across_other_axes_a_plane_is_one_edit(viewer, widget, store, order):
    viewer.dims.order = order
    viewer.layers[0].corner_pixels = np.array([[0, 0, 0], [63, 39, 69]])
    press(viewer, "N")
    viewer.layers[0].corner_pixels = np.array([[0, 0, 0], [63, 39, 69]])
    press(viewer, "K")
    kept = store.corrected.read(whole(store))
    n = (8, 6)[order[0] == 1] * 32
    assert np.count_nonzero(kept) == np.count_nonzero(kept[:32, 32:, 64:]) == n
    (stroke,) = store.journal.history.done
    assert len(stroke.places) == 1


def test_a_plane_beside_the_place_is_not_kept(viewer, widget, store):
    press(viewer, "N")
    viewer.dims.set_point(0, 50 * 3)
    press(viewer, "K")
    assert "Show a plane of the labels in the place" in said(widget)
    assert not store.journal.history.done


def test_while_a_tool_works_no_plane_is_kept(viewer, widget, store):
    press(viewer, "N")
    viewer.layers[0].editable = False
    press(viewer, "K")
    assert "cannot be changed just now" in said(widget)
    assert not store.journal.history.done


def test_in_three_dimensions_no_plane_is_kept(viewer, widget, store):
    viewer.dims.ndisplay = 3
    press(viewer, "K")
    assert "Show a plane" in said(widget)
    assert not store.journal.history.done


def said(widget):
    return widget.place.text().replace("\u200b", "")


def test_the_place_is_framed_until_there_is_none(viewer, widget, qtbot):
    press(viewer, "N")
    layer, frame = viewer.layers
    rim = frame.data_to_world(np.argwhere(np.asarray(frame.data)).min(axis=0))
    assert layer.world_to_data(rim).round().astype(int).tolist() == [0, 32, 64]
    assert widget.layer.layer is layer
    for _ in range(2):
        press(viewer, "R")
    qtbot.waitUntil(lambda: list(viewer.layers) == [layer])
    assert not said(widget)


def test_back_from_the_first_place_there_is_nothing_to_leave(viewer, widget, qtbot):
    press(viewer, "N")
    press(viewer, "Shift-N")
    qtbot.wait(50)
    assert len(viewer.layers) == 2
    assert "This place: planes 0 to 31" in said(widget)


def test_the_frame_goes_with_the_dock(viewer, widget, qtbot):
    press(viewer, "N")
    widget.closed.emit()
    qtbot.waitUntil(lambda: len(viewer.layers) == 1)


def test_the_frame_goes_with_the_labels(viewer, widget, qtbot):
    scan = viewer.add_image(np.zeros(SHAPE, np.uint8))
    press(viewer, "N")
    viewer.layers.selection = set(viewer.layers) - {scan}
    viewer.layers.remove_selected()
    qtbot.waitUntil(lambda: list(viewer.layers) == [scan])


def whole(store):
    return box_at((0, 0, 0), store.shape)


def test_after_a_run_a_mark_leads_on_through_the_new_queue(viewer, widget, store):
    press(viewer, "N")
    store.begin_run("new", {})
    store.write_confidence((0, 0, 0), CONFIDENCE[::-1].copy())
    press(viewer, "R")
    assert place(viewer) == (54, 38, 69)


def test_a_place_is_shown_large_enough_to_paint_in(viewer, widget):
    camera_of(viewer).zoom = 0.1
    widget.next.click()
    near = camera_of(viewer).zoom
    assert near > 1
    camera_of(viewer).zoom = 99
    widget.next.click()
    assert camera_of(viewer).zoom == 99


def test_another_run_makes_another_queue(viewer, widget, store):
    press(viewer, "N")
    press(viewer, "R")
    store.begin_run("new", {})
    turned = CONFIDENCE[::-1].copy()
    store.write_confidence((0, 0, 0), turned)
    press(viewer, "N")
    assert "0 of 2 places" in widget.state.text()
    assert place(viewer) == (54, 38, 69)


def test_strokes_are_listed_and_stepped_through(viewer, widget, store, qtbot):
    layer = viewer.layers[0]
    layer.brush_size = 1
    for x in range(3):
        layer.paint((x, 5, 5), 1)
    qtbot.waitUntil(lambda: widget.history.count() == 3)
    newest, oldest = widget.history.item(0), widget.history.item(2)
    assert newest.text().endswith("painted 1 voxel, plane 2")
    widget.history.itemDoubleClicked.emit(oldest)
    assert store.labels[:].sum() == 1
    assert widget.history.count() == 3
    top = widget.history.item(0)
    assert top.text().endswith("plane 2")
    assert top.foreground() != widget.history.item(2).foreground()
    widget.history.itemDoubleClicked.emit(top)
    assert store.labels[:].sum() == 3
    assert not widget.redo.isEnabled()
    widget.undo.click()
    assert store.labels[:].sum() == 2
    widget.redo.click()
    assert store.labels[:].sum() == 3


@pytest.mark.parametrize("of", ["tools", "trial"])
def test_what_a_tool_did_is_said_until_something_else_is_done(
    viewer, widget, store, qtbot, of
):
    using = {"tools": widget.tools, "trial": widget.model.trial}[of].using
    using.begin(viewer.layers[0], store, Keep(), box_at((0, 0, 0), (2, 3, 4)))
    qtbot.waitUntil(lambda: not using.busy)
    widget._refresh_history()
    assert "24 voxels have changed, planes 0 to 1; undo" in using.result.text()
    store.editable()[0, 0, 0] = 1
    widget._refresh_history()
    assert not using.result.text()


def test_without_labels_of_ours_it_says_what_to_do(viewer, widget, store):
    viewer.layers.clear()
    assert "Add labels first" in widget.state.text()
    viewer.add_layer(Labels(np.zeros((4, 5, 6), int)))
    assert "Add labels first" in widget.state.text()
    buttons = widget.next, widget.back, widget.reviewed, widget.undo, widget.redo
    for button in buttons:
        assert not button.isEnabled()


def test_labels_without_confidence_have_no_queue(viewer, widget, store):
    store.forget_confidence()
    widget.layer.changed.emit()
    assert "No model has said" in widget.state.text()
    press(viewer, "N")


def test_a_folder_that_cannot_be_written_is_told(viewer, widget, monkeypatch):
    press(viewer, "N")

    def fail(self, index, *, reviewed=True):
        from napari_meunet.errors import MeUNetError

        raise MeUNetError("the disk is full")

    monkeypatch.setattr(Reviewed, "mark", fail)
    press(viewer, "R")
    assert "the disk is full" in widget.state.text()


def test_a_stroke_in_words():
    time = datetime(2026, 11, 22, 14, 2, tzinfo=UTC)
    stroke = Stroke(1, "paint", time, box_at((3, 0, 0), (4, 9, 9)), 1204)
    assert words(stroke)[5:] == " painted 1,204 voxels, planes 3 to 6"
    stroke = Stroke(1, "model", time, box_at((3, 0, 0), (1, 9, 9)), 1)
    assert words(stroke)[5:] == " the model wrote over 1 voxel, plane 3"
