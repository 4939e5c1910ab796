"""Surfaces move as in the whole volume, whatever it is cut into."""

import numpy as np
import pytest

from napari_meunet.errors import MeUNetError
from napari_meunet.labels.box import box_at
from napari_meunet.labels.tools import shapes, windows
from napari_meunet.labels.tools.shapes import Close, Grow, Open, Shrink, Smooth

VOXEL = (4.0, 2.0, 3.0)
TOOLS = (Grow, Shrink, Open, Close, Smooth)
SHAPE = (23, 31, 27)


def whole(tool, labels, voxel=VOXEL):
    """Return what a tool makes of labels that are looked at as a whole."""
    mask = labels == tool.label
    wanted = tool.changed(mask, voxel)
    new = labels.copy()
    new[wanted & (labels == 0)] = tool.label
    new[mask & ~wanted] = 0
    return new


@pytest.fixture
def small_parts(monkeypatch):
    monkeypatch.setattr(windows, "TILE", 7)
    monkeypatch.setattr(shapes, "N_PLANES", 3)


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("tool", TOOLS)
@pytest.mark.parametrize("by", [2.0, 4.5, 6.0])
def test_parts_make_what_the_whole_makes(stored, used, blobs, tool, by):
    labels = blobs(SHAPE)
    found = used(stored(labels), tool(1, by))
    expected = whole(tool(1, by), labels)
    assert (expected != labels).sum() > 50
    np.testing.assert_array_equal(found, expected)


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("tool", TOOLS)
def test_a_box_is_changed_as_if_all_were(stored, used, blobs, tool):
    labels = blobs(SHAPE)
    box = slice(5, 16), slice(3, 29), slice(10, 22)
    found = used(stored(labels), tool(2, 4.0), box)
    expected = labels.copy()
    expected[box] = whole(tool(2, 4.0), labels)[box]
    np.testing.assert_array_equal(found, expected)


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("tool", TOOLS)
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_plane_has_no_neighbours(stored, used, blobs, tool, axis):
    labels = blobs(SHAPE)
    index = [slice(None)] * 3
    index[axis] = 11
    plane = labels[tuple(index)]
    box = list(box_at((0, 0, 0), SHAPE))
    box[axis] = slice(11, 12)
    found = used(stored(labels), tool(1, 6.0), tuple(box))
    voxel = [np.inf if i == axis else size for i, size in enumerate(VOXEL)]
    expected = labels.copy()
    alone = whole(tool(1, 6.0), np.expand_dims(plane, axis), voxel)
    expected[tuple(index)] = alone.squeeze(axis)
    np.testing.assert_array_equal(found, expected)


def test_a_voxel_grows_to_an_ellipsoid(stored, used):
    labels = np.zeros((13, 17, 15), np.uint8)
    labels[6, 8, 7] = 1
    z, y, x = (np.indices(labels.shape).T - (6, 8, 7)).T
    distance = np.sqrt((4 * z) ** 2 + (2 * y) ** 2 + (3 * x) ** 2)
    found = used(stored(labels), Grow(1, 12.0))
    np.testing.assert_array_equal(found, distance <= 12)


def test_growing_takes_background_alone_and_shrinking_leaves_it(stored, used):
    labels = np.zeros((9, 9, 9), np.uint8)
    labels[:, :, 4:] = 2
    labels[4, 4, 3] = 1
    grown = used(stored(labels), Grow(1, 4.0))
    np.testing.assert_array_equal(grown == 2, labels == 2)
    assert (grown == 1).sum() == 1 + 1 + 2 + 2 + 2 + 2  # x; z; y, twice; with x
    shrunk = used(stored(labels), Shrink(2, 3.0))
    assert not shrunk[:, :, 4].any()
    assert (shrunk[:, :, 5:] == 2).all()  # the volume's end is no surface


def test_smoothing_takes_a_spike_and_keeps_a_half_space(stored, used):
    labels = np.zeros((15, 15, 15), np.uint8)
    labels[:, :8] = 1
    spiked = labels.copy()
    spiked[7, 8:12, 7] = 1
    np.testing.assert_array_equal(used(stored(spiked), Smooth(1, 5.0)), labels)


def test_what_a_tool_changes_is_corrected_and_undone_at_once(stored, used, blobs):
    labels = blobs(SHAPE)
    store = stored(labels)
    found = used(store, Grow(1, 6.0))
    whole_box = box_at((0, 0, 0), SHAPE)
    np.testing.assert_array_equal(store.corrected.read(whole_box), found != labels)
    assert [stroke.tool for stroke in store.journal.history.done] == ["grow"]
    store.journal.undo()
    np.testing.assert_array_equal(store.labels, labels)
    assert not store.has_corrections
    store.journal.redo()
    np.testing.assert_array_equal(store.labels, found)


@pytest.mark.usefixtures("small_parts")
def test_a_tool_that_is_stopped_changes_nothing(stored, blobs):
    labels = blobs(SHAPE)
    store = stored(labels)
    steps = store.use(Grow(1, 6.0), box_at((0, 0, 0), SHAPE))
    next(steps)
    next(steps)
    assert (store.labels != labels).any()
    steps.close()
    np.testing.assert_array_equal(store.labels, labels)
    assert not store.has_corrections
    assert not store.journal.history.done
    assert not store.journal.history.undone


@pytest.mark.usefixtures("small_parts")
def test_a_full_disk_in_between_changes_nothing(stored, blobs, monkeypatch):
    labels = blobs(SHAPE)
    store = stored(labels)
    steps = store.use(Grow(1, 6.0), box_at((0, 0, 0), SHAPE))
    next(steps)

    def full(*_):
        raise MeUNetError("the disk must have room, got none")

    monkeypatch.setattr(store._voxels, "require_room_in", full)
    with pytest.raises(MeUNetError, match="room"):
        list(steps)
    np.testing.assert_array_equal(store.labels, labels)


@pytest.mark.usefixtures("small_parts")
def test_what_the_model_writes_meanwhile_stays(stored, blobs):
    labels = blobs(SHAPE)
    store = stored(labels)
    steps = store.use(Grow(1, 4.0), box_at((0, 0, 0), SHAPE))
    next(steps)  # planes 3 to 6 were read, and not written
    store.write((3, 0, 0), np.full((1, *SHAPE[1:]), 3, np.uint8))
    for _ in steps:
        pass
    grown = whole(Grow(1, 4.0), labels)[3]
    np.testing.assert_array_equal(store.labels[3] == 1, (grown == 1) & (labels[3] == 0))
    assert (np.delete(store.labels[3].ravel(), np.flatnonzero(grown == 1)) == 3).all()


@pytest.mark.parametrize("by", [0.0, 1.9, 64.1, float("nan")])
def test_a_distance_must_be_possible(stored, by):
    store = stored(np.ones((5, 5, 5)))
    with pytest.raises(MeUNetError, match="one voxel"):
        list(store.use(Grow(1, by), box_at((0, 0, 0), store.shape)))


def test_progress_counts_planes(stored, blobs):
    store = stored(blobs((70, 5, 5)))
    steps = list(store.use(Grow(1, 4.0), (slice(2, 69), slice(0, 5), slice(0, 5))))
    assert [(step.done, step.total) for step in steps] == [(32, 67), (64, 67), (67, 67)]


def test_one_voxel_may_be_written_as_it_is_shown(stored, used):
    labels = np.zeros((5, 5, 5), np.uint8)
    labels[2, 2, 2] = 1
    assert used(stored(labels), Grow(1, 1.9999999)).sum() == 3
