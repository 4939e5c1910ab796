"""A scan on disk, its labels, and a model small enough for tests."""

import numpy as np
import pytest
import tifffile
from npe2 import PluginManifest

from napari_meunet.config import LabelClass
from napari_meunet.labels.folder import labels_folder
from napari_meunet.labels.store import LabelStore
from napari_meunet.labels.tiff import ome_calibration
from napari_meunet.network.card import Card, NetworkConfig
from napari_meunet.plugin.widgets.fields.model_choice import new_models
from napari_meunet.volume.open import open_volume
from napari_meunet.volume.volume import Spacing

SHAPE = (32, 32, 48)
SPACING = (3.0, 2.0, 1.5)
CLASSES = (
    LabelClass(value=0, name="background", color="#000000"),
    LabelClass(value=1, name="gut", color="#ff8000"),
    LabelClass(value=2, name="ovary", color="#0080ff"),
)


@pytest.fixture(autouse=True)
def no_new_models(monkeypatch):
    """Forget the models that tests before this one have made in this process."""
    monkeypatch.setattr(new_models, "paths", [])


@pytest.fixture
def voxels():
    return np.random.default_rng(0).integers(0, 200, SHAPE, np.uint8)


@pytest.fixture
def scan(tmp_path, voxels):
    """Path of a TIFF with spacing."""
    path = tmp_path / "fly.tif"
    tifffile.imwrite(path, voxels, **ome_calibration(Spacing(SPACING, "test")))
    return path


@pytest.fixture
def bare_scan(tmp_path, voxels):
    """Path of a TIFF that says nothing of its spacing."""
    path = tmp_path / "bare.tif"
    tifffile.imwrite(path, voxels, photometric="minisblack")
    return path


@pytest.fixture
def store(scan):
    """The labels of `scan`, all background, open for writing."""
    with LabelStore.create(labels_folder(scan), open_volume(scan), CLASSES) as store:
        yield store


@pytest.fixture
def model(tmp_path):
    """Path of a tiny untrained checkpoint."""
    import torch

    from napari_meunet.network.cascade import Cascade
    from napari_meunet.network.checkpoint import Checkpoint, save_checkpoint

    network = NetworkConfig(
        n_classes=len(CLASSES),
        features=(2, 2, 2, 2, 2),
        refinement_features=(2, 2, 2),
        fusion="post",
    )
    card = Card(
        name="tiny",
        version="1",
        network=network,
        classes=CLASSES,
        data="nothing, it is random",
        licence="CC0-1.0",
    )
    torch.manual_seed(13)  # one that gives noise more than one label
    weights = Cascade(**network.model_dump()).state_dict()
    weights["conv_out.bias"].zero_()
    path = tmp_path / "tiny.safetensors"
    save_checkpoint(Checkpoint(weights, card), path)
    return path


@pytest.fixture
def told(monkeypatch):
    """Messages that were shown to the person during the test."""
    from napari.utils.notifications import notification_manager

    messages = []
    monkeypatch.setattr(
        notification_manager, "dispatch", lambda told: messages.append(told.message)
    )
    return messages


@pytest.fixture
def plugin(npe2pm):
    """The plugin, and no other one, registered with napari."""
    npe2pm.register(PluginManifest.from_distribution("napari-meunet"))
