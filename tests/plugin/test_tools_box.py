"""The tools of the Correct dock, without a window."""

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Labels, Layer
from napari.utils.key_bindings import coerce_keybinding
from qtpy.QtWidgets import QWidget

from napari_meunet.labels.box import box_at
from napari_meunet.plugin.docks.correct import CorrectWidget
from napari_meunet.plugin.layers import labels_layer
from napari_meunet.plugin.tools import OFFERS, Amount, Where, box_of
from napari_meunet.plugin.view import Cut, seen_box, shown_cut

SHAPE = (20, 24, 28)


@pytest.fixture
def store(tmp_path):
    from napari_meunet.config import LabelClass
    from napari_meunet.labels.store import LabelStore
    from napari_meunet.volume.volume import Spacing, Volume

    volume = Volume.from_array(np.zeros(SHAPE, np.uint8), Spacing((3, 2, 2), "test"))
    labels = np.zeros(SHAPE, np.uint8)
    labels[5:15, 6:18, 7:20] = 1
    labels[9:11, 9:12, 9:12] = 0  # a hole
    labels[1, 1, 1] = 1  # an island
    classes = (LabelClass(value=1, name="gut", color="#ff8800"),)
    with LabelStore.create(tmp_path / "fly.meunet", volume, classes) as store:
        store.write((0, 0, 0), labels)
        yield store


@pytest.fixture
def viewer(store):
    viewer = ViewerModel()
    layer = viewer.add_layer(Layer.create(*labels_layer(store)))
    layer.selected_label = 1
    layer.mode = "paint"
    viewer.dims.set_point(0, layer.data_to_world((10, 0, 0))[0])
    yield viewer
    viewer.layers.clear()


@pytest.fixture
def dock(viewer, qtbot):
    widget = CorrectWidget(viewer)
    qtbot.addWidget(widget)
    return widget


@pytest.fixture
def box(dock):
    return dock.tools


def choose(box, title, where=None):
    box.tool.setCurrentText(title)
    if where is not None:
        box.where.setCurrentText(where.value)


def ended(qtbot, box):
    qtbot.waitUntil(lambda: box.apply.isEnabled(), timeout=10_000)


def press(viewer, key):
    viewer.keymap[coerce_keybinding(key)](viewer)


def visible(field):
    return not field.isHidden()


def test_a_plane_is_changed_and_undone(box, viewer, store, qtbot):
    before = np.array(store.labels)
    choose(box, "Fill holes", Where.PLANE)
    box.apply.click()
    ended(qtbot, box)
    changed = store.labels != before
    assert np.flatnonzero(changed.any((1, 2))).tolist() == [10]
    assert (store.labels[10, 9:12, 9:12] == 1).all()
    assert "9 voxels have changed, plane 10; undo takes" in box.using.result.text()
    box.using.forget(store.journal.n_changes)  # nothing else has happened yet
    assert box.using.result.text()
    layer = viewer.layers[0]
    assert layer.editable
    assert layer.mode == "paint"
    store.journal.undo()
    np.testing.assert_array_equal(store.labels, before)
    box.using.forget(store.journal.n_changes)  # undo takes back something else now
    assert not box.using.result.text()


def test_everywhere_means_all_planes(box, store, qtbot):
    choose(box, "Fill holes", Where.ALL)
    box.apply.click()
    ended(qtbot, box)
    assert (store.labels[5:15, 6:18, 7:20] == 1).all()


@pytest.mark.parametrize("offer", OFFERS, ids=lambda offer: offer.title)
def test_every_tool_works_as_proposed(box, viewer, store, qtbot, offer):
    viewer.add_image(np.zeros(SHAPE, np.uint8))  # the scan
    store.editable()[12, 10, 15] = 3  # a mark to split at
    for z in (5, 14):  # planes that a person has painted
        store.editable()[z, 3, 3] = 1
    for z in (9, 11):  # the planes beside the one that is shown
        store.editable()[z, 7, 7] = 0
    box.into.setValue(2)
    # without a canvas nothing is in view
    choose(box, offer.title, Where.ALL if offer.places[0] is Where.VIEW else None)
    before = np.array(store.labels)
    box.apply.click()
    ended(qtbot, box)
    assert (store.labels != before).any(), box.using.result.text()
    assert "undo takes it back" in box.using.result.text()


def test_sizes_are_in_the_units_of_the_labels(box):
    choose(box, "Grow")
    assert (box.size.value(), box.size.suffix()) == (4.0, " um")
    choose(box, "Remove small islands")
    assert (box.size.value(), box.size.suffix()) == (1200.0, " um\N{SUPERSCRIPT THREE}")
    assert visible(box.size)
    assert not visible(box.into)
    choose(box, "Merge")
    assert visible(box.into)
    assert not visible(box.size)


def test_the_button_names_the_label(box, viewer, qtbot):
    assert box.apply.text() == "Apply to gut"
    viewer.layers[0].selected_label = 7
    qtbot.waitUntil(lambda: box.apply.text() == "Apply to label 7")


def test_a_proposed_distance_is_no_less_than_its_voxels(box, store):
    from napari_meunet.volume.volume import Spacing

    store.set_spacing(Spacing((2.95221, 2.95221, 2.95221), "test"))
    choose(box, "Grow")
    assert 2 * 2.95221 <= box.size.value() < 2 * 2.95221 + 1e-3


def test_a_size_stays_until_another_kind_is_asked_for(box, store, qtbot):
    choose(box, "Grow", Where.PLANE)
    box.size.setValue(6)
    box.apply.click()
    ended(qtbot, box)
    assert box.size.value() == 6
    choose(box, "Shrink")
    assert box.size.value() == 6
    choose(box, "Remove small islands")
    assert box.size.value() == 1200


def test_only_what_matters_is_asked(box):
    for offer in OFFERS:
        choose(box, offer.title)
        assert visible(box.size) == (offer.amount in (Amount.DISTANCE, Amount.VOLUME))
        assert visible(box.where) == (len(offer.places) > 1)
        assert visible(box.n_beside) == (offer.places[0] is Where.VIEW)
    choose(box, "Grow", Where.VIEW)
    assert visible(box.n_beside)


def test_keys_interpolate_copy_and_apply(box, viewer, store, qtbot):
    editable = store.editable()
    for z in (2, 4):
        editable[z, 20:22, 20:22] = 1
    viewer.dims.set_point(0, viewer.layers[0].data_to_world((3, 0, 0))[0])
    press(viewer, "I")
    ended(qtbot, box)
    assert (store.labels[3, 20:22, 20:22] == 1).all()
    viewer.dims.set_point(0, viewer.layers[0].data_to_world((5, 0, 0))[0])
    press(viewer, "C")
    ended(qtbot, box)
    assert (store.labels[5, 20:22, 20:22] == 1).all()
    assert not store.labels[5, 6:18, 7:19].any()  # the model's, as in plane 4
    viewer.dims.set_point(0, viewer.layers[0].data_to_world((1, 0, 0))[0])
    press(viewer, "Shift-C")
    ended(qtbot, box)
    assert (
        np.argwhere(store.labels[1]).tolist() == np.argwhere(store.labels[2]).tolist()
    )
    choose(box, "Shrink", Where.ALL)
    n = int((store.labels[:] == 1).sum())
    press(viewer, "A")
    ended(qtbot, box)
    assert (store.labels[:] == 1).sum() < n


def test_the_island_under_the_mouse_gets_the_label(box, viewer, store, qtbot):
    layer = viewer.layers[0]
    viewer.cursor.position = layer.data_to_world((10, 7, 8))
    layer.selected_label = 3
    press(viewer, "G")
    ended(qtbot, box)
    assert (store.labels[10] == 3).sum() == 12 * 13 - 9
    assert not (np.delete(store.labels, 10, 0) == 3).any()
    layer.n_edit_dimensions = 3
    layer.selected_label = 0
    viewer.dims.set_point(0, layer.data_to_world((9, 0, 0))[0])  # the mouse stays
    press(viewer, "G")
    ended(qtbot, box)
    assert np.argwhere(store.labels[:9] == 1).tolist() == [[1, 1, 1]]
    n_changes = store.journal.n_changes
    for nowhere in ((9, 7, 8), (9, 7, 99)):  # nothing to do, and outside
        viewer.cursor.position = layer.data_to_world(nowhere)
        press(viewer, "G")
    assert box.apply.isEnabled()
    layer.selected_label = 2
    viewer.cursor.position = layer.data_to_world((9, 7, 8))
    press(viewer, "G")
    assert "Fill holes" in box.using.result.text()
    assert store.journal.n_changes == n_changes


def test_what_cannot_be_is_said(box, viewer, store, qtbot):
    layer = viewer.layers[0]
    layer.selected_label = 0
    box.apply.click()
    assert "other than the background" in box.using.result.text()
    layer.selected_label = 2
    box.apply.click()  # interpolates
    qtbot.waitUntil(lambda: "two planes" in box.using.result.text(), timeout=10_000)
    ended(qtbot, box)
    choose(box, "Merge")
    box.into.setValue(3)
    box.apply.click()
    ended(qtbot, box)
    assert "nothing to change" in box.using.result.text()
    viewer.dims.ndisplay = 3
    choose(box, "Grow", Where.PLANE)
    box.apply.click()
    assert "Show a plane" in box.using.result.text()
    assert not store.journal.history.done


def test_nobody_paints_or_undoes_while_a_tool_works(box, viewer, store, qtbot):
    layer = viewer.layers[0]
    store.editable()[0, 0, 0] = 1
    choose(box, "Grow", Where.ALL)
    box.apply.click()
    assert not layer.editable
    assert not box.apply.isEnabled()
    press(viewer, "A")  # no second one
    from napari_meunet.plugin.undo import step

    step(layer, store.journal, 1)
    ended(qtbot, box)
    assert [stroke.tool for stroke in store.journal.history.done] == ["paint", "grow"]


@pytest.fixture
def slow(monkeypatch):
    """Let a tool stop after its first change, until it is told to go on."""
    import threading

    from napari_meunet.labels.tools.canvas import Canvas
    from napari_meunet.plugin import jobs

    has_changed, goes_on = threading.Event(), threading.Event()
    write = Canvas.write

    def write_slowly(self, box, before, after):
        write(self, box, before, after)
        if (before != after).any():
            has_changed.set()
            assert goes_on.wait(10)

    monkeypatch.setattr(Canvas, "write", write_slowly)
    monkeypatch.setattr(jobs, "YIELD_SECONDS", 0)
    yield has_changed, goes_on
    goes_on.set()


def test_a_stopped_tool_changes_nothing(box, viewer, store, qtbot, slow):
    has_changed, goes_on = slow
    before = np.array(store.labels)
    choose(box, "Merge", Where.ALL)
    box.into.setValue(2)
    box.apply.click()
    assert has_changed.wait(10)
    assert (store.labels != before).any()
    box.using.row.cancel.click()
    goes_on.set()
    ended(qtbot, box)
    assert "Stopped; nothing has changed" in box.using.result.text()
    np.testing.assert_array_equal(store.labels, before)
    assert not store.journal.history.done
    qtbot.waitUntil(lambda: viewer.layers[0].editable)


def test_a_tool_that_ends_before_it_is_stopped_says_so(
    box, store, qtbot, slow, monkeypatch
):
    has_changed, goes_on = slow
    monkeypatch.setattr("napari_meunet.plugin.jobs.YIELD_SECONDS", 99)
    choose(box, "Merge", Where.PLANE)  # one change
    box.into.setValue(2)
    box.apply.click()
    assert has_changed.wait(10)
    box.using.row.cancel.click()  # too late
    goes_on.set()
    ended(qtbot, box)
    assert "undo takes it back" in box.using.result.text()
    assert (store.labels[10] == 2).any()


def test_when_the_dock_goes_the_tool_stops_before_anybody_paints(
    viewer, store, qtbot, slow
):
    has_changed, goes_on = slow
    window = QWidget()
    qtbot.addWidget(window)
    dock = CorrectWidget(viewer)
    dock.setParent(window)
    before = np.array(store.labels)
    choose(dock.tools, "Merge", Where.ALL)
    dock.tools.into.setValue(2)
    dock.tools.apply.click()
    layer = viewer.layers[0]
    assert has_changed.wait(10)
    dock.setParent(None)  # as napari does
    qtbot.wait(50)
    assert not viewer.keymap
    assert not layer.editable
    goes_on.set()
    qtbot.waitUntil(lambda: layer.editable)
    assert layer.mode == "paint"
    np.testing.assert_array_equal(store.labels, before)


def test_a_layer_that_goes_meanwhile_is_as_before_when_it_comes_again(
    box, viewer, store, qtbot, slow
):
    from napari_meunet.labels.store import LabelStore

    has_changed, goes_on = slow
    before = np.array(store.labels)
    choose(box, "Merge", Where.ALL)
    box.into.setValue(2)
    box.apply.click()
    assert has_changed.wait(10)
    viewer.layers.clear()  # which closes the store
    goes_on.set()
    qtbot.waitUntil(lambda: "must be open for writing" in box.using.result.text())
    with LabelStore.open(store.folder) as again:
        np.testing.assert_array_equal(again.labels, before)
        assert not again.journal.history.done


def test_without_labels_there_is_nothing_to_use(box, viewer):
    assert box.isEnabled()
    viewer.layers.clear()
    assert not box.isEnabled()


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_boxes_follow_the_view(viewer, axis):
    layer = viewer.layers[0]
    order = [axis, *(i for i in range(3) if i != axis)]
    viewer.dims.order = order
    viewer.dims.set_point(axis, layer.data_to_world((4, 4, 4))[axis])
    cut = shown_cut(viewer, layer)
    assert cut == Cut(axis, 4)
    layer.corner_pixels = np.array([[2, 3, 5], [9, 11, 40]])
    expected = [slice(2, 10), slice(3, 12), slice(5, 28)]
    expected[axis] = slice(0, SHAPE[axis])
    assert seen_box(layer, cut) == tuple(expected)
    expected[axis] = slice(0, 11)
    assert box_of(Where.VIEW, layer, cut, 6) == tuple(expected)
    layer.corner_pixels = np.array([[19, 23, 27], [19, 23, 27]])  # out of view
    assert box_of(Where.VIEW, layer, cut, 6) is None
    whole = list(box_at((0, 0, 0), SHAPE))
    whole[axis] = slice(4, 5)
    assert box_of(Where.PLANE, layer, cut, 6) == tuple(whole)
    assert box_of(Where.ALL, layer, None, 6) == box_at((0, 0, 0), SHAPE)


def test_there_is_no_cut_in_3d_or_beside_the_volume(viewer):
    layer = viewer.layers[0]
    viewer.dims.ndisplay = 3
    assert shown_cut(viewer, layer) is None
    viewer.dims.ndisplay = 2
    viewer.add_layer(Labels(np.zeros((9, 9, 9), int), translate=(-300, 0, 0)))
    viewer.dims.set_point(0, -290)
    assert shown_cut(viewer, layer) is None
