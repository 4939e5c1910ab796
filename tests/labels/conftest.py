"""A small scan, its classes and its labels folder."""

import numpy as np
import pytest

from napari_meunet.config import LabelClass
from napari_meunet.labels.store import LabelStore
from napari_meunet.volume.volume import Spacing, Volume

SHAPE = (5, 7, 19)


@pytest.fixture
def classes():
    return (
        LabelClass(value=0, name="background", color="#000000"),
        LabelClass(value=1, name="fly", color="#ff8800"),
        LabelClass(value=2, name="gut", color="#0044ff"),
    )


@pytest.fixture
def scan():
    voxels = np.random.default_rng(0).integers(0, 255, SHAPE, dtype=np.uint8)
    return Volume.from_array(voxels, Spacing((10.0, 3.0, 4.0), "given by the user"))


@pytest.fixture
def store(tmp_path, scan, classes):
    with LabelStore.create(tmp_path / "scan.meunet", scan, classes) as store:
        yield store
