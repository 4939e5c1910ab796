"""Trying a model in view, without a window."""

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Layer

from napari_meunet.cli import main
from napari_meunet.labels.store import LabelStore
from napari_meunet.plugin import trial as room
from napari_meunet.plugin.docks.correct import CorrectWidget
from napari_meunet.plugin.layers import image_layer, labels_layer
from napari_meunet.plugin.tools import Where
from napari_meunet.volume.open import open_volume


@pytest.fixture
def expected(scan, model, tmp_path):
    """Return what a run of the model on the whole scan says."""
    folder = tmp_path / "whole.meunet"
    how = ("segment", scan, "--model", model, "-o", folder)
    assert main([str(part) for part in how]) == 0
    with LabelStore.open(folder, writable=False) as store:
        labels = np.array(store.labels)
    assert len(np.unique(labels)) > 1
    return labels


@pytest.fixture
def viewer(scan, store):
    viewer = ViewerModel()
    viewer.add_layer(Layer.create(*image_layer(open_volume(scan))))
    viewer.add_layer(Layer.create(*labels_layer(store)))
    viewer.dims.set_point(0, viewer.layers[1].data_to_world((16, 0, 0))[0])
    yield viewer
    viewer.layers.clear()


@pytest.fixture
def box(viewer, model, qtbot, monkeypatch):
    # without a canvas nothing is in view
    monkeypatch.setattr(
        "napari_meunet.plugin.tools.seen_box", lambda *_: np.s_[0:32, 3:20, 5:40]
    )
    monkeypatch.setattr(
        "napari_meunet.plugin.docks.trial_box.seen_box",
        lambda *_: np.s_[0:32, 3:20, 5:40],
    )
    widget = CorrectWidget(viewer)
    qtbot.addWidget(widget)
    box = widget.model.trial
    box.n_beside.setValue(2)
    widget.model.model.model = str(model)
    qtbot.waitUntil(box.try_it.isEnabled)
    yield box
    qtbot.waitUntil(lambda: not box.busy, timeout=30_000)


TRIED = np.s_[14:19, 3:20, 5:40]


def tried(box, qtbot):
    box.try_it.click()
    assert not box.try_it.isEnabled()
    qtbot.waitUntil(lambda: not box.busy, timeout=30_000)
    return box._tried


def taken_over(box, qtbot, where):
    box.where.setCurrentText(where.value)
    box.take.click()
    qtbot.waitUntil(lambda: not box.busy, timeout=10_000)
    return box.using.result.text()


def test_the_labels_that_are_tried_are_those_of_a_whole_run(
    expected, box, qtbot, viewer, store
):
    found = tried(box, qtbot)
    np.testing.assert_array_equal(found.labels, expected[TRIED])
    assert not store.labels.any()  # nothing has changed yet
    assert f"{np.count_nonzero(expected[TRIED]):,} voxels differ" in box.result.text()
    layer = viewer.layers["fly labels tried"]
    start = viewer.layers["fly labels"].data_to_world((14, 3, 5))
    np.testing.assert_allclose(layer.data_to_world((0, 0, 0)), start)
    assert (layer.contour, layer.editable) == (1, False)
    assert box._layers.layer.name == "fly labels"  # still the ones to correct
    assert viewer.layers.selection.active.name == "fly labels"


def test_what_is_taken_over_is_what_was_asked_for(expected, box, qtbot, viewer, store):
    store.editable()[16, 5, 10] = mine = 1 + (expected[16, 5, 10] == 1)
    tried(box, qtbot)
    assert "voxels have changed" in taken_over(box, qtbot, Where.PLANE)
    plane = np.zeros_like(expected)
    plane[16, 3:20, 5:40] = expected[16, 3:20, 5:40]
    plane[16, 5, 10] = mine
    np.testing.assert_array_equal(store.labels, plane)
    taken_over(box, qtbot, Where.ALL)
    plane[TRIED] = expected[TRIED]
    plane[16, 5, 10] = mine
    np.testing.assert_array_equal(store.labels, plane)
    assert "nothing to change" in taken_over(box, qtbot, Where.VIEW)
    viewer.dims.set_point(0, viewer.layers[1].data_to_world((3, 0, 0))[0])
    box.take.click()
    assert "Nothing of what was tried" in box.using.result.text()


def test_if_nothing_differs_that_is_said(expected, box, qtbot, store):
    store.write((0, 0, 0), expected)
    tried(box, qtbot)
    assert "the same as those that are there" in box.result.text()


def test_the_pictures_show_the_model_yours_and_the_trial(
    expected, box, qtbot, viewer, store, scan
):
    store.write((0, 0, 0), np.full(store.shape, 1, np.uint8))
    store.editable()[16, 3:20, 5:40] = 2
    found = tried(box, qtbot)
    planes = found.side_by_side(np.s_[16:17, 3:20, 5:40], 0)
    assert (planes.model == 1).all()
    assert (planes.mine == 2).all()
    np.testing.assert_array_equal(planes.new, expected[16, 3:20, 5:40])
    voxels = open_volume(scan).planes[16, 3:20, 5:40]
    order = np.argsort(voxels.ravel(), kind="stable")
    assert (np.diff(planes.image.ravel()[order]) >= 0).all()
    assert (planes.image.min(), planes.image.max()) == (0, 1)
    qtbot.waitUntil(lambda: not box.comparison.isHidden())
    viewer.dims.set_point(0, viewer.layers[1].data_to_world((30, 0, 0))[0])
    box.look()
    assert box.comparison.isHidden()  # nothing was tried there


def test_planes_across_x_and_large_ones_are_shown(box, qtbot, monkeypatch):
    found = tried(box, qtbot)
    planes = found.side_by_side(np.s_[14:19, 3:20, 9:10], 2)
    assert planes.new.shape == planes.image.shape == (5, 17)
    assert planes.tall == 3.0 / 2.0  # z down, y right
    np.testing.assert_array_equal(planes.new, found.labels[:, :, 4])
    monkeypatch.setattr(room, "MOST_PIXELS", 6)
    small = found.side_by_side(np.s_[14:19, 3:20, 9:10], 2)
    np.testing.assert_array_equal(small.new, planes.new[::3, ::3])


def test_too_much_is_not_tried(box, qtbot, monkeypatch):
    monkeypatch.setattr("napari_meunet.plugin.docks.trial_box.MOST_TRIED", 2974)
    box.try_it.click()  # 5 x 17 x 35 voxels
    assert "too much to try" in box.result.text()
    assert not box.busy


def test_what_was_tried_goes_when_it_is_dismissed_or_its_labels_go(box, qtbot, viewer):
    tried(box, qtbot)
    box.dismiss.click()
    assert [layer.name for layer in viewer.layers] == ["fly", "fly labels"]
    assert box.choices.isHidden()
    tried(box, qtbot)
    viewer.layers.remove(viewer.layers["fly labels"])
    assert [layer.name for layer in viewer.layers] == ["fly"]
