"""The Open and Export docks."""

import numpy as np
import pytest
import tifffile
from napari.components import ViewerModel
from napari.layers import Layer

from napari_meunet.plugin.docks.export import ExportWidget
from napari_meunet.plugin.docks.open import OpenWidget
from napari_meunet.plugin.layers import labels_layer, volume_of
from napari_meunet.volume.open import open_volume

SPACING = (3.0, 2.0, 1.5)


@pytest.fixture
def viewer():
    return ViewerModel()


def looked_at(widget, path, qtbot):
    """Choose a path and wait until the widget has looked at it."""
    widget.path.path = path
    qtbot.waitUntil(
        lambda: "ooking" not in widget.note.text() and bool(widget.summary()),
        timeout=10_000,
    )


@pytest.fixture
def open_widget(viewer, qtbot):
    widget = OpenWidget(viewer)
    qtbot.addWidget(widget)
    widget.show()
    return widget


def test_nothing_can_be_added_before_a_scan_is_chosen(open_widget):
    assert not open_widget.add.isEnabled()
    assert "drop it here" in open_widget.note.text()


def test_a_chosen_scan_shows_what_it_is(open_widget, scan, qtbot):
    looked_at(open_widget, scan, qtbot)
    facts = open_widget.summary()
    assert facts["Shape"] == "32 x 32 x 48 (z, y, x)"
    assert facts["Type"] == "uint8"
    assert facts["Format"] == "OME-TIFF"
    assert "on disk" in facts["Size"]
    assert open_widget.spacing.value == SPACING


def test_the_scan_is_added_lazily_with_its_labels(
    open_widget, viewer, scan, store, qtbot
):
    store.editable()[1, 2, 3] = 2
    store.close()
    looked_at(open_widget, scan, qtbot)
    open_widget.add.click()
    qtbot.waitUntil(lambda: len(viewer.layers) == 2, timeout=10_000)
    image, labels = viewer.layers
    assert volume_of(image).source.path == scan
    np.testing.assert_allclose(image.scale, SPACING)
    assert labels.data[1, 2, 3] == 2
    viewer.layers.clear()


def test_a_labels_folder_is_added_with_its_scan(
    open_widget, viewer, scan, store, qtbot
):
    store.editable()[1, 2, 3] = 2
    store.close()
    looked_at(open_widget, store.folder, qtbot)
    assert open_widget.summary()["Format"] == "labels of fly.tif"
    assert open_widget.summary()["Shape"] == "32 x 32 x 48 (z, y, x)"
    assert open_widget.spacing.value == SPACING
    open_widget.add.click()
    qtbot.waitUntil(lambda: len(viewer.layers) == 2, timeout=10_000)
    image, labels = viewer.layers
    assert volume_of(image).source.path == scan
    assert labels.data[1, 2, 3] == 2
    assert labels.editable
    viewer.layers.remove(labels)
    open_widget.add.click()
    qtbot.waitUntil(lambda: len(viewer.layers) == 2, timeout=10_000)
    assert viewer.layers[0] is image  # it was still there
    assert viewer.layers[1].data[1, 2, 3] == 2
    assert viewer.layers[1].editable
    viewer.layers.clear()


def test_a_damaged_labels_folder_says_why(open_widget, tmp_path, qtbot):
    folder = tmp_path / "fly.meunet"
    folder.mkdir()
    open_widget.path.path = folder
    qtbot.waitUntil(lambda: "labels folder" in open_widget.note.text(), timeout=10_000)
    assert not open_widget.add.isEnabled()


def test_a_missing_spacing_can_be_given(open_widget, viewer, bare_scan, qtbot):
    looked_at(open_widget, bare_scan, qtbot)
    assert open_widget.spacing.value is None
    open_widget.spacing.value = SPACING
    open_widget.add.click()
    qtbot.waitUntil(lambda: len(viewer.layers) == 1, timeout=10_000)
    assert volume_of(viewer.layers[0]).spacing.zyx == SPACING
    assert volume_of(viewer.layers[0]).spacing.origin == "given by the user"


def test_a_file_of_several_channels_asks_which(open_widget, viewer, tmp_path, qtbot):
    path = tmp_path / "channels.tif"
    data = np.zeros((2, 3, 8, 9, 10), np.uint8)
    data[1, 2] = 7
    data[1, 2, 0, 0, 0] = 9
    tifffile.imwrite(path, data, ome=True, metadata={"axes": "TCZYX"})
    looked_at(open_widget, path, qtbot)
    assert open_widget.indices["channel"].isVisible()
    assert open_widget.indices["time"].isVisible()
    assert open_widget.indices["channel"].maximum() == 2
    open_widget.indices["channel"].setValue(2)
    open_widget.indices["time"].setValue(1)
    qtbot.wait(500)
    qtbot.waitUntil(open_widget.add.isEnabled, timeout=10_000)
    open_widget.add.click()
    qtbot.waitUntil(lambda: len(viewer.layers) == 1, timeout=10_000)
    np.testing.assert_array_equal(viewer.layers[0].data, data[1, 2])


def test_a_path_that_is_no_scan_says_why(open_widget, tmp_path, qtbot):
    open_widget.path.path = tmp_path / "missing.tif"
    qtbot.waitUntil(lambda: "must exist" in open_widget.note.text(), timeout=10_000)
    assert not open_widget.add.isEnabled()


@pytest.fixture
def export_widget(viewer, qtbot):
    widget = ExportWidget(viewer)
    qtbot.addWidget(widget)
    widget.show()
    return widget


def test_export_says_what_is_missing(export_widget):
    assert not export_widget.export.isEnabled()
    assert "labels layer" in export_widget.note.text()


@pytest.mark.parametrize("suffix", [".ome.tif", ".nii.gz", ".ome.zarr"])
def test_an_exported_file_holds_the_labels(
    export_widget, viewer, store, tmp_path, suffix, qtbot
):
    layer = viewer.add_layer(Layer.create(*labels_layer(store)))
    layer.data[3:5] = 2
    assert export_widget.path.path == tmp_path / "fly_labels.ome.tif"
    path = tmp_path / f"out{suffix}"
    export_widget.path.path = path
    export_widget.export.click()
    qtbot.waitUntil(lambda: "Written" in export_widget.note.text(), timeout=10_000)
    volume = open_volume(path)
    np.testing.assert_array_equal(volume.read(0, 32), store.labels)
    np.testing.assert_allclose(volume.spacing.zyx, SPACING)
    viewer.layers.clear()


def test_an_existing_file_is_replaced_only_if_that_is_allowed(
    export_widget, viewer, tmp_path, qtbot
):
    viewer.add_labels(np.ones((4, 5, 6), np.uint16), name="mine")
    path = tmp_path / "out.tif"
    path.write_text("precious")
    export_widget.path.path = path
    assert not export_widget.export.isEnabled()
    assert "exists" in export_widget.note.text()
    export_widget.overwrite.setChecked(True)
    export_widget.export.click()
    qtbot.waitUntil(lambda: "Written" in export_widget.note.text(), timeout=10_000)
    np.testing.assert_array_equal(open_volume(path).read(0, 4), 1)


def test_an_unknown_format_is_told_in_the_dock(
    export_widget, viewer, tmp_path, told, qtbot
):
    viewer.add_labels(np.ones((4, 5, 6), np.uint8))
    export_widget.path.path = tmp_path / "out.stl"
    export_widget.export.click()
    qtbot.waitUntil(
        lambda: "must end in one of" in export_widget.note.text(), timeout=10_000
    )
    assert export_widget.export.isEnabled()
