"""The exact executor against the network on the whole padded volume."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_meunet.inference.exact import ExactExecutor
from napari_meunet.inference.images import Images
from napari_meunet.inference.streaming.folded import FoldedCascade
from napari_meunet.inference.streaming.schedule import schedule_of
from napari_meunet.inference.tiles import Grid, aligned, cut
from napari_meunet.volume.volume import Volume

LIMITS = (30.0, 220.0)


def random_voxels(shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def executor(
    checkpoint, voxels, *, slab=16, band=10**5, dtype=torch.double, planes=None
):
    schedule, device = schedule_of(checkpoint.card.network), torch.device("cpu")
    weights = (FoldedCascade(checkpoint.build(), schedule, device, dtype),)
    images = Images(Volume.from_array(voxels), LIMITS, planes)
    grid = Grid(voxels.shape)
    return ExactExecutor(images, schedule, weights, slab, band, grid)


def labelled(executor, columns, first=0):
    """Return labels and confidence from plane `first` on, each voxel written once."""
    shape = executor.images.volume.shape
    labels = np.full(shape, 255, np.uint8)
    confidence = np.zeros([-(-size // 4) for size in shape], np.uint8)
    for column in columns:
        following = first
        for (z, y, x), block, sure in executor.blocks(column, first):
            if not len(block):
                continue
            assert z == following
            following += len(block)
            box = box_of((z, y, x), block)
            assert (labels[box] == 255).all()
            labels[box] = block
            box = box_of((z // 4, y // 4, x // 4), sure)
            assert (confidence[box] == 0).all()
            confidence[box] = sure
        assert following == shape[0]
    assert (confidence[first // 4 :] > 0).all()
    return labels, confidence


def box_of(start, block):
    return tuple(slice(i, i + n) for i, n in zip(start, block.shape, strict=True))


@pytest.mark.parametrize("fusion", ["none", "post", "pre"])
@settings(max_examples=4, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 50), st.integers(1, 35), st.integers(1, 35)),
    slab=st.sampled_from([16, 32, 48]),
    seed=st.integers(0, 2),
)
def test_any_shape_is_labelled_as_the_whole_padded_volume(
    make_checkpoint, true_labels, true_confidence, fusion, shape, slab, seed
):
    checkpoint = make_checkpoint(fusion, seed=seed)
    voxels = random_voxels(shape, seed)
    run = executor(checkpoint, voxels, slab=slab)
    found, sure = labelled(run, cut(shape[1:], (1, 1), 0))
    np.testing.assert_array_equal(found, true_labels(checkpoint, voxels, LIMITS))
    expected = true_confidence(checkpoint, voxels, LIMITS)
    np.testing.assert_allclose(sure, 255 * expected, atol=0.501)


@pytest.mark.parametrize(
    ("fusion", "shape", "parts"),
    [("post", (3, 220, 9), (2, 1)), ("pre", (3, 9, 285), (1, 2))],
)
def test_columns_give_the_labels_of_the_whole_section(
    make_checkpoint, true_labels, true_confidence, fusion, shape, parts
):
    checkpoint = make_checkpoint(fusion, features=(2, 1, 2, 2, 2))
    voxels = random_voxels(shape)
    run = executor(checkpoint, voxels, slab=48)
    columns = cut(shape[1:], parts, aligned(run.schedule.reach()))
    expected = true_labels(checkpoint, voxels, LIMITS)
    assert np.bincount(expected.ravel(), minlength=3).min() > 50
    found, sure = labelled(run, columns)
    np.testing.assert_array_equal(found, expected)
    expected = true_confidence(checkpoint, voxels, LIMITS)
    np.testing.assert_allclose(sure, 255 * expected, atol=0.501)


@settings(max_examples=6, deadline=None)
@given(
    z=st.tuples(st.integers(0, 4), st.integers(1, 3)),
    y=st.tuples(st.integers(0, 2), st.integers(1, 3)),
    x=st.tuples(st.integers(0, 2), st.integers(1, 3)),
    n_columns=st.sampled_from([1, 2]),
    first=st.sampled_from(range(0, 70, 4)),
)
def test_beyond_a_box_there_is_background(
    make_checkpoint, true_labels, true_confidence, z, y, x, n_columns, first
):
    checkpoint, voxels = make_checkpoint("none"), random_voxels((70, 45, 44))
    z, y, x = (
        (16 * start, min(16 * (start + n), size))
        for (start, n), size in zip((z, y, x), voxels.shape, strict=True)
    )
    n_columns = min(n_columns, aligned(x[1] - x[0]) // 16)
    columns = cut(voxels.shape[1:], (1, n_columns), 96, (y, x))
    run = executor(checkpoint, voxels, planes=z)
    found, sure = labelled(run, columns, first)

    part = voxels[tuple(slice(*span) for span in (z, y, x))]
    labels, expected = np.zeros_like(found), np.full(sure.shape, 255.0)
    labels[box_of((z[0], y[0], x[0]), part)] = true_labels(checkpoint, part, LIMITS)
    known = 255 * true_confidence(checkpoint, part, LIMITS)
    expected[box_of((z[0] // 4, y[0] // 4, x[0] // 4), known)] = known
    np.testing.assert_array_equal(found[first:], labels[first:])
    np.testing.assert_allclose(sure[first // 4 :], expected[first // 4 :], atol=0.501)


@settings(max_examples=8, deadline=None)
@given(first=st.integers(0, 259), slab=st.sampled_from([16, 48]))
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_later_start_gives_the_same_bits(long_run, dtype, slab, first):
    run, (whole, whole_sure) = long_run(dtype, slab)
    columns = cut(run.images.volume.shape[1:], (1, 1), 0)
    found, sure = labelled(run, columns, first)
    assert (found[:first] == 255).all()
    np.testing.assert_array_equal(found[first:], whole[first:])
    np.testing.assert_array_equal(sure[first // 4 :], whole_sure[first // 4 :])


@pytest.fixture(scope="module")
def long_run(make_checkpoint):
    """Return runs over 260 planes, so that a late start leaves planes out."""
    known = {}
    voxels = random_voxels((260, 16, 15))

    def run(dtype, slab):
        if (dtype, slab) not in known:
            made = executor(make_checkpoint("post"), voxels, slab=slab, dtype=dtype)
            known[dtype, slab] = made, labelled(made, cut((16, 15), (1, 1), 0))
        return known[dtype, slab]

    return run


def test_a_late_start_reads_only_what_it_needs(make_checkpoint):
    read = []

    class Recorded:
        shape, dtype = (400, 16, 16), np.dtype(np.uint8)

        def __getitem__(self, index):
            read.append(index[0])
            return np.zeros([part.stop - part.start for part in index], np.uint8)

    voxels = Recorded()
    run = executor(make_checkpoint("post"), voxels)
    for _ in run.blocks(cut((16, 16), (1, 1), 0)[0], 303):
        pass
    # block 288:304 reaches back to 288 - 94 = 194, in the slab that begins at 192
    assert read[0] == slice(192, 208)
    assert read[-1].stop == 400
    assert len(read) == 13
