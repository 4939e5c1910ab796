"""The planes across the one that is shown."""

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Layer

from napari_meunet.plugin import across as room
from napari_meunet.plugin.across import planes_across
from napari_meunet.plugin.docks.correct import CorrectWidget
from napari_meunet.plugin.layers import image_layer, labels_layer
from napari_meunet.plugin.scan import grey_values
from napari_meunet.volume.open import open_volume

AT = (10, 20, 30)


@pytest.fixture
def labelled(store, rng):
    store.write((0, 0, 0), rng.integers(0, 3, store.shape, np.uint8))
    return store


@pytest.mark.parametrize(
    ("axis", "first", "second"),
    [
        (0, np.s_[:, 20, :], np.s_[:, :, 30]),
        (1, np.s_[10, :, :], np.s_[:, :, 30]),
        (2, np.s_[10, :, :], np.s_[:, 20, :]),
    ],
)
def test_the_axis_that_is_not_seen_goes_down(scan, labelled, axis, first, second):
    volume = open_volume(scan)
    whole = grey_values(volume, np.s_[0:32, 0:32, 0:48])
    found = planes_across(volume, labelled, AT, axis)
    for plane, index in zip(found, (first, second), strict=True):
        expected = whole[index], np.array(labelled.labels)[index]
        if plane.right < plane.down:
            expected = tuple(part.T for part in expected)
        np.testing.assert_array_equal(plane.image, expected[0])
        np.testing.assert_array_equal(plane.labels, expected[1])
        assert plane.down == axis
        assert plane.at == (AT[axis], AT[plane.right])
        size = (3.0, 2.0, 1.5)  # as the fixture `scan` says
        assert plane.tall == size[axis] / size[plane.right]


def test_only_what_is_near_the_mouse_is_read(scan, labelled, monkeypatch):
    monkeypatch.setattr(room, "REACH", 4)
    first, second = planes_across(open_volume(scan), labelled, (10, 31, 30), 0)
    assert (first.image.shape, first.at) == ((9, 9), (4, 4))
    assert (second.image.shape, second.at) == ((9, 5), (4, 4))  # at the end along y


@pytest.fixture
def viewer(scan, labelled):
    viewer = ViewerModel()
    viewer.add_layer(Layer.create(*image_layer(open_volume(scan))))
    viewer.add_layer(Layer.create(*labels_layer(labelled)))
    yield viewer
    viewer.layers.clear()


def test_the_pictures_follow_the_mouse_and_the_labels(viewer, labelled, qtbot):
    dock = CorrectWidget(viewer)
    qtbot.addWidget(dock)
    box, layer = dock.across, viewer.layers["fly labels"]
    asked = []
    box._reading.answered.connect(asked.append)
    viewer.dims.set_point(0, layer.data_to_world((10, 0, 0))[0])
    viewer.cursor.position = layer.data_to_world((3, 20, 30))  # of an earlier plane
    box.look()
    assert not asked  # nobody wants to see it
    box.setChecked(True)
    box.look()
    qtbot.waitUntil(lambda: len(asked) == 1)
    assert asked[0][0].at == (10, 30)
    assert not box.pictures[0].isHidden()
    assert box.titles[0].text() == "z down, x right"
    box.look()
    assert not box._reading.open  # nothing has moved
    labelled.editable()[10, 20, 28:33] = 2
    box.look()
    qtbot.waitUntil(lambda: len(asked) == 2)
    assert (asked[1][0].labels[10, 28:33] == 2).all()
    viewer.cursor.position = layer.data_to_world((3, 99, 30))  # beside the scan
    box.look()
    assert not box._reading.open
    box.setChecked(False)
    box.look()
    assert box.pictures[0].isHidden()


def test_the_pictures_fly_along_until_the_mouse_moves(viewer, labelled, qtbot):
    labelled.write_confidence((0, 0, 0), np.full((8, 8, 12), 255, np.uint8))
    labelled.write_confidence((5, 3, 2), np.full((1, 1, 1), 100, np.uint8))
    dock = CorrectWidget(viewer)
    qtbot.addWidget(dock)
    box, layer = dock.across, viewer.layers["fly labels"]
    asked = []
    box._reading.answered.connect(asked.append)
    viewer.cursor.position = layer.data_to_world((3, 7, 8))
    box.setChecked(True)
    dock.go_on()
    qtbot.waitUntil(lambda: len(asked) == 1)
    assert [plane.at for plane in asked[0]] == [(22, 10), (22, 14)]
    viewer.cursor.position = layer.data_to_world((22, 5, 9))
    box.look()
    qtbot.waitUntil(lambda: len(asked) == 2)
    assert [plane.at for plane in asked[1]] == [(22, 9), (22, 5)]


def test_a_scan_of_another_shape_is_told_once(viewer, qtbot):
    dock = CorrectWidget(viewer)
    qtbot.addWidget(dock)
    box, layer = dock.across, viewer.layers["fly labels"]
    failed = []
    box._reading.failed.connect(failed.append)
    viewer.add_image(np.zeros((4, 5, 6)))
    viewer.cursor.position = layer.data_to_world((10, 20, 30))
    box.setChecked(True)
    box.look()
    qtbot.waitUntil(lambda: len(failed) == 1)
    assert "must have the shape of the labels" in box.problem.text()
    box.look()
    assert not box._reading.open
