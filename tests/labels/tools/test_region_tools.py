"""Tools that flood: against shapes of which the answer is known."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from napari_meunet.errors import MeUNetError
from napari_meunet.labels.box import box_at
from napari_meunet.labels.tools import regions
from napari_meunet.labels.tools.regions import Snap, Split


def two_balls():
    """Return balls that touch, as one label: one near x = 14, one near x = 34."""
    z, y, x = np.indices((30, 30, 50))
    balls = [(z - 15) ** 2 + (y - 15) ** 2 + (x - at) ** 2 < 12**2 for at in (14, 34)]
    return np.logical_or(*balls).astype(np.uint8)


def test_a_mark_splits_two_balls_where_they_touch(stored, used):
    labels = two_balls()
    store = stored(labels)
    store.editable()[15, 14:17, 33:36] = 2
    found = used(store, Split(1))
    expected = np.where(np.indices(labels.shape)[2] > 24, 2 * labels, labels)
    beside = np.arange(50) == 24  # may become either
    np.testing.assert_array_equal(found[..., ~beside], expected[..., ~beside])
    assert (found[..., beside] > 0).sum() == labels[..., beside].sum()
    store.journal.undo()
    assert (store.labels == 2).sum() == 9


def test_two_marks_divide_a_label_between_them(stored, used):
    labels = np.zeros((1, 9, 40), np.uint8)
    labels[0, 2:7, 2:38] = 1
    store = stored(labels)
    store.editable()[0, 4, 3] = 2
    store.editable()[0, 4, 36] = 3
    found = used(store, Split(1))
    assert set(np.unique(found)) == {0, 2, 3}
    np.testing.assert_array_equal(found > 0, labels > 0)
    assert (found[0, 2:7, 2:18] == 2).all()
    assert (found[0, 2:7, 22:38] == 3).all()


def test_islands_without_marks_and_other_labels_stay(stored, used):
    labels = two_balls()
    labels[0, 0, :5] = 1  # an island without a mark
    labels[28, 28, 40:] = 3
    store = stored(labels)
    store.editable()[15, 14:17, 33:36] = 2
    found = used(store, Split(1))
    assert (found[0, 0, :5] == 1).all()
    assert (found[28, 28, 40:] == 3).all()


def test_what_was_split_off_is_no_mark_of_the_next_split(stored, used):
    labels = np.zeros((1, 9, 60), np.uint8)
    labels[0, 2:7, 2:58] = 1
    labels[0, [2, 6], 20] = 0  # narrow there
    labels[0, [2, 3, 5, 6], 40] = 0  # and narrower there
    store = stored(labels)
    store.editable()[0, 4, 55] = 2
    first = used(store, Split(1))
    assert (first[0, 2:7, 41:58] == 2).all()
    assert (first[0, 2:7, 2:40] == labels[0, 2:7, 2:40]).all()
    store.editable()[0, 4, 30] = 3
    second = used(store, Split(1))
    assert (second[0, 2:7, 41:58] == 2).all()
    assert (second[0, 2:7, 21:40] == 3)[labels[0, 2:7, 21:40] > 0].all()
    assert (second[0, 2:7, 2:20] == 1).all()


def test_what_hangs_on_by_a_corner_keeps_a_label(stored, used):
    labels = two_balls()
    diagonal = np.arange(1, 9)
    labels[15 - diagonal, 15, 2 - np.minimum(diagonal, 2)] = 1
    labels[15, 15 - 12 - np.arange(3), 14 + np.arange(3)] = 1
    store = stored(labels)
    store.editable()[15, 14:17, 33:36] = 2
    np.testing.assert_array_equal(used(store, Split(1)) > 0, labels > 0)


def test_a_label_without_marks_cannot_be_split(stored, used):
    store = stored(two_balls())
    with pytest.raises(MeUNetError, match="paint a mark of another label"):
        used(store, Split(1))
    assert len(store.journal.history.done) == 0


@pytest.fixture
def scan(rng):
    """Return a bright ball of radius 10 in noise, and its true mask."""
    z, y, x = np.indices((40, 40, 40))
    # the voxels of the fixture `stored` are 4, 2 and 3 um
    ball = (4 * (z - 20)) ** 2 + (2 * (y - 20)) ** 2 + (3 * (x - 20)) ** 2 < 40**2
    blurred = gaussian_filter(100 * ball.astype(np.float32), 1)
    return blurred + rng.normal(0, 3, ball.shape), ball


def dice(one, other):
    return 2 * (one & other).sum() / (one.sum() + other.sum())


@pytest.mark.parametrize("by", [10.0, 16.0])
def test_a_rough_mark_snaps_to_the_edges(scan, stored, used, by):
    voxels, ball = scan
    rough = np.roll(ball, (1, 2, -1), (0, 1, 2))
    store = stored(rough.astype(np.uint8))
    found = used(store, Snap(1, by, lambda: voxels)) == 1
    assert dice(rough, ball) < 0.92
    assert dice(found, ball) > 0.975


def test_in_a_plane_the_others_do_not_matter(scan, stored, used):
    voxels, ball = scan
    rough = np.roll(ball, 2, 1)
    store = stored(rough.astype(np.uint8))
    found = used(store, Snap(1, 8.0, lambda: voxels), box_at((20, 0, 0), (1, 40, 40)))
    assert dice(found[20] == 1, ball[20]) > 0.97
    rough[20] = found[20]
    np.testing.assert_array_equal(found, rough)


def test_nothing_moves_farther_than_it_may_or_into_other_labels(scan, stored, used):
    voxels, ball = scan
    labels = np.roll(ball, 3, 2).astype(np.uint8)
    labels[:, :, 32:][labels[:, :, 32:] == 0] = 2
    store = stored(labels)
    found = used(store, Snap(1, 3.0, lambda: voxels))
    np.testing.assert_array_equal(found == 2, labels == 2)
    inside, outside = np.pad(labels == 1, 1), np.pad(labels != 1, 1)
    for mask, changed in ((inside, found == 1), (outside, found != 1)):
        # one voxel along x is 3 um: what is deeper than that has not changed
        deep = mask[1:-1, 1:-1, 1:-1] & mask[1:-1, 1:-1, :-2] & mask[1:-1, 1:-1, 2:]
        deep &= mask[1:-1, :-2, 1:-1] & mask[1:-1, 2:, 1:-1]
        assert changed[deep & mask[:-2, 1:-1, 1:-1] & mask[2:, 1:-1, 1:-1]].all()


def test_what_is_too_large_or_too_fine_is_refused(stored, used, monkeypatch):
    store = stored(two_balls())
    with pytest.raises(MeUNetError, match="at least one voxel"):
        used(store, Snap(1, 1.0, lambda: np.zeros(store.shape)))
    monkeypatch.setattr(regions, "LARGEST_REGION", 44_999)
    for tool in (Split(1), Snap(1, 8.0, lambda: np.zeros(store.shape))):
        with pytest.raises(MeUNetError, match="got 45,000; work in view"):
            used(store, tool)
