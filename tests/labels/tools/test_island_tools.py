"""What hangs together is found across slabs as in the whole volume."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.ndimage import binary_fill_holes, generate_binary_structure, label

from napari_meunet.errors import MeUNetError
from napari_meunet.labels.box import box_at
from napari_meunet.labels.tools import islands
from napari_meunet.labels.tools.islands import (
    FillHoles,
    FillIsland,
    KeepLargest,
    RemoveSmall,
)
from napari_meunet.labels.tools.pieces import Survey

CORNERS = generate_binary_structure(3, 3)
VOLUME = 4.0 * 2.0 * 3.0


@pytest.fixture(params=[1, 3 * 31 * 27, 2**24])
def slab_voxels(request, monkeypatch):
    """Cut volumes into planes, into three at a time, or not at all."""
    monkeypatch.setattr(islands, "SLAB_VOXELS", request.param)


def noise(shape, share, seed=0):
    """Return labels of many islands and holes."""
    return (np.random.default_rng(seed).random(shape) < share).astype(np.uint8)


@given(
    mask=arrays(bool, st.tuples(*[st.integers(1, 6)] * 3)),
    n_planes=st.integers(1, 4),
    connectivity=st.sampled_from([1, 3]),
    faces=st.tuples(*[st.tuples(st.booleans(), st.booleans())] * 3),
)
@settings(max_examples=200, deadline=None)
def test_pieces_are_those_of_the_whole(mask, n_planes, connectivity, faces):
    survey = Survey(connectivity, faces)
    slabs = [mask[z : z + n_planes] for z in range(0, len(mask), n_planes)]
    for slab in slabs:
        survey.add(slab)
    pieces = survey.pieces()
    parts = zip(slabs, pieces.of_slab, strict=True)
    found = np.concatenate([piece_of[survey.ids(slab)] for slab, piece_of in parts])
    whole, n = label(mask, generate_binary_structure(3, connectivity))
    pairs = np.unique(np.stack((found[mask], whole[mask])), axis=1)
    assert pairs.shape[1] == n == len(set(pairs[0])) == len(set(pairs[1]))
    edges = np.zeros(mask.shape, bool)
    for axis in range(3):
        for end in (0, -1):
            if faces[axis][end]:
                np.moveaxis(edges, axis, 0)[end] = True
    for piece, number in pairs.T:
        assert pieces.voxels[piece] == (whole == number).sum()
        assert pieces.is_open[piece] == edges[whole == number].any()


@pytest.mark.usefixtures("slab_voxels")
def test_holes_are_those_of_the_whole(stored, used):
    labels = noise((23, 31, 27), 0.75)
    expected = binary_fill_holes(labels)
    assert (expected != labels).sum() > 20
    np.testing.assert_array_equal(used(stored(labels), FillHoles(1)), expected)


def test_holes_of_a_plane_are_flat(stored, used):
    labels = np.zeros((5, 7, 7), np.uint8)
    labels[:, 1:6, 1:6] = 1
    labels[:, 2:5, 2:5] = 0  # a tube
    store = stored(labels)
    np.testing.assert_array_equal(used(store, FillHoles(1)), labels)
    found = used(store, FillHoles(1), (slice(2, 3), slice(0, 7), slice(0, 7)))
    assert (found[2, 1:6, 1:6] == 1).all()
    np.testing.assert_array_equal(np.delete(found, 2, 0), np.delete(labels, 2, 0))


def test_other_labels_in_a_hole_stay(stored, used):
    labels = np.ones((7, 7, 7), np.uint8)
    labels[2:5, 2:5, 2:5] = 0
    labels[3, 3, 3] = 2
    found = used(stored(labels), FillHoles(1))
    assert found[3, 3, 3] == 2
    assert (found == 1).sum() == 7**3 - 1


@pytest.mark.usefixtures("slab_voxels")
def test_the_largest_island_stays(stored, used):
    labels = 2 * noise((23, 31, 27), 0.08)
    labels[::3, ::5] |= 1
    whole, _ = label(labels == 2, CORNERS)
    expected = labels.copy()
    expected[(labels == 2) & (whole != np.bincount(whole[whole > 0]).argmax())] = 0
    assert (expected == 2).sum() > 5
    np.testing.assert_array_equal(used(stored(labels), KeepLargest(2)), expected)


@pytest.mark.usefixtures("slab_voxels")
def test_small_islands_go(stored, used):
    labels = noise((23, 31, 27), 0.06)
    whole, _ = label(labels, CORNERS)
    small = np.bincount(whole.ravel()) < 5
    small[0] = False
    expected = np.where(small[whole], 0, labels)
    assert expected.any()
    found = used(stored(labels), RemoveSmall(1, 5 * VOLUME))
    np.testing.assert_array_equal(found, expected)


@pytest.mark.usefixtures("slab_voxels")
@pytest.mark.parametrize("new", [0, 3])
def test_the_island_at_a_voxel_is_filled(stored, used, new):
    labels = noise((23, 31, 27), 0.12)
    whole, _ = label(labels, CORNERS)
    at = np.unravel_index(
        (whole == np.bincount(whole[whole > 0]).argmax()).argmax(), (23, 31, 27)
    )
    expected = np.where(whole == whole[at], new, labels)
    assert (expected != labels).sum() > 20
    found = used(stored(labels), FillIsland(tuple(map(int, at)), 1, new))
    np.testing.assert_array_equal(found, expected)


def test_the_voxel_must_lie_in_the_box_and_have_the_label(stored, used):
    labels = noise((5, 5, 5), 0.5)
    store = stored(labels)
    box = slice(0, 2), slice(0, 5), slice(0, 5)
    at = tuple(map(int, np.argwhere(labels == 0)[-1]))
    with pytest.raises(MeUNetError, match="must lie in"):
        used(store, FillIsland((4, 0, 0), 1, 2), box)
    with pytest.raises(MeUNetError, match="must have label 1"):
        used(store, FillIsland(at, 1, 2))


def test_without_the_label_nothing_happens(stored, used):
    labels = np.zeros((5, 5, 5), np.uint8)
    store = stored(labels)
    for tool in (FillHoles(1), KeepLargest(1), RemoveSmall(1, 1e9)):
        assert not used(store, tool).any()
    assert not store.journal.history.done


def test_labels_that_others_change_meanwhile_are_refused(stored, monkeypatch):
    monkeypatch.setattr(islands, "SLAB_VOXELS", 1)
    labels = noise((6, 9, 9), 0.1)
    store = stored(labels)
    steps = store.use(RemoveSmall(1, 1e9), box_at((0, 0, 0), (6, 9, 9)))
    for _ in range(7):  # the look, and the first plane
        next(steps)
    turned = labels[5:].transpose(0, 2, 1)  # of as many islands
    store.write((5, 0, 0), np.ascontiguousarray(turned))
    with pytest.raises(MeUNetError, match="stay as they are"):
        list(steps)
    np.testing.assert_array_equal(store.labels[:5], labels[:5])
    assert not store.journal.history.done


def test_what_goes_on_beside_the_box_is_not_cut(stored, used):
    labels = np.zeros((9, 9, 20), np.uint8)
    labels[4, 4, :12] = 1  # goes on
    labels[4, 7, 7:9] = 1
    labels[4, 1, 5:10] = 1
    box = slice(0, 9), slice(0, 9), slice(5, 12)
    found = used(stored(labels), RemoveSmall(1, 100 * VOLUME), box)
    expected = labels.copy()
    expected[4, 7, 7:9] = 0  # the others touch a face of the box
    np.testing.assert_array_equal(found, expected)
    found = used(stored(labels), KeepLargest(1), box)
    np.testing.assert_array_equal(found, expected)
    whole = used(stored(labels), KeepLargest(1))
    assert whole.sum() == 12


def test_background_is_filled_within_an_outline(stored, used):
    labels = np.zeros((3, 9, 9), np.uint8)
    for i in range(4):  # a ring of voxels that share corners
        labels[1, 4 - i, 1 + i] = labels[1, 4 + i, 1 + i] = 1
        labels[1, 1 + i, 4 + i] = labels[1, 7 - i, 4 + i] = 1
    plane = slice(1, 2), slice(0, 9), slice(0, 9)
    found = used(stored(labels), FillIsland((1, 4, 4), 0, 2), plane)
    assert found[1, 4, 2:7].tolist() == [2] * 5
    assert not found[1, 0].any()
    assert not found[[0, 2]].any()


@given(seed=st.integers(0, 2**16), share=st.floats(0.3, 0.9))
@settings(
    max_examples=20,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_filled_holes_leave_none(stored, used, seed, share):
    labels = noise((6, 7, 8), share, seed)
    store = stored(labels)
    used(store, FillHoles(1))
    n_edits = store.journal.n_changes
    used(store, FillHoles(1))
    assert store.journal.n_changes == n_edits
