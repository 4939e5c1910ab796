"""The paper's windows and votes against a restatement on the whole volume."""

from contextlib import closing

import numpy as np
import pytest
import torch

from napari_meunet.inference.images import Images
from napari_meunet.inference.streaming.folded import FoldedCascade
from napari_meunet.inference.streaming.schedule import schedule_of
from napari_meunet.inference.tiles import cut
from napari_meunet.inference.windows import PaperExecutor, Votes
from napari_meunet.volume.volume import Volume

SHAPE = (64, 52, 12)
WINDOW, STEP = 48, 24


def restated(checkpoint, voxels):
    """Return the labels of section 6 of the method's description, step by step."""
    n = [max(-(-(size - WINDOW) // STEP), 0) + 1 for size in voxels.shape]
    room = [
        WINDOW + (k - 1) * STEP - size for k, size in zip(n, voxels.shape, strict=True)
    ]
    padded = np.pad(voxels, [(k // 2, k - k // 2) for k in room])
    votes = np.zeros((checkpoint.card.network.n_classes, *padded.shape), np.int8)
    stage1 = checkpoint.build().double().stage1
    weight = np.ones((WINDOW,) * 3, np.int8)
    weight[(slice(WINDOW // 4, 3 * WINDOW // 4),) * 3] = 2
    for index in np.ndindex(*n):
        box = tuple(slice(STEP * i, STEP * i + WINDOW) for i in index)
        window = torch.from_numpy(padded[box].astype(float))
        with torch.inference_mode():
            labels = stage1(window[None, None])[0].argmax(0).numpy()
        for value in range(len(votes)):
            votes[value][box] += weight * (labels == value)
    inside = tuple(
        slice(k // 2, k // 2 + size) for k, size in zip(room, voxels.shape, strict=True)
    )
    return votes.argmax(0)[inside]


@pytest.fixture(scope="module")
def checkpoint(make_checkpoint):
    return make_checkpoint("post", raw=True)


@pytest.fixture(scope="module")
def voxels():
    return np.random.default_rng(3).integers(0, 3, SHAPE, dtype=np.uint8)


@pytest.fixture(scope="module")
def expected(checkpoint, voxels):
    return restated(checkpoint, voxels)


def executor(checkpoint, voxels, slab):
    network = checkpoint.card.network.model_copy(update={"fusion": "none"})
    schedule, device = schedule_of(network), torch.device("cpu")
    weights = FoldedCascade(checkpoint.build(), schedule, device, torch.double)
    images = Images(Volume.from_array(voxels), None)
    return PaperExecutor(images, schedule, weights, slab, 10**6, WINDOW, STEP)


def labelled(checkpoint, voxels, slab=48, first=0):
    """Return the labels from plane `first` on; 255 where nothing was written."""
    labels = np.full(voxels.shape, 255, np.uint8)
    (whole,) = cut(voxels.shape[1:], (1, 1), 0)
    for (z, y, x), block, _ in executor(checkpoint, voxels, slab).blocks(whole, first):
        assert (y, x) == (0, 0)
        assert (labels[z : z + len(block)] == 255).all()
        labels[z : z + len(block)] = block
    return labels


@pytest.mark.parametrize("slab", [16, 48])
def test_windows_vote_as_the_notebook_does(checkpoint, voxels, expected, slab):
    assert np.bincount(expected.ravel()).min() > 100
    np.testing.assert_array_equal(labelled(checkpoint, voxels, slab), expected)


@pytest.mark.parametrize("shape", [(1, 48, 30), (49, 16, 40)])
def test_volumes_of_one_window_and_odd_sizes(checkpoint, shape):
    voxels = np.random.default_rng(4).integers(0, 3, shape, dtype=np.uint8)
    np.testing.assert_array_equal(
        labelled(checkpoint, voxels), restated(checkpoint, voxels)
    )


@pytest.mark.parametrize("first", [1, 37])
def test_a_later_start_gives_the_same_labels(checkpoint, voxels, expected, first):
    found = labelled(checkpoint, voxels, first=first)
    assert (found[:first] == 255).all()
    np.testing.assert_array_equal(found[first:], expected[first:])


def test_the_caller_may_stop_after_every_window(checkpoint, voxels):
    (whole,) = cut(SHAPE[1:], (1, 1), 0)
    with closing(executor(checkpoint, voxels, 48).blocks(whole, 0)) as blocks:
        sizes = [len(block.labels) for block, _ in zip(blocks, range(7), strict=False)]
    assert sizes == [0, 0, 20, 0, 0, 44]  # rows of two windows, 4 planes of padding


def test_windows_are_240_at_step_120():
    fields = PaperExecutor.__dataclass_fields__
    assert (fields["window"].default, fields["step"].default) == (240, 120)


def test_the_central_half_has_two_votes():
    votes = Votes(3, (8, 8, 12))
    votes.add(np.full((8, 8, 8), 2, np.uint8), 0, -4)
    votes.add(np.full((8, 8, 8), 1, np.uint8), 0, 0)
    votes.add(np.full((8, 8, 8), 1, np.uint8), 0, 8)
    labels = votes.winners(range(8))
    # along x in the centre: 2 2 from the first, then 1 1 1 1 | from the second ...
    assert labels[4, 4].tolist() == [2, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1]
    assert labels[0, 0].tolist() == [1] * 12


def test_ties_go_to_the_lowest_class():
    votes = Votes(3, (4, 4, 4))
    for value in (2, 1):
        votes.add(np.full((4, 4, 4), value, np.uint8), 0, 0)
    assert (votes.winners(range(4)) == 1).all()


def test_votes_move_on_with_the_windows():
    votes = Votes(2, (4, 4, 4))
    votes.add(np.ones((4, 4, 4), np.uint8), 0, 0)
    votes.advance(2)
    assert votes.winners(range(4))[:, 0, 0].tolist() == [1, 1, 0, 0]
