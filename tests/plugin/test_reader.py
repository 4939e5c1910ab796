"""What happens when napari opens, saves and samples."""

import numpy as np
import pytest
import tifffile
from napari.components import ViewerModel
from napari.layers import Labels

from napari_meunet.errors import MeUNetError
from napari_meunet.labels.folder import labels_folder
from napari_meunet.labels.store import LabelStore
from napari_meunet.plugin import sample
from napari_meunet.plugin.layers import store_of, volume_of
from napari_meunet.plugin.reader import get_reader
from napari_meunet.plugin.writer import write_labels
from napari_meunet.volume.open import open_volume

PLUGIN = "napari-meunet"
SPACING = (3.0, 2.0, 1.5)
METADATA = {".zattrs", "zarr.json"}  # of Zarr 2 and 3


@pytest.fixture
def viewer(plugin):
    return ViewerModel()


def test_napari_opens_a_scan_with_its_labels(viewer, scan, store):
    store.editable()[1, 2, 3] = 1
    store.close()
    image, labels = viewer.open(scan, plugin=PLUGIN)
    assert volume_of(image).source.path == scan
    assert image.source.path == str(scan)
    assert labels.data[1, 2, 3] == 1
    store_of(labels).close()


def test_napari_opens_a_labels_folder_with_its_scan(viewer, scan, store):
    store.editable()[1, 2, 3] = 2
    store.close()
    image, labels = viewer.open(store.folder, plugin=PLUGIN)
    assert volume_of(image).source.path == scan
    assert labels.data[1, 2, 3] == 2
    np.testing.assert_allclose(labels.scale, SPACING)
    store_of(labels).close()


def test_a_labels_folder_is_known_by_its_content(store):
    store.close()
    renamed = store.folder.rename(store.folder.with_name("labels of the fly"))
    _, labels = get_reader(str(renamed))(str(renamed))
    assert labels[2] == "labels"


def test_napari_opens_a_folder_of_slices(viewer, tmp_path, voxels):
    folder = tmp_path / "slices"
    folder.mkdir()
    for number, plane in enumerate(voxels):
        tifffile.imwrite(folder / f"{number:04d}.tif", plane)
    (image,) = viewer.open(folder, plugin=PLUGIN)
    np.testing.assert_array_equal(image.data, voxels)


def test_other_folders_are_left_to_other_readers(tmp_path):
    assert get_reader(str(tmp_path)) is None
    assert get_reader([str(tmp_path / "a.tif"), str(tmp_path / "b.tif")]) is None


def test_a_file_of_several_channels_points_to_the_dock_that_asks(tmp_path):
    path = tmp_path / "channels.tif"
    data = np.zeros((2, 8, 9, 10), np.uint8)
    tifffile.imwrite(path, data, ome=True, metadata={"axes": "CZYX"})
    with pytest.raises(MeUNetError, match="Open dock"):
        get_reader(str(path))(str(path))


@pytest.mark.parametrize("suffix", [".ome.tif", ".nii.gz", ".ome.zarr"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_saved_labels_layer_reads_the_same(plugin, tmp_path, voxels, suffix, dtype):
    layer = Labels(voxels.astype(dtype), scale=SPACING, units=("um",) * 3)
    path = tmp_path / f"saved{suffix}"
    assert layer.save(str(path), plugin=PLUGIN) == [str(path)]
    volume = open_volume(path)
    np.testing.assert_array_equal(volume.read(0, len(voxels)), voxels)
    assert volume.dtype == dtype
    np.testing.assert_allclose(volume.spacing.zyx, SPACING)


def test_labels_on_disk_are_saved_with_their_classes(tmp_path, viewer, store):
    store.editable()[4, 5, 6] = 2
    store.close()
    _, layer = viewer.open(store.folder, plugin=PLUGIN)
    data, attributes, _ = layer.as_layer_data_tuple()
    path = tmp_path / "saved.ome.zarr"
    write_labels(str(path), data, attributes)
    assert open_volume(path).read(4, 5)[0, 5, 6] == 2
    written = [p.read_text() for p in path.rglob("*") if p.name in METADATA]
    assert "ovary" in "".join(written)
    store_of(layer).close()


def test_the_sample_is_a_file_with_spacing_drawn_once(viewer, tmp_path, monkeypatch):
    monkeypatch.setenv("NAPARI_MEUNET_SAMPLES", str(tmp_path / "samples"))
    monkeypatch.setattr(sample, "SHAPE", (48, 40, 40))
    (layer,) = viewer.open_sample(PLUGIN, "synthetic-fly")
    volume = volume_of(layer)
    path = volume.source.path
    assert path.parent == tmp_path / "samples"
    assert volume.shape == (48, 40, 40)
    assert volume.spacing is not None
    drawn = path.stat().st_mtime_ns
    with LabelStore.create(labels_folder(path), volume, ()) as store:
        store.editable()[7, 8, 9] = 1
    viewer.layers.clear()
    _, labels = viewer.open_sample(PLUGIN, "synthetic-fly")
    assert path.stat().st_mtime_ns == drawn
    assert labels.data[7, 8, 9] == 1
    store_of(labels).close()
