"""A brush that is kept to a range of grey values, and tools that look at the scan."""

from dataclasses import replace

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Layer

from napari_meunet.errors import MeUNetError
from napari_meunet.plugin.docks.correct import CorrectWidget
from napari_meunet.plugin.layers import image_layer, labels_layer
from napari_meunet.plugin.training import mark_as_empty
from napari_meunet.plugin.watch import watch
from napari_meunet.volume.formats.planes import DecodedPlanes
from napari_meunet.volume.open import open_volume


@pytest.fixture
def viewer(scan, store):
    viewer = ViewerModel()
    watch(viewer)  # as the reader does
    viewer.add_layer(Layer.create(*image_layer(open_volume(scan))))
    layer = viewer.add_layer(Layer.create(*labels_layer(store)))
    viewer.dims.set_point(0, layer.data_to_world((16, 0, 0))[0])
    layer.selected_label, layer.brush_size, layer.mode = 1, 9, "paint"
    yield viewer
    viewer.layers.clear()


@pytest.fixture
def dock(viewer, qtbot):
    dock = CorrectWidget(viewer)
    qtbot.addWidget(dock)
    qtbot.waitUntil(dock.brush.isEnabled)
    return dock


def test_the_brush_leaves_other_grey_values_alone(viewer, dock, store, voxels):
    layer = viewer.layers["fly labels"]
    dock.brush.range.setValue((50, 120))
    dock.brush.setChecked(True)
    layer.paint((16, 16, 20), 1)
    # what is seen is what is there
    np.testing.assert_array_equal(layer._slice.image.raw, store.labels[16])
    with_all = np.zeros_like(voxels, bool)
    dock.brush.setChecked(False)
    within = (voxels >= 50) & (voxels <= 120)
    np.testing.assert_array_equal(store.labels > 0, store.labels.astype(bool) & within)
    painted = np.count_nonzero(store.labels)
    layer.paint((16, 16, 20), 1)
    with_all[store.labels > 0] = True
    assert painted == (with_all & within).sum() < with_all.sum()
    store.journal.undo()
    assert np.count_nonzero(store.labels) == painted


def test_the_eraser_does_so_too_and_the_range_may_change(viewer, dock, store, voxels):
    store.editable()[16] = 1
    dock.brush.setChecked(True)
    dock.brush.range.setValue((100, 150))
    viewer.layers["fly labels"].paint((16, 16, 20), 0)
    erased = store.labels[16] == 0
    assert erased.any()
    assert voxels[16][erased].min() >= 100
    assert voxels[16][erased].max() <= 150


def test_the_ends_of_the_range_have_no_end(viewer, dock, store, voxels):
    low, high = 50, 150  # as of the brightness shown: some voxels lie beyond
    dock.brush.range.setRange(low, high)
    layer = viewer.layers["fly labels"]
    layer.brush_size = 99
    dock.brush.setChecked(True)
    dock.brush.range.setValue((100, high))
    layer.paint((16, 16, 20), 1)
    np.testing.assert_array_equal(store.labels[16] == 1, voxels[16] >= 100)
    dock.brush.range.setValue((low, 100))
    layer.paint((16, 16, 20), 2)
    np.testing.assert_array_equal(store.labels[16] == 2, voxels[16] <= 100)


def test_a_plane_is_decoded_once_for_many_dabs(viewer, dock, voxels, monkeypatch):
    decoded = []

    def decode(numbers):
        decoded.extend(numbers)
        return voxels[numbers]

    planes = DecodedPlanes(voxels.shape, voxels.dtype, decode, "a file")
    dock.brush._scan = replace(dock.brush._scan, planes=planes)
    dock.brush.range.setValue((100, 150))
    dock.brush.setChecked(True)
    layer = viewer.layers["fly labels"]
    for x in (10, 20, 30):
        layer.paint((16, 12, x), 1)
    assert decoded == [16]
    layer.paint((17, 12, 20), 1)
    assert decoded == [16, 17]
    painted = np.asarray(layer.data[16:18]) == 1
    assert painted.any()
    assert 100 <= voxels[16:18][painted].min() <= voxels[16:18][painted].max() <= 150


def test_other_labels_are_not_limited_and_neither_are_these_once_they_go(
    viewer, dock, store, qtbot
):
    data = viewer.layers["fly labels"].data
    dock.brush.setChecked(True)
    assert data.paintable is not None
    dock.layer.layer = None
    assert data.paintable is None
    assert not dock.brush.isEnabled()
    dock.layer.layer = viewer.layers["fly labels"]
    qtbot.waitUntil(lambda: data.paintable is not None)
    dock.closed.emit()
    assert data.paintable is None


def test_without_the_scan_there_is_no_range(viewer, dock, qtbot):
    data = viewer.layers["fly labels"].data
    dock.brush.setChecked(True)
    for shape in ((4, 5, 6), (4, 5)):
        image = viewer.add_image(np.zeros(shape))  # is chosen, as the newest
        assert dock.image.layer is image
        qtbot.waitUntil(lambda: not dock.brush._opening.open)
        assert not dock.brush.isEnabled()
        assert data.paintable is None
    other = CorrectWidget(viewer)  # a dock opens where there is such an image
    qtbot.addWidget(other)


def use(dock, qtbot, title):
    dock.tools.tool.setCurrentText(title)
    dock.tools.use()
    qtbot.waitUntil(lambda: not dock.tools.using.busy, timeout=10_000)
    return dock.tools.using.result.text()


def test_a_label_snaps_to_the_edges_of_the_scan(viewer, dock, qtbot, store):
    store.write((0, 0, 0), np.pad(np.ones((16, 12, 20), np.uint8), 8)[:, :32, :48])
    dock.tools.size.setValue(6)
    assert "voxels have changed" in use(dock, qtbot, "Snap to edges")
    viewer.layers.remove("fly")
    assert "Choose the scan first" in use(dock, qtbot, "Snap to edges")


def test_a_label_is_split_at_a_mark(viewer, dock, qtbot, store, monkeypatch):
    monkeypatch.setattr(
        "napari_meunet.plugin.tools.seen_box", lambda *_: np.s_[0:32, 0:32, 0:48]
    )
    labels = np.zeros(store.shape, np.uint8)
    labels[16, 10:20, 4:40] = 1
    store.write((0, 0, 0), labels)
    store.editable()[16, 15, 38] = 2
    assert "voxels have changed" in use(dock, qtbot, "Split at marks")
    assert (store.labels[16, 10:20, 30:40] == 2).all()
    assert (store.labels[16, 10:20, 4:12] == 1).all()


def test_a_plane_cannot_be_marked_as_empty_by_a_brush_that_is_limited(viewer, dock):
    dock.brush.setChecked(True)
    layer = viewer.layers["fly labels"]
    with pytest.raises(MeUNetError, match="switch that off in the Correct dock"):
        mark_as_empty(layer, 3)
    dock.brush.setChecked(False)
    mark_as_empty(layer, 3)
    assert layer.data[3, 0, 0] == 255
