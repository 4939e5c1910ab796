"""A small checkpoint whose statistics are hard to store."""

import pytest

from napari_meunet.network.card import Card, NetworkConfig, SpacingRange
from napari_meunet.network.cascade import Cascade
from napari_meunet.network.checkpoint import Checkpoint, save_checkpoint
from napari_meunet.network.classes import unnamed_classes
from napari_meunet.network.meunet import MeUNet

FEATURES = (2, 3, 4, 5, 6)


@pytest.fixture
def checkpoint():
    network = NetworkConfig(
        n_classes=3, features=FEATURES, refinement_features=(2, 2, 3), fusion="post"
    )
    cascade = Cascade(**network.model_dump())
    for name, tensor in cascade.state_dict().items():
        if name.endswith("running_var"):
            tensor.uniform_(1e-9, 1e6)  # beyond what fp16 can hold
        if name.endswith("running_mean"):
            tensor.normal_(0, 300)
        if name.endswith("num_batches_tracked"):
            tensor.fill_(70_001)
    card = Card(
        name="test",
        version="3",
        network=network,
        classes=unnamed_classes(3),
        spacing=SpacingRange(finest=(2.5,) * 3, coarsest=(3.0,) * 3),
        data="noise",
        metrics={"dice gut": 0.5},
        licence="CC0-1.0",
        command=("meunet train",),
    )
    return Checkpoint(cascade.state_dict(), card)


@pytest.fixture
def saved(checkpoint, tmp_path):
    """Return the file of `checkpoint`."""
    path = tmp_path / "test.safetensors"
    save_checkpoint(checkpoint, path)
    return path


@pytest.fixture
def make_stage1():
    """Return how to make a stage 1 as the authors have it."""
    return lambda n_classes=3: MeUNet(n_classes=n_classes, features=FEATURES).eval()
