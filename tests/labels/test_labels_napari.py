"""A real napari Labels layer on EditableLabels does what it does on an array."""

import numpy as np
import pytest
from napari.layers import Labels

from napari_meunet.labels.store import LabelStore
from napari_meunet.volume.volume import Volume

SHAPE = (6, 40, 50)
EVERYTHING = (slice(0, 6), slice(0, 40), slice(0, 50))


@pytest.fixture
def store(tmp_path, classes):
    volume = Volume.from_array(np.zeros(SHAPE, np.uint8))
    with LabelStore.create(tmp_path / "scan.meunet", volume, classes) as store:
        yield store


@pytest.fixture
def layers(store):
    """The same layer twice: on the store, and on an array."""
    return Labels(store.editable()), Labels(np.zeros(SHAPE, np.uint8))


def stroke(layer, points, label):
    with layer.block_history():
        for point in points:
            layer.paint(point, label)


def scribble(layer):
    """Use every way that napari has to change labels; return what is undoable."""
    layer.brush_size = 7
    stroke(layer, [(2, 10, x) for x in range(10, 40, 3)], 1)
    layer.paint((2, 20, 20), 2)
    layer.n_edit_dimensions = 3
    stroke(layer, [(3, 15, 20), (3, 17, 24)], 2)
    layer.paint((3, 15, 20), 0)
    layer.n_edit_dimensions = 2
    layer.paint_polygon([(2, 5, 5), (2, 5, 30), (2, 30, 18)], 1)
    layer.preserve_labels = True
    layer.paint((2, 12, 12), 2)
    layer.preserve_labels = False
    layer.fill((2, 39, 49), 2)
    layer.contiguous = False
    layer.fill((2, 39, 49), 1)
    layer.n_edit_dimensions = 3
    layer.contiguous = True
    layer.fill((0, 0, 0), 2)
    layer.data_setitem((np.array([1, 4]), np.array([3, 30]), np.array([7, 49])), 1)
    layer.data_setitem((np.array([0, 5]), np.array([0, 1]), np.array([1, 2])), [1, 0])


def test_painting_filling_and_its_own_undo_equal_those_on_an_array(store, layers):
    ours, theirs = layers
    for layer in layers:
        scribble(layer)
    np.testing.assert_array_equal(store.labels, theirs.data)
    assert store.labels.any()
    for steps in (3, 2, 99):
        for _ in range(steps):
            ours.undo()
            theirs.undo()
        np.testing.assert_array_equal(store.labels, theirs.data)
    for _ in range(99):
        ours.redo()
        theirs.redo()
    np.testing.assert_array_equal(store.labels, theirs.data)
    assert store.labels.any()


def test_corrected_voxels_are_those_that_were_painted(store, layers):
    theirs = layers[1]
    for layer in layers:
        layer.brush_size = 7
        stroke(layer, [(2, 10, x) for x in range(10, 40, 3)], 1)
    np.testing.assert_array_equal(
        store.corrected.read(EVERYTHING), np.asarray(theirs.data) == 1
    )


def test_the_layer_shows_what_was_painted(layers):
    for layer in layers:
        layer.paint((0, 20, 20), 2)
    np.testing.assert_array_equal(
        layers[0]._slice.image.raw, np.asarray(layers[1]._slice.image.raw)
    )
    assert layers[0].get_value((0, 20, 20)) == 2


def test_the_layer_keeps_the_same_object_and_is_editable(layers):
    layer = layers[0]
    assert layer.editable
    assert layer.dtype == np.uint8
    assert type(layer.data).__name__ == "EditableLabels"
    np.testing.assert_array_equal(np.asarray(layer.data), np.zeros(SHAPE))
