"""Random cascades with a truth to compare with, and labels kept in memory."""

import weakref
from functools import cache

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from napari_meunet.inference.images import scaled
from napari_meunet.network.card import Card, NetworkConfig
from napari_meunet.network.cascade import Cascade
from napari_meunet.network.checkpoint import Checkpoint
from napari_meunet.network.classes import unnamed_classes


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    """Small tensors gain nothing from threads, and lose much on a busy computer."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def make_checkpoint():
    return random_checkpoint


@pytest.fixture(scope="session")
def true_labels():
    return whole_volume_labels


@pytest.fixture(scope="session")
def true_confidence():
    return whole_volume_confidence


@pytest.fixture(scope="session")
def true_probabilities():
    return whole_volume_probabilities


@pytest.fixture(scope="session")
def true_logits():
    return _whole_volume_logits


@pytest.fixture
def watch():
    return Watch()


@pytest.fixture(scope="session")
def memory_labels():
    return MemoryLabels


@cache
def random_checkpoint(
    fusion="post", *, n_classes=3, features=(2, 2, 4, 4, 4), seed=0, raw=False
):
    """Return a small cascade with varied labels and BatchNorm far from the identity."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        config = NetworkConfig(
            n_classes=n_classes,
            features=features,
            refinement_features=(2, 3, 2),
            fusion=fusion,
        )
        cascade = Cascade(**config.model_dump())
        norms = [m for m in cascade.modules() if isinstance(m, nn.BatchNorm3d)]
        for norm in norms:
            norm.momentum = 1.0  # statistics of the one image below
            nn.init.uniform_(norm.weight, 0.5, 1.5)
            nn.init.uniform_(norm.bias, 0, 0.5)
        image = torch.rand(1, 1, 48, 48, 48)
        with torch.no_grad():
            cascade(image)
            cascade.eval()
            _vary(cascade.stage1, cascade.stage1.conv_out, image)
            if fusion != "none":
                _vary(cascade, cascade.conv_out, image)
    card = Card(
        name=f"random {fusion}",
        version="1",
        network=config,
        classes=unnamed_classes(n_classes),
        data="none",
        licence="CC0-1.0",
        **({"intensity": None} if raw else {}),
    )
    return Checkpoint(cascade.state_dict(), card)


def _vary(network, head, image):
    """Give every class the same mean and spread of logits, so that all of them win."""
    logits = network(image)[0].flatten(1)
    spread = logits.std(1) + 1e-3
    head.weight /= spread[:, None, None, None, None]
    head.bias -= logits.mean(1)
    head.bias /= spread


def whole_volume_labels(checkpoint, voxels, limits):
    """Return the labels of the network on the whole volume at once, in float64.

    The volume is scaled, then padded with zeros at the far end to multiples of 16.
    """
    z, y, x = voxels.shape
    logits = _whole_volume_logits(checkpoint, voxels, limits)
    return logits.argmax(0)[:z, :y, :x].numpy().astype(np.uint8)


def whole_volume_confidence(checkpoint, voxels, limits):
    """Return the mean probability of the labels of every 4 x 4 x 4 voxels, padded."""
    logits = _whole_volume_logits(checkpoint, voxels, limits)
    sure = logits.softmax(0).amax(0)
    blocks = nn.functional.avg_pool3d(sure[None, None], 4)[0, 0].numpy()
    return blocks[tuple(slice(-(-size // 4)) for size in voxels.shape)]


def whole_volume_probabilities(checkpoint, voxels, limits):
    """Return the probabilities ``(n_classes, z, y, x)`` of all voxels, float32."""
    z, y, x = voxels.shape
    logits = _whole_volume_logits(checkpoint, voxels, limits)[:, :z, :y, :x]
    return logits.softmax(0).float()


def _whole_volume_logits(checkpoint, voxels, limits, flips=()):
    """Return ``(n_classes, z, y, x)``, float64, of the mirror image, flipped back."""
    image = scaled(torch.from_numpy(voxels.astype(np.float32)), limits).double()
    padding = [n for size in reversed(image.shape) for n in (0, -size % 16)]
    padded = nn.functional.pad(image, padding)
    with torch.inference_mode():
        logits = checkpoint.build().double()(padded[None, None].flip(flips))
    return logits.flip(flips)[0]


class Watch(TorchDispatchMode):
    """Adds up the storages that are alive, and remembers the most there were."""

    def __init__(self):
        super().__init__()
        self.live = self.peak = 0
        self._seen = set()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        for leaf in tree_leaves(result):
            if isinstance(leaf, torch.Tensor):
                self._add(leaf.untyped_storage())
        return result

    def _add(self, storage):
        key, n = storage._cdata, storage.nbytes()
        if key in self._seen:
            return
        self._seen.add(key)
        self.live += n
        self.peak = max(self.peak, self.live)
        weakref.finalize(storage, self._remove, key, n)

    def _remove(self, key, n):
        self._seen.discard(key)
        self.live -= n


class MemoryLabels:
    """Labels in memory that count how often each voxel is written."""

    def __init__(self, shape):
        self.shape = shape
        self.labels = np.full(shape, 255, np.uint8)
        self.forget_confidence()
        self.times_written = np.zeros(shape, np.uint8)
        self.run_description = {}
        self._key = None
        self._finished = {}

    def begin_run(self, key, description):
        if key != self._key:
            self._key, self._finished = key, {}
            self.run_description = dict(description)

    def finished_planes(self, column):
        return self._finished.get(column, 0)

    def mark_finished(self, column, planes):
        self._finished[column] = planes

    def write(self, start, block, *, overwrite_corrected=False):
        box = tuple(slice(i, i + n) for i, n in zip(start, block.shape, strict=True))
        assert self.labels[box].shape == block.shape, (
            "a block reaches beyond the volume"
        )
        self.labels[box] = block
        self.times_written[box] += 1

    def write_confidence(self, start, block):
        box = tuple(slice(i, i + n) for i, n in zip(start, block.shape, strict=True))
        assert self.confidence[box].shape == block.shape, "no such blocks"
        self.confidence[box] = block

    def forget_confidence(self):
        self.confidence = np.zeros([-(-size // 4) for size in self.shape], np.uint8)
