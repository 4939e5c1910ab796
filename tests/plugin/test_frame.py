"""The line around a place."""

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Labels

from napari_meunet.labels.box import box_at
from napari_meunet.plugin.frame import Frame, is_frame
from napari_meunet.plugin.widgets.fields.layer_choice import LayerChoice

BOX = box_at((8, 4, 6), (5, 6, 7))


@pytest.fixture
def viewer():
    viewer = ViewerModel()
    labels = np.zeros((20, 30, 40), np.uint8)
    viewer.add_labels(labels, scale=(3, 2, 1), translate=(5, 5, 5))
    yield viewer
    viewer.layers.clear()


def framed(layer, shown):
    """Return the voxels of a layer that lie under what another one shows."""
    found = np.argwhere(np.asarray(shown.data))
    places = [layer.world_to_data(shown.data_to_world(at)) for at in found]
    return np.round(places).astype(int)


def test_it_lies_around_the_voxels_of_the_place(viewer):
    (layer,) = viewer.layers
    Frame(viewer).show(layer, BOX)
    _, shown = viewer.layers
    assert is_frame(shown)
    assert not is_frame(layer)
    expected = np.array([8, 4, 6]) + np.argwhere(np.ones((5, 6, 7)))
    np.testing.assert_array_equal(framed(layer, shown), expected)
    assert (shown.contour, shown.editable) == (1, False)
    assert viewer.layers.selection.active is layer


def test_there_is_one_that_moves_and_stays_hidden_if_a_person_hides_it(viewer):
    (layer,) = viewer.layers
    frame = Frame(viewer)
    frame.show(layer, BOX)
    viewer.layers[1].visible = False
    frame.show(layer, box_at((0, 0, 0), (2, 2, 2)))
    _, shown = viewer.layers
    assert framed(layer, shown).max() == 1
    assert not shown.visible
    frame.hide()
    frame.hide()
    assert list(viewer.layers) == [layer]


def test_one_that_a_person_has_removed_comes_again(viewer):
    (layer,) = viewer.layers
    frame = Frame(viewer)
    frame.show(layer, BOX)
    del viewer.layers[1]
    frame.show(layer, BOX)
    assert len(viewer.layers) == 2


def test_in_three_dimensions_it_goes(viewer):
    (layer,) = viewer.layers
    frame = Frame(viewer)
    frame.show(layer, BOX)
    viewer.dims.ndisplay = 3
    assert list(viewer.layers) == [layer]
    viewer.dims.ndisplay = 2
    frame.show(layer, BOX)
    assert len(viewer.layers) == 2


def test_it_is_nothing_to_work_on(viewer, qtbot):
    choice = LayerChoice(viewer, Labels, "a purpose")
    qtbot.addWidget(choice)
    (layer,) = viewer.layers
    Frame(viewer).show(layer, BOX)
    assert choice.count() == 1
    assert choice.layer is layer
