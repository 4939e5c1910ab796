"""Volumes and stores as layers and back, without a window."""

import errno
import gc
import shutil
import sys
from pathlib import Path

import dask.array as da
import numpy as np
import pytest
import tifffile
from napari.components import ViewerModel
from napari.layers import Image, Labels, Layer

from napari_meunet.errors import MeUNetError
from napari_meunet.labels.folder import labels_folder
from napari_meunet.labels.store import LabelStore
from napari_meunet.plugin.layers import (
    Shown,
    image_layer,
    labels_layer,
    labels_layers,
    labels_of,
    open_store,
    scan_layers,
    spacing_of,
    store_of,
    volume_of,
)
from napari_meunet.plugin.lazy import LazyPlanes, for_viewing
from napari_meunet.plugin.watch import watch
from napari_meunet.volume.open import open_volume
from napari_meunet.volume.volume import Spacing, Volume

SPACING = (3.0, 2.0, 1.5)


@pytest.fixture
def viewer():
    viewer = ViewerModel()
    watch(viewer)
    return viewer


def add(viewer, *layer_data):
    return viewer.add_layer(Layer.create(*layer_data))


class Forbidden:
    """A large volume that counts what is read of it."""

    shape = (600, 700, 800)
    dtype = np.dtype(np.uint16)
    ndim = 3

    def __init__(self):
        self.n_planes = 0

    def __getitem__(self, index):
        parts = index if isinstance(index, tuple) else (index,)
        parts += (slice(None),) * (3 - len(parts))
        result = np.broadcast_to(np.uint16([7, 9]).repeat(400), self.shape)[parts]
        self.n_planes += result.size // (700 * 800)
        return result


def test_an_image_layer_has_spacing_unit_and_axes(scan, voxels):
    layer = Layer.create(*image_layer(open_volume(scan)))
    np.testing.assert_array_equal(layer.data, voxels)
    np.testing.assert_allclose(layer.scale, SPACING)
    assert [str(unit) for unit in layer.units] == ["micrometer"] * 3
    assert layer.axis_labels == ("z", "y", "x")
    assert layer.name == "fly"


def test_without_spacing_no_unit_is_claimed(bare_scan):
    layer = Layer.create(*image_layer(open_volume(bare_scan)))
    np.testing.assert_array_equal(layer.scale, 1)
    assert [str(unit) for unit in layer.units] == ["pixel"] * 3
    assert volume_of(layer).spacing is None


def test_a_large_volume_becomes_a_pyramid_and_a_few_planes_are_read(viewer):
    planes = Forbidden()
    data, attributes, kind = image_layer(Volume.from_array(planes))
    assert attributes["multiscale"]
    assert data[0].shape == planes.shape
    assert attributes["contrast_limits"] == (7, 9)
    assert planes.n_planes < 40
    add(viewer, data, attributes, kind)
    before = planes.n_planes
    for step in range(10):
        viewer.dims.set_current_step(0, 100 + 2 * step)
    assert planes.n_planes - before <= 2 * 10  # a plane of a level, and a thumbnail


def test_lazy_planes_are_the_array(voxels):
    lazy = LazyPlanes(da.from_array(voxels, chunks=(5, 32, 48)))
    assert (lazy.shape, lazy.dtype) == (voxels.shape, voxels.dtype)
    assert (lazy.ndim, lazy.size) == (voxels.ndim, voxels.size)
    np.testing.assert_array_equal(lazy, voxels)
    np.testing.assert_array_equal(lazy[3:9, 4], voxels[3:9, 4])
    np.testing.assert_array_equal(lazy[:, 2:7][6], voxels[6, 2:7])


def test_chunks_smaller_than_a_plane_are_left_to_the_cache_of_napari(voxels):
    blocks = da.from_array(voxels, chunks=16)
    assert for_viewing(blocks) is blocks


def test_a_constant_volume_can_be_shown():
    volume = Volume.from_array(np.zeros((4, 5, 6), np.uint8))
    low, high = Layer.create(*image_layer(volume)).contrast_limits
    assert low < high


def test_painting_is_on_the_disk_at_once_and_can_be_undone(store, viewer):
    layer = add(viewer, *labels_layer(store))
    layer.brush_size = 5
    layer.paint((10, 16, 16), 2)
    with LabelStore.open(store.folder, writable=False) as other:
        assert other.labels[10, 16, 16] == 2
    store.journal.undo()
    assert not np.any(store.labels)


def test_a_labels_layer_has_names_colours_and_spacing(store):
    layer = add(ViewerModel(), *labels_layer(store))
    np.testing.assert_allclose(layer.scale, SPACING)
    np.testing.assert_allclose(layer.get_color(1), (1, 128 / 255, 0, 1), atol=1e-6)
    np.testing.assert_array_equal(layer.colormap.map(0), (0, 0, 0, 0))
    layer.data[15] = 1  # the plane in the middle is shown
    layer.refresh()
    status = layer.get_status((45.0, 8.0, 7.5), world=True)
    assert "gut" in status["value"]


def test_removing_the_layer_closes_the_store(store, viewer):
    layer = add(viewer, *labels_layer(store))
    viewer.layers.remove(layer)
    assert not store.writable
    LabelStore.open(store.folder).close()


def test_clearing_the_viewer_closes_the_store(store, viewer):
    add(viewer, *labels_layer(store))
    viewer.layers.clear()
    assert not store.writable


def test_a_layer_that_vanishes_closes_its_store(store):
    layer = Layer.create(*labels_layer(store))
    assert store.writable
    del layer
    gc.collect()
    assert not store.writable


def disk_breaks(folder, monkeypatch):
    def unlink(*_, **__):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(Path, "unlink", unlink)


def disk_vanishes(folder, monkeypatch):
    shutil.rmtree(folder)


@pytest.mark.parametrize("fail", [disk_vanishes, disk_breaks])
def test_labels_whose_disk_fails_are_let_go_without_a_traceback(
    store, monkeypatch, caplog, fail
):
    raised = []
    monkeypatch.setattr(sys, "unraisablehook", raised.append)
    layer = Layer.create(*labels_layer(store))
    with monkeypatch.context() as patch:
        fail(store.folder, patch)
        del layer
        gc.collect()
    assert raised == []
    assert "must be writable" in caplog.text
    assert not store.writable


def test_a_layer_whose_disk_vanished_can_be_removed_and_that_is_told(
    store, viewer, told
):
    layer = add(viewer, *labels_layer(store))
    shutil.rmtree(store.folder)
    viewer.layers.remove(layer)
    assert len(viewer.layers) == 0
    (message,) = told
    assert "must be writable" in message


def test_a_duplicate_is_a_copy_in_memory(store, viewer):
    layer = add(viewer, *labels_layer(store))
    layer.data[1, 2, 3] = 1
    viewer.layers.selection = {layer}
    from copy import deepcopy

    data, attributes, kind = layer.as_layer_data_tuple()
    copy = add(viewer, deepcopy(data), attributes, kind)
    copy.data[1, 2, 3] = 2
    assert layer.data[1, 2, 3] == 1
    assert store_of(copy) is None
    viewer.layers.remove(copy)
    assert store.writable


def test_opening_a_scan_brings_its_labels_back(scan, store, viewer):
    store.editable()[5, 6, 7] = 2
    store.close()
    image, labels = (add(viewer, *data) for data in scan_layers(open_volume(scan)))
    assert isinstance(image, Image)
    assert isinstance(labels, Labels)
    assert labels.data[5, 6, 7] == 2
    assert labels.editable
    labels.data[5, 6, 7] = 1
    with LabelStore.open(store.folder, writable=False) as other:
        assert other.labels[5, 6, 7] == 1


def test_labels_take_over_a_spacing_that_a_person_gave(bare_scan):
    volume = open_volume(bare_scan)
    folder = labels_folder(bare_scan)
    LabelStore.create(folder, volume, ()).close()
    image, labels = (
        Layer.create(*data) for data in scan_layers(volume.with_spacing(SPACING))
    )
    np.testing.assert_allclose(labels.scale, image.scale)
    with LabelStore.open(folder, writable=False) as store:
        assert store.spacing.zyx == SPACING


def test_a_scan_that_says_nothing_has_the_spacing_of_its_labels(bare_scan):
    volume = open_volume(bare_scan)
    given = volume.with_spacing(SPACING)
    LabelStore.create(labels_folder(bare_scan), given, ()).close()
    image, labels = (Layer.create(*data) for data in scan_layers(volume))
    np.testing.assert_allclose(image.scale, SPACING)
    np.testing.assert_allclose(labels.scale, SPACING)
    assert image.units == labels.units


def test_a_labels_folder_brings_the_scan_beside_it(scan, store, voxels):
    store.close()
    image, labels = (Layer.create(*data) for data in labels_layers(store.folder))
    np.testing.assert_array_equal(image.data, voxels)
    assert volume_of(image).source.path == scan
    assert store_of(labels).writable


def test_a_labels_folder_does_not_bring_a_scan_that_is_shown(
    scan, store, tmp_path, monkeypatch
):
    store.close()
    assert not Shown.in_viewer(None).scans
    viewer = ViewerModel()
    viewer.add_image(np.zeros((2, 3, 4)))  # of no file
    assert not Shown.in_viewer(viewer).scans
    monkeypatch.chdir(tmp_path)
    viewer.add_layer(
        Layer.create(*image_layer(open_volume(scan.relative_to(tmp_path))))
    )
    (labels,) = labels_layers(store.folder, Shown.in_viewer(viewer))
    assert labels[2] == "labels"
    viewer.layers[-1].scale = (1, 1, 1)  # no place for these labels any more
    image, labels = labels_layers(store.folder, Shown.in_viewer(viewer))
    assert tuple(image[1]["scale"]) == tuple(labels[1]["scale"]) == SPACING


def test_labels_that_are_shown_are_not_opened_again(scan, store):
    store.close()
    viewer = ViewerModel()
    watch(viewer)
    for data in scan_layers(open_volume(scan)):
        viewer.add_layer(Layer.create(*data))
    shown = Shown.in_viewer(viewer)
    with pytest.raises(MeUNetError, match=r"got fly\.meunet again; choose their layer"):
        labels_layers(store.folder, shown)
    (image,) = scan_layers(open_volume(scan), shown)
    assert image[2] == "image"
    viewer.layers.clear()
    assert len(scan_layers(open_volume(scan), Shown.in_viewer(viewer))) == 2


def test_a_labels_folder_without_its_scan_is_shown_alone(scan, store, told):
    store.close()
    scan.unlink()
    (labels,) = labels_layers(store.folder)
    assert labels[2] == "labels"
    (message,) = told
    assert "shown without their scan: " in message


def test_another_scan_that_took_the_place_is_not_shown(scan, store, told):
    store.close()
    tifffile.imwrite(scan, np.zeros((4, 5, 6), np.uint8), photometric="minisblack")
    (labels,) = labels_layers(store.folder)
    assert labels[2] == "labels"
    (message,) = told
    assert "shown without their scan: " in message


def test_labels_that_another_owns_are_shown_but_not_painted_on(store, viewer, told):
    reader = open_store(store.folder)
    layer = add(viewer, *labels_layer(reader))
    assert not layer.editable
    assert store_of(layer) is reader
    (message,) = told
    assert "one place at a time" in message
    viewer.layers.remove(layer)
    assert store.writable


def test_labels_of_another_scan_are_told_and_left_alone(scan, store, told):
    store.close()
    other = Volume.from_array(np.zeros((4, 5, 6), np.uint8))
    other = Volume(other.planes, None, open_volume(scan).source, (4, 5, 6))
    (image,) = scan_layers(other)
    assert image[2] == "image"
    (message,) = told
    assert "must belong to the scan" in message
    LabelStore.open(labels_folder(scan)).close()


def test_a_volume_survives_the_way_through_a_layer(scan):
    volume = open_volume(scan)
    assert volume_of(Layer.create(*image_layer(volume))) is volume


def test_a_layer_of_another_reader_is_opened_by_its_path(scan, voxels):
    from napari.layers._source import layer_source

    with layer_source(path=str(scan)):
        layer = Image(voxels)
    assert volume_of(layer).source.path == scan


def test_a_layer_that_is_not_what_its_path_holds_is_taken_as_it_is(scan, voxels):
    from napari.layers._source import layer_source

    with layer_source(path=str(scan)):
        layer = Image(voxels[1:])
    volume = volume_of(layer)
    assert volume.source.path is None
    np.testing.assert_array_equal(volume.read(0, 5), voxels[1:6])


def test_truth_values_are_0_and_1(voxels):
    volume = volume_of(Image(voxels > 100))
    assert volume.dtype == np.uint8
    np.testing.assert_array_equal(volume.read(3, 9), voxels[3:9] > 100)


@pytest.mark.parametrize("lazy", [False, True])
def test_any_array_is_a_volume_with_the_spacing_of_its_layer(voxels, lazy):
    data = da.from_array(voxels, chunks=16) if lazy else voxels
    layer = Image(data, scale=(0.003, 0.002, 0.001), units=("mm", "mm", "mm"))
    volume = volume_of(layer)
    np.testing.assert_array_equal(volume.read(3, 9), voxels[3:9])
    np.testing.assert_allclose(volume.spacing.zyx, (3, 2, 1))


def test_the_finest_level_of_a_pyramid_is_the_volume(voxels):
    layer = Image([voxels, voxels[::2, ::2, ::2]], multiscale=True)
    assert volume_of(layer).shape == voxels.shape


@pytest.mark.parametrize(
    ("shape", "words"),
    [((8, 9), "volume"), ((2, 8, 9, 10), "channel and time"), ((8, 9, 3), "colour")],
)
def test_other_images_are_refused_with_a_remedy(shape, words):
    layer = Image(np.zeros(shape, np.uint8), rgb=shape[-1] == 3)
    with pytest.raises(MeUNetError, match=words):
        volume_of(layer)


def test_spacing_is_in_micrometres_and_pixels_are_no_length():
    assert spacing_of((1, 2, 3), ("nm",) * 3) == Spacing(
        (0.001, 0.002, 0.003), "layer in napari"
    )
    assert spacing_of((1, 2, 3), ("pixel",) * 3) is None
    assert spacing_of((1, 2), ("um", "um")) is None


def test_a_labels_layer_of_napari_is_exported_with_its_spacing(voxels):
    layer = Labels(voxels, scale=SPACING, units=("um",) * 3)
    data, attributes, _ = layer.as_layer_data_tuple()
    array, spacing, classes = labels_of(data, attributes)
    assert array is layer.data
    assert spacing is not None
    np.testing.assert_allclose(spacing.zyx, SPACING)
    assert classes == ()
