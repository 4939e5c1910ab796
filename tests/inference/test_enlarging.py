"""Labels of a reduced scan, enlarged, against interpolation of the whole volume."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from napari_meunet.inference.exact import ExactExecutor
from napari_meunet.inference.images import Images
from napari_meunet.inference.memory import enlarging_bytes
from napari_meunet.inference.streaming.enlarging import Enlargement, Enlarging
from napari_meunet.inference.streaming.folded import FoldedCascade
from napari_meunet.inference.streaming.schedule import schedule_of
from napari_meunet.inference.tiles import Grid, aligned, cut
from napari_meunet.volume.reduced import reduced
from napari_meunet.volume.volume import Volume

LIMITS = (90.0, 165.0)
"""Of means: the values of single voxels are from 0 to 255."""


def random_voxels(shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def executor(checkpoint, voxels, factors, slab=16, planes=None, dtype=torch.double):
    schedule, device = schedule_of(checkpoint.card.network), torch.device("cpu")
    weights = (FoldedCascade(checkpoint.build(), schedule, device, dtype),)
    images = Images(reduced(Volume.from_array(voxels), factors), LIMITS, planes)
    grid = Grid(voxels.shape, factors)
    return ExactExecutor(images, schedule, weights, slab, 10**5, grid)


def labelled(executor, columns, first=0):
    """Return labels and confidence from plane `first` on, each voxel written once."""
    shape = executor.grid.shape
    labels = np.full(shape, 255, np.uint8)
    confidence = np.zeros([-(-size // 4) for size in shape], np.uint8)
    for column in columns:
        following = first
        for start, block, sure in executor.blocks(column, first):
            if not len(block):
                continue
            assert start[0] == following
            following += len(block)
            for all_of_it, part, edge in ((labels, block, 1), (confidence, sure, 4)):
                box = tuple(
                    slice(i // edge, i // edge + n)
                    for i, n in zip(start, part.shape, strict=True)
                )
                all_of_it[box] = part
        assert following == shape[0]
    return labels, confidence


def expected_of(checkpoint, true_probabilities, voxels, factors):
    """Return labels and confidence, from the network on the whole reduced volume."""
    small = reduced(Volume.from_array(voxels), factors).planes[:]
    known = true_probabilities(checkpoint, small, LIMITS)
    labels = enlarged(known, factors).argmax(0)
    (best,) = enlarged(known.amax(0, keepdim=True), factors)
    missing = [n for size in reversed(best.shape) for n in (0, -size % 4)]
    best = functional.pad(best[None, None], missing, mode="replicate")
    sure = functional.avg_pool3d(best, 4)[0, 0].numpy()
    z, y, x = voxels.shape
    blocks = tuple(slice(-(-size // 4)) for size in voxels.shape)
    return labels[:z, :y, :x].numpy(), sure[blocks]


def enlarged(known, factors):
    return functional.interpolate(
        known[None], scale_factor=factors, mode="trilinear", align_corners=False
    )[0]


@pytest.mark.parametrize("fusion", ["none", "post"])
@settings(max_examples=6, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 90), st.integers(1, 60), st.integers(1, 60)),
    factors=st.tuples(*[st.integers(1, 4)] * 3).filter(lambda n: n != (1, 1, 1)),
    slab=st.sampled_from([16, 32]),
    seed=st.integers(0, 2),
)
def test_labels_are_interpolated_between_the_voxels_that_the_network_sees(
    make_checkpoint, true_probabilities, fusion, shape, factors, slab, seed
):
    checkpoint, voxels = make_checkpoint(fusion, seed=seed), random_voxels(shape, seed)
    run = executor(checkpoint, voxels, factors, slab)
    columns = cut(run.images.volume.shape[1:], (1, 1), 0)
    labels, sure = labelled(run, columns)
    truth = expected_of(checkpoint, true_probabilities, voxels, factors)
    assert (labels != truth[0]).mean() < 1e-4  # ties, as they are rounded
    inside = tuple(slice(size // 4) for size in shape)  # whole blocks
    np.testing.assert_allclose(sure[inside], 255 * truth[1][inside], atol=0.51)
    assert sure.all()


@pytest.mark.parametrize("fusion", ["none", "post", "pre"])
def test_columns_give_the_labels_of_the_whole_section(make_checkpoint, fusion):
    checkpoint = make_checkpoint(fusion, features=(2, 1, 2, 2, 2))
    voxels = random_voxels((6, 640, 18))
    run = executor(checkpoint, voxels, (2, 2, 2), slab=48)
    seen = run.images.volume.shape[1:]
    whole, whole_sure = labelled(run, cut(seen, (1, 1), 0))
    assert np.bincount(whole.ravel(), minlength=3).min() > 50
    # interpolation meets the neighbour beyond the core of a column, too
    columns = cut(seen, (2, 1), aligned(run.schedule.reach()) + 16)
    labels, sure = labelled(run, columns)
    np.testing.assert_array_equal(labels, whole)
    np.testing.assert_array_equal(sure, whole_sure)


@settings(max_examples=8, deadline=None)
@given(first=st.integers(0, 135).map(lambda n: 4 * n), factor=st.sampled_from([2, 3]))
def test_a_later_start_gives_the_same_bits(make_checkpoint, whole_runs, first, factor):
    run, (whole, whole_sure) = whole_runs(make_checkpoint, factor)
    first = first // factor * factor
    columns = cut(run.images.volume.shape[1:], (1, 1), 0)
    labels, sure = labelled(run, columns, first)
    np.testing.assert_array_equal(labels[first:], whole[first:])
    known = -(-first // 4)  # a block that begins before `first` is not whole
    np.testing.assert_array_equal(sure[known:], whole_sure[known:])


@pytest.fixture(scope="module")
def whole_runs():
    known = {}

    def run(make_checkpoint, factor):
        if factor not in known:
            factors, voxels = (factor, 1, 2), random_voxels((540, 10, 30))
            made = executor(
                make_checkpoint("post"), voxels, factors, dtype=torch.bfloat16
            )
            known[factor] = made, labelled(made, cut((10, 15), (1, 1), 0))
        return known[factor]

    return run


def test_beyond_a_box_there_is_background(make_checkpoint, true_probabilities):
    checkpoint, voxels = make_checkpoint("none"), random_voxels((130, 70, 60))
    (z, y, x) = (32, 48), (16, 32), (0, 30)  # of the voxels that the network sees
    run = executor(checkpoint, voxels, (2, 2, 2), planes=z)
    labels, sure = labelled(run, cut((35, 30), (1, 1), 0, (y, x)))
    part = voxels[64:96, 32:64]
    truth = expected_of(checkpoint, true_probabilities, part, (2, 2, 2))
    expected, blocks = np.zeros_like(labels), np.full(sure.shape, 255.0)
    expected[64:96, 32:64] = truth[0]
    blocks[16:24, 8:16] = 255 * truth[1]
    assert (labels != expected).mean() < 1e-4
    np.testing.assert_allclose(sure, blocks, atol=0.51)


def test_uniform_probabilities_stay_and_a_step_lies_in_the_middle():
    """A class that begins between two large voxels begins there in the scan."""
    task = Enlargement((4, 4, 4), (16, 16, 16), 16, (16, 16), 2)
    logits = torch.zeros(2, 16, 16, 16)
    logits[0] = 5
    logits[:, 6:, 5:, 3:] = logits[:, 6:, 5:, 3:].flip(0)
    enlarging = Enlarging(task, torch.device("cpu"))
    late = enlarging.labelled(0, [(slice(0, 16), logits)])
    rest = enlarging.labelled(16, [(slice(0, 16), logits)])
    labels = torch.cat([late.labels[16:], rest.labels[:16]])
    expected = torch.zeros(64, 64, 64, dtype=torch.uint8)
    expected[24:, 20:, 12:] = 1
    away = torch.ones(64, 64, 64, dtype=torch.bool)  # edges of the step are rounded
    away[22:26, 18:22], away[22:26, :, 10:14], away[:, 18:22, 10:14] = 0, 0, 0
    assert torch.equal(labels[away], expected[away])
    assert not labels[24, 20, 12]  # its corner is


def test_it_takes_the_memory_that_is_planned(watch):
    factors, section, slab, n_classes = (3, 4, 4), (48, 64), 16, 5
    task = Enlargement(factors, (90, 48, 60), slab, section, n_classes)
    logits = torch.randn(n_classes, slab, 48, 64)
    with torch.inference_mode(), watch:
        enlarging = Enlarging(task, torch.device("cpu"))
        for plane in (0, 16, 32):
            enlarging.labelled(plane, [(slice(0, 48), logits)])
    planned = enlarging_bytes(n_classes, section, slab, factors)
    assert watch.peak <= planned <= 1.3 * watch.peak
