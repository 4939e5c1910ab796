"""Labels in 3-D are never read whole, if they are large."""

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Labels, Layer

from napari_meunet.labels.editable import EditableLabels
from napari_meunet.labels.overview import Overview
from napari_meunet.labels.seen import SeenLabels
from napari_meunet.labels.store import LabelStore
from napari_meunet.plugin import overviews
from napari_meunet.plugin.docks.correct import CorrectWidget
from napari_meunet.plugin.layers import image_layer, labels_layer
from napari_meunet.plugin.overviews import is_overview
from napari_meunet.plugin.undo import step
from napari_meunet.plugin.watch import watch
from napari_meunet.volume import pyramid
from napari_meunet.volume.pyramid import coarsest_factors
from napari_meunet.volume.volume import Spacing, Volume

SHAPE = (70, 41, 30)


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Let these labels count as large."""
    monkeypatch.setattr(pyramid, "LARGEST_AXIS", 20)
    monkeypatch.setattr(pyramid, "SHORTEST_AXIS", 8)


@pytest.fixture
def volume():
    return Volume.from_array(np.zeros(SHAPE, np.uint8), Spacing((3, 2, 2), "test"))


@pytest.fixture
def store(tmp_path, volume):
    with LabelStore.create(tmp_path / "fly.meunet", volume, ()) as store:
        labels = np.random.default_rng(0).integers(0, 3, SHAPE, dtype=np.uint8)
        store.write((0, 0, 0), labels)
        yield store


@pytest.fixture
def viewer(store):
    viewer = ViewerModel()
    watch(viewer)
    viewer.add_layer(Layer.create(*labels_layer(store)))
    yield viewer
    viewer.layers.clear()


@pytest.fixture
def largest_read(monkeypatch):
    """Note the voxels of the largest read of labels, painted on or only seen."""
    reads = [0]

    def note(kind):
        read = kind.__getitem__

        def noted(self, index):
            part = read(self, index)
            reads[0] = max(reads[0], np.size(part))
            return part

        monkeypatch.setattr(kind, "__getitem__", noted)

    for kind in (EditableLabels, SeenLabels):
        note(kind)
    return reads


def test_an_overview_stands_in_in_3d(viewer, store, largest_read):
    layer = viewer.layers[0]
    viewer.dims.ndisplay = 3
    assert [one.name for one in viewer.layers] == ["fly labels", "fly labels in 3-D"]
    overview = viewer.layers[1]
    assert not layer.visible
    assert overview.visible
    assert viewer.layers.selection.active is layer
    factors = coarsest_factors(SHAPE)
    assert factors == (4, 4, 2)
    np.testing.assert_array_equal(overview.data[:], store.labels[2::4, 2::4, 1::2])
    np.testing.assert_allclose(
        overview.data_to_world((3, 2, 1)), layer.data_to_world((14, 10, 3))
    )
    viewer.dims.ndisplay = 2
    assert list(viewer.layers) == [layer]
    assert layer.visible
    assert 0 < largest_read[0] <= SHAPE[1] * SHAPE[2]


@pytest.mark.parametrize("in_3d_before", [True, False])
def test_labels_that_are_only_read_are_not_read_whole_either(
    store, largest_read, in_3d_before
):
    viewer = ViewerModel(ndisplay=3 if in_3d_before else 2)
    watch(viewer)
    with LabelStore.open(store.folder, writable=False) as reader:
        layer = viewer.add_layer(Layer.create(*labels_layer(reader)))
        viewer.dims.ndisplay = 3
        assert [one.name for one in viewer.layers] == [
            layer.name,
            f"{layer.name} in 3-D",
        ]
        viewer.dims.ndisplay = 2
        assert list(viewer.layers) == [layer]
        assert not layer.editable
        np.testing.assert_array_equal(layer.data[3:5], store.labels[3:5])
        assert 0 < largest_read[0] <= 2 * SHAPE[1] * SHAPE[2]
        viewer.layers.clear()


def test_the_overview_is_as_coarse_as_the_scan_is_in_3d(viewer, volume):
    image = viewer.add_layer(Layer.create(*image_layer(volume)))
    viewer.dims.ndisplay = 3
    factors = np.divide(image.level_shapes[0], image.level_shapes[-1])
    np.testing.assert_array_equal(np.round(factors), coarsest_factors(SHAPE))


def test_the_overview_lies_where_the_labels_lie(viewer):
    layer = viewer.layers[0]
    layer.rotate = (10, 20, 30)
    layer.shear = (0.1, 0.2, 0.3)
    layer.translate = (5, 6, 7)
    layer.affine = np.array([[1, 0, 0.5, 3], [0, 2, 0, 4], [0, 0, 1, 5], [0, 0, 0, 1]])
    viewer.dims.ndisplay = 3
    overview = viewer.layers[1]
    first = overview.data.first
    for place in np.ndindex(2, 3, 4):
        full = np.add(first, np.multiply(place, coarsest_factors(SHAPE)))
        np.testing.assert_allclose(
            overview.data_to_world(place), layer.data_to_world(full)
        )


@pytest.mark.parametrize(
    "box", [(0, 70, 0, 41, 0, 30), (9, 15, 2, 3, 7, 30), (3, 4, 5, 6, 7, 8)]
)
def test_only_a_box_is_read_again(box):
    labels = np.zeros(SHAPE, np.uint8)
    overview = Overview(labels, (4, 3, 2))
    assert not overview[:].any()
    place = tuple(slice(*box[i : i + 2]) for i in (0, 2, 4))
    labels[place] = 1
    overview.read_again(place)
    np.testing.assert_array_equal(overview[:], labels[2::4, 1::3, 1::2])
    labels[:] = 2
    overview.read_again(place)
    expected = np.zeros(SHAPE)
    expected[place] = 2
    np.testing.assert_array_equal(overview[:], expected[2::4, 1::3, 1::2])
    *_, last = overview.reading()
    assert last.done == last.total == len(overview[:])
    assert (overview[:] == 2).all()


def test_large_labels_are_read_in_a_thread(viewer, store, monkeypatch, qtbot):
    monkeypatch.setattr(overviews, "READ_AT_ONCE", 0)
    viewer.dims.ndisplay = 3
    overview = viewer.layers[1]
    drawn = []
    overview.events.set_data.connect(
        lambda event: drawn.append(overview.data[:].copy())
    )
    expected = store.labels[2::4, 2::4, 1::2]
    qtbot.waitUntil(lambda: bool(drawn))
    np.testing.assert_array_equal(drawn.pop(), expected)
    store.write((0, 0, 0), np.ones(SHAPE, np.uint8))
    overviews.refresh(viewer.layers[0])
    overviews.refresh(viewer.layers[0])  # again, before it has come to its end
    qtbot.waitUntil(lambda: bool(drawn) and not overviews._readings)
    np.testing.assert_array_equal(drawn.pop(), expected)
    overviews.refresh(viewer.layers[0])
    viewer.dims.ndisplay = 2  # nobody wants to see it any more
    assert len(viewer.layers) == 1
    assert not overviews._readings


def test_what_is_undone_in_3d_is_seen(viewer, store, monkeypatch):
    layer = viewer.layers[0]
    layer.data[10:12, 10:12, 1:4] = 7
    viewer.dims.ndisplay = 3
    overview = viewer.layers[1]
    drawn = []
    overview.events.set_data.connect(lambda event: drawn.append(event))
    assert (overview.data[:] == 7).sum() == 2
    assert (overview._slice.image.raw == 7).sum() == 2
    step(layer, store.journal, 1)
    assert drawn
    assert not (overview._slice.image.raw == 7).any()


def test_labels_that_come_in_3d_are_not_read_either(
    viewer, tmp_path, largest_read, volume
):
    from napari_meunet.labels.store import LabelStore

    viewer.dims.ndisplay = 3
    with LabelStore.create(tmp_path / "other.meunet", volume, ()) as store:
        layer = viewer.add_layer(Layer.create(*labels_layer(store)))
        assert [one.name for one in viewer.layers][-2:] == [
            "other labels",
            "other labels in 3-D",
        ]
        viewer.dims.ndisplay = 2
        assert list(viewer.layers)[1:] == [layer]
        assert largest_read[0] <= SHAPE[1] * SHAPE[2]


def test_small_labels_and_those_that_are_hidden_stay(viewer, store, monkeypatch):
    layer = viewer.layers[0]
    layer.visible = False
    viewer.dims.ndisplay = 3
    viewer.dims.ndisplay = 2
    assert not layer.visible
    monkeypatch.setattr(pyramid, "LARGEST_AXIS", 70)
    layer.visible = True
    viewer.dims.ndisplay = 3
    assert list(viewer.layers) == [layer]
    assert layer.visible


def test_a_person_may_remove_either_of_them(viewer, store):
    layer = viewer.layers[0]
    viewer.dims.ndisplay = 3
    viewer.layers.remove(viewer.layers[1])
    viewer.dims.ndisplay = 2
    assert layer.visible
    viewer.dims.ndisplay = 3
    viewer.layers.remove(layer)
    assert not viewer.layers
    viewer.dims.ndisplay = 2


def test_nobody_is_offered_an_overview_to_work_on(viewer, qtbot):
    dock = CorrectWidget(viewer)
    qtbot.addWidget(dock)
    viewer.dims.ndisplay = 3
    assert is_overview(viewer.layers[1])
    assert not viewer.layers[1].editable
    assert [dock.layer.itemText(i) for i in range(dock.layer.count())] == ["fly labels"]


def test_other_labels_are_left_alone(viewer):
    other = viewer.add_layer(Labels(np.zeros(SHAPE, int)))
    viewer.dims.ndisplay = 3
    assert other.visible
    assert len(viewer.layers) == 3


@pytest.mark.parametrize("shape", [(1, 9, 40), (41, 8, 8), (20, 20, 20)])
def test_thin_labels_keep_a_voxel_along_each_axis(shape):
    labels = np.arange(np.prod(shape)).reshape(shape).astype(np.uint8)
    overview = Overview(labels, coarsest_factors(shape))
    overview.read_again(overview.whole)
    assert overview.shape == np.asarray(overview).shape
    assert min(overview.shape) > 0
    assert max(overview.shape) <= 20
    assert overview[0, 0, 0] == labels[overview.first]
