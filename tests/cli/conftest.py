import signal

import pytest
import torch

from napari_meunet.network.card import Card, NetworkConfig
from napari_meunet.network.cascade import Cascade
from napari_meunet.network.checkpoint import Checkpoint, save_checkpoint
from napari_meunet.network.classes import unnamed_classes


@pytest.fixture(autouse=True)
def _ctrl_c_is_heeded():
    """A job in the background of a shell inherits that it is ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def model(tmp_path):
    """Return the file of a tiny network with random weights."""
    torch.manual_seed(0)
    network = NetworkConfig(
        n_classes=3,
        features=(2, 2, 2, 2, 2),
        refinement_features=(2, 2, 2),
        fusion="post",
    )
    card = Card(
        name="tiny",
        version="1",
        network=network,
        classes=unnamed_classes(3),
        data="nothing",
        licence="BSD-3-Clause",
    )
    path = tmp_path / "tiny.safetensors"
    weights = Cascade(**network.model_dump()).state_dict()
    save_checkpoint(Checkpoint(weights, card), path)
    return path
