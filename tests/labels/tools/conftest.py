"""A labels folder with voxels that are no cubes, and ways to use tools on it."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from napari_meunet.config import LabelClass
from napari_meunet.labels.box import box_at
from napari_meunet.labels.store import LabelStore
from napari_meunet.volume.volume import Spacing, Volume

VOXEL = (4.0, 2.0, 3.0)


@pytest.fixture
def stored(tmp_path):
    """Return a function that makes a store with given labels of the model."""
    classes = tuple(
        LabelClass(value=value, name=f"class {value}", color="#ff8800")
        for value in range(4)
    )
    stores = []

    def make(labels):
        labels = np.asarray(labels, np.uint8)
        scan = Volume.from_array(np.zeros_like(labels), Spacing(VOXEL, "test"))
        folder = tmp_path / f"{len(stores)}.meunet"
        stores.append(LabelStore.create(folder, scan, classes))
        stores[-1].write((0, 0, 0), labels)
        return stores[-1]

    yield make
    for store in stores:
        store.close()


@pytest.fixture
def used():
    """Return a function that uses a tool to its end, and returns the labels then."""

    def use(store, tool, box=None):
        for _ in store.use(tool, box or box_at((0, 0, 0), store.shape)):
            pass
        return np.array(store.labels)

    return use


@pytest.fixture
def blobs():
    """Return a function that makes labels 1, 2 and 3 with surfaces, which touch."""

    def make(shape, seed=0):
        rng = np.random.default_rng(seed)
        fields = [gaussian_filter(rng.normal(size=shape), 1.5) for _ in range(3)]
        background = np.full(shape, np.quantile(fields, 0.7))
        return np.argmax([background, *fields], axis=0).astype(np.uint8)

    return make
