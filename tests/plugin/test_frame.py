"""The line around a place."""

import warnings

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Labels

from napari_meunet.labels.box import box_at
from napari_meunet.plugin.frame import Frame, is_frame
from napari_meunet.plugin.widgets.fields.layer_choice import LayerChoice

SHAPE = (20, 30, 40)
BOX = box_at((8, 4, 6), (5, 6, 7))
FIRST, LAST = box_at((0, 0, 0), (2, 3, 4)), box_at((16, 24, 32), (4, 6, 8))


@pytest.fixture
def viewer():
    viewer = ViewerModel()
    labels = np.zeros(SHAPE, np.uint8)
    viewer.add_labels(labels, scale=(3, 2, 1), translate=(5, 5, 5), rotate=(0, 0, 30))
    yield viewer
    viewer.layers.clear()


@pytest.fixture
def layer(viewer):
    return viewer.layers[0]


def framed(layer, shown):
    """Return the voxels of a layer that lie under what another one shows."""
    found = np.argwhere(np.asarray(shown.data))
    places = [layer.world_to_data(shown.data_to_world(at)) for at in found]
    return np.round(places).astype(int)


def rim(box, axis):
    """Return voxels at the rim of a box's planes across an axis."""
    found = np.zeros(SHAPE)
    found[box] = 1
    others = [i for i in range(3) if i != axis]
    inside = [
        slice(p.start + 1, p.stop - 1) if i in others else p for i, p in enumerate(box)
    ]
    found[tuple(inside)] = 0
    return np.argwhere(found)


@pytest.mark.parametrize("box", [BOX, FIRST, LAST])
def test_it_lies_around_the_voxels_of_the_place(viewer, layer, box):
    frame = Frame(viewer)
    frame.show(layer, FIRST)
    frame.show(layer, box)
    _, shown = viewer.layers
    assert is_frame(shown)
    assert not is_frame(layer)
    np.testing.assert_array_equal(framed(layer, shown), rim(box, 0))
    assert not shown.editable


@pytest.mark.parametrize("axis", range(3))
def test_it_lies_around_it_in_whatever_plane_is_shown(viewer, layer, axis):
    viewer.add_image(np.zeros((2, *SHAPE)))  # an axis more before the others
    frame = Frame(viewer)
    frame.show(layer, BOX)
    viewer.dims.order = (0, axis + 1, *(i + 1 for i in range(3) if i != axis))
    np.testing.assert_array_equal(framed(layer, viewer.layers[-1]), rim(BOX, axis))


@pytest.mark.parametrize("box", [FIRST, LAST])
def test_the_planes_keep_their_numbers(viewer, layer, box):
    viewer.dims.set_current_step(0, 10)
    before = viewer.dims.range, viewer.dims.current_step
    frame = Frame(viewer)
    for place in (BOX, box, BOX, box):
        frame.show(layer, place)
        assert (viewer.dims.range, viewer.dims.current_step) == before


def test_what_is_selected_stays_so(viewer, layer):
    other = viewer.add_image(np.zeros(SHAPE))
    for selected in ({layer}, {other}, {layer, other}):
        viewer.layers.selection = selected
        frame = Frame(viewer)
        frame.show(layer, BOX)
        frame.show(layer, FIRST)
        assert set(viewer.layers.selection) == selected


def test_it_moves_and_stays_hidden_if_a_person_hides_it(viewer, layer, qtbot):
    frame = Frame(viewer)
    frame.show(layer, BOX)
    viewer.layers[1].visible = False
    frame.show(layer, FIRST)
    assert len(viewer.layers) == 2
    frame.hide()
    qtbot.waitUntil(lambda: list(viewer.layers) == [layer])
    frame.hide()
    frame.show(layer, FIRST)
    assert not viewer.layers[1].visible


def test_one_that_a_person_has_removed_comes_again(viewer, layer):
    frame = Frame(viewer)
    frame.show(layer, BOX)
    del viewer.layers[1]
    frame.show(layer, BOX)
    assert len(viewer.layers) == 2


def test_in_three_dimensions_there_is_none(viewer, layer):
    frame = Frame(viewer)
    frame.show(layer, BOX)
    warnings.simplefilter("error")
    viewer.dims.ndisplay = 3
    assert list(viewer.layers) == [layer]
    frame.show(layer, FIRST)
    assert list(viewer.layers) == [layer]
    viewer.dims.ndisplay = 2
    np.testing.assert_array_equal(framed(layer, viewer.layers[1]), rim(FIRST, 0))


def test_it_is_nothing_to_work_on(viewer, layer, qtbot):
    choice = LayerChoice(viewer, Labels, "a purpose")
    qtbot.addWidget(choice)
    Frame(viewer).show(layer, BOX)
    assert choice.count() == 1
    assert choice.layer is layer


def test_when_the_chosen_layer_goes_another_one_is_chosen(viewer, layer, qtbot):
    choice = LayerChoice(viewer, Labels, "a purpose")
    qtbot.addWidget(choice)
    other = viewer.add_labels(np.zeros((3, 4, 5), np.uint8))
    assert choice.layer is other
    with qtbot.waitSignal(choice.changed):
        viewer.layers.remove(other)
    assert choice.layer is layer
