"""How sure the model was: a map beside the labels."""

import shutil
from collections import namedtuple

import numpy as np
import pytest
import tifffile

from napari_meunet.errors import MeUNetError
from napari_meunet.labels.store import LabelStore
from napari_meunet.volume.volume import Spacing

BLOCKS = (2, 2, 5)
"""Of the scan in `conftest`: 5 x 7 x 19 voxels."""


@pytest.fixture
def sure():
    return np.arange(1, 21, dtype=np.uint8).reshape(BLOCKS)


def test_there_is_none_before_a_model_has_said_it(store):
    assert store.confidence is None
    store.forget_confidence()
    assert not (store.folder / "confidence.tif").exists()


def test_it_is_there_when_the_labels_are_opened_again(store, sure):
    store.write_confidence((0, 0, 0), sure[:1])
    store.write_confidence((1, 0, 0), sure[1:])
    store.close()
    with LabelStore.open(store.folder, writable=False) as again:
        np.testing.assert_array_equal(again.confidence, sure)
    with LabelStore.open(store.folder) as again:
        again.write_confidence((1, 1, 4), np.full((1, 1, 1), 99, np.uint8))
    sure[1, 1, 4] = 99
    with tifffile.TiffFile(store.folder / "confidence.tif") as tif:
        np.testing.assert_array_equal(tif.asarray(), sure)


def test_its_voxels_are_four_times_as_large(store, sure):
    store.write_confidence((0, 0, 0), sure)
    path = store.folder / "confidence.tif"
    assert 'PhysicalSizeX="16.0"' in tifffile.TiffFile(path).ome_metadata
    store.set_spacing(Spacing((1.0, 2.0, 3.0), "given by the user"))
    xml = tifffile.TiffFile(path).ome_metadata
    for axis, size in {"Z": 4.0, "Y": 8.0, "X": 12.0}.items():
        assert f'PhysicalSize{axis}="{size}"' in xml
    np.testing.assert_array_equal(store.confidence, sure)


def test_it_can_be_forgotten(store, sure):
    store.write_confidence((0, 0, 0), sure)
    shown = store.confidence
    store.forget_confidence()
    assert store.confidence is None
    assert not shown.any()
    store.write_confidence((0, 0, 0), sure)
    np.testing.assert_array_equal(store.confidence, sure)


@pytest.mark.parametrize("writable", [True, False])
def test_a_damaged_map_is_none_and_the_labels_open(store, sure, writable):
    store.write_confidence((0, 0, 0), sure)
    store.close()
    (store.folder / "confidence.tif").write_bytes(b"no TIFF")
    with LabelStore.open(store.folder, writable=writable) as again:
        assert again.confidence is None
        if writable:
            again.write_confidence((0, 0, 0), sure)
            np.testing.assert_array_equal(again.confidence, sure)


def test_a_full_disk_is_refused_and_leaves_none(store, sure, monkeypatch):
    usage = namedtuple("Usage", "free")(10_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    with pytest.raises(MeUNetError, match="the disk must have"):
        store.write_confidence((0, 0, 0), sure)
    assert store.confidence is None
    assert not (store.folder / "confidence.tif").exists()


def test_a_reader_cannot_write_it(store, sure):
    store.close()
    with pytest.raises(MeUNetError, match="must be open for writing"):
        store.write_confidence((0, 0, 0), sure)
    with pytest.raises(MeUNetError, match="must be open for writing"):
        store.forget_confidence()
