"""Planes between painted ones, and beside them."""

import numpy as np
import pytest

from napari_meunet.errors import MeUNetError
from napari_meunet.labels.box import box_at
from napari_meunet.labels.journal import history
from napari_meunet.labels.tools.interpolate import Interpolate
from napari_meunet.labels.tools.merge import Merge
from napari_meunet.labels.tools.planes import CopyPlane
from napari_meunet.labels.tools.shapes import Grow
from napari_meunet.labels.tools.take_over import TakeOver


def disk(shape, center, radius):
    y, x = np.indices(shape)
    return (y - center[0]) ** 2 + (x - center[1]) ** 2 <= radius**2


def paint(store, axis, place, mask, value=1):
    """Set voxels of a plane as a person does."""
    box = list(box_at((0, 0, 0), store.shape))
    box[axis] = slice(place, place + 1)
    labels = np.array(store.labels[tuple(box)])
    labels[np.expand_dims(mask, axis)] = value
    store.editable()[tuple(box)] = labels


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_equal_outlines_are_joined_by_a_cylinder(stored, used, axis):
    store = stored(np.zeros((20, 20, 20)))
    mask = disk((20, 20), (9, 11), 5)
    paint(store, axis, 3, mask)
    paint(store, axis, 15, mask)
    found = used(store, Interpolate(1, axis))
    found = np.moveaxis(found, axis, 0)
    np.testing.assert_array_equal(found[3:16], np.broadcast_to(mask, (13, 20, 20)))
    assert not found[:3].any()
    assert not found[16:].any()


def test_radii_change_evenly(stored, used):
    shape = (60, 60)
    store = stored(np.zeros((17, *shape)))
    paint(store, 0, 0, disk(shape, (30, 30), 6))
    paint(store, 0, 16, disk(shape, (30, 30), 22))
    found = used(store, Interpolate(1, 0))
    for z in range(17):
        assert (found[z] != disk(shape, (30, 30), 6 + z)).mean() < 0.02
    widths = found[:, 30].sum(axis=1)
    assert (np.diff(widths) >= 0).all()


def test_outlines_that_do_not_overlap_move(stored, used):
    store = stored(np.zeros((7, 40, 40)))
    square = np.zeros((40, 40), bool)
    square[4:9, 3:10] = True
    paint(store, 0, 0, square)
    paint(store, 0, 6, np.roll(square, (18, 24), (0, 1)))
    found = used(store, Interpolate(1, 0))
    for z in range(7):
        moved = np.roll(square, (3 * z, 4 * z), (0, 1))
        np.testing.assert_array_equal(found[z], moved)


def test_what_a_person_has_set_stays_and_the_model_gives_way(stored, used):
    labels = np.zeros((5, 12, 12), np.uint8)
    labels[1:4, :, :6] = 2  # of the model
    labels[2, 8:11, 5] = 1
    store = stored(labels)
    mask = disk((12, 12), (5, 5), 3)
    paint(store, 0, 0, mask)
    paint(store, 0, 4, mask)
    mine = np.zeros((12, 12), bool)
    mine[5, 5] = True
    paint(store, 0, 2, mine, value=3)
    found = used(store, Interpolate(1, 0))
    assert found[2, 5, 5] == 3
    assert not found[2, 9:11, 5].any()
    np.testing.assert_array_equal(found[1] == 1, mask)
    np.testing.assert_array_equal(found[1] == 2, (labels[1] == 2) & ~mask)
    assert [stroke.tool for stroke in store.journal.history.done][-1] == "interpolate"
    store.journal.undo()
    assert (store.labels[1] == labels[1]).all()


def test_planes_of_the_model_alone_are_none_to_go_by(stored, used):
    labels = np.zeros((9, 8, 8), np.uint8)
    labels[4, 2:4, 2:4] = 1  # of the model
    store = stored(labels)
    mask = disk((8, 8), (4, 4), 2)
    paint(store, 0, 1, mask)
    with pytest.raises(MeUNetError, match="two planes or more, got 1"):
        used(store, Interpolate(1, 0))
    np.testing.assert_array_equal(
        np.delete(store.labels, 1, 0), np.delete(labels, 1, 0)
    )
    paint(store, 0, 7, mask)
    found = used(store, Interpolate(1, 0))
    np.testing.assert_array_equal(found[4] == 1, mask)


def test_islands_that_nobody_has_painted_stay(stored, used):
    shape = (30, 40)
    mine, near = disk(shape, (8, 8), 4), disk(shape, (8, 30), 3)
    far, bridge = disk(shape, (24, 30), 4), np.zeros(shape, bool)
    bridge[8, 12:28] = True
    labels = np.zeros((13, *shape), np.uint8)
    for z in range(13):  # all of it the model's
        labels[z] = near | np.roll(far, z % 2, 1)
    labels[6] |= bridge
    store = stored(labels)
    paint(store, 0, 2, mine)
    paint(store, 0, 10, mine)
    found = used(store, Interpolate(1, 0))
    expected = labels.copy()
    expected[2:11] |= mine
    expected[6][bridge & ~mine & ~near] = 0  # it reaches what was drawn
    np.testing.assert_array_equal(found, expected)


def test_organs_that_have_nothing_to_do_with_each_other_are_not_joined(stored, used):
    one, two, third = (np.zeros((30, 70), bool) for _ in range(3))
    one[4:10, 4:10] = two[4:10, 54:60] = third[20:26, 30:36] = True
    labels = np.zeros((11, 30, 70), np.uint8)
    labels[:, third] = 1  # of the model
    labels[:, 2:12, 25:40] = 2
    store = stored(labels)
    paint(store, 0, 0, one)
    paint(store, 0, 10, two)
    found = used(store, Interpolate(1, 0))
    assert (found[:, 2:12, 25:40] == 2).all()
    assert (found[:, third] == 1).all()
    assert (found[1:10] == 1).sum() < 9 * third.sum() + 10


def test_a_slanted_neighbour_of_what_was_painted_stays(stored, used):
    mine, other = np.zeros((2, 11, 30, 60), np.uint8)
    for z in range(11):
        mine[z, 10:16, 4 + z : 10 + z] = 1
        other[z, 10:16, 20 + z : 26 + z] = 1
    store = stored(other)
    for z in (0, 10):
        paint(store, 0, z, mine[z].astype(bool))
    found = used(store, Interpolate(1, 0))
    np.testing.assert_array_equal(found, mine | other)


def test_the_branches_of_what_was_painted_are_drawn(stored, used):
    shape = (40, 60)
    trunk, one, two = (
        disk(shape, (20, 30), 14),
        disk(shape, (20, 20), 7),
        disk(shape, (20, 40), 7),
    )
    labels = np.zeros((9, *shape), np.uint8)
    labels[8] = two  # of the model
    store = stored(labels)
    paint(store, 0, 0, trunk)
    paint(store, 0, 8, one)
    found = used(store, Interpolate(1, 0))
    for branch in (one, two):
        assert (found[7] == 1)[branch].all()
    areas = (found == 1).sum((1, 2))
    assert (np.diff(areas) <= 0).all()


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_islands_that_only_a_tool_has_touched_stay(stored, used, axis):
    shape = (24, 24)
    labels = np.zeros((24, 24, 24), np.uint8)
    along = np.moveaxis(labels, axis, 0)
    mine = disk(shape, (6, 6), 3)
    for place in range(24):  # of the model, and thicker in the middle
        along[place, disk(shape, (17, 17), 2 + (8 < place < 16))] = 1
    store = stored(labels)
    grown = np.moveaxis(used(store, Grow(1, 4.0)), axis, 0).copy()
    for place in (4, 20):
        paint(store, axis, place, mine)
    found = np.moveaxis(used(store, Interpolate(1, axis)), axis, 0)
    grown[4:21, mine] = 1
    np.testing.assert_array_equal(found, grown)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_an_island_that_was_erased_in_both_planes_is_erased_between(stored, used, axis):
    shape = (24, 24)
    labels = np.zeros((24, 24, 24), np.uint8)
    along = np.moveaxis(labels, axis, 0)
    mine, spot, other = (disk(shape, at, 2) for at in ((5, 5), (5, 18), (18, 18)))
    along[:, spot | other] = 1  # of the model
    store = stored(labels)
    for place in (4, 12):
        paint(store, axis, place, mine)
        paint(store, axis, place, spot, value=0)
    paint(store, axis, 20, mine)  # but not here
    found = np.moveaxis(used(store, Interpolate(1, axis)), axis, 0)
    expected = along.copy()
    expected[4:21] |= mine
    expected[4:13, spot] = 0
    np.testing.assert_array_equal(found, expected)


def test_an_island_of_the_model_is_gone_by_if_its_other_end_was_painted(stored, used):
    shape = (30, 30)
    small, large = disk(shape, (15, 15), 4), disk(shape, (15, 15), 10)
    labels = np.zeros((9, *shape), np.uint8)
    labels[8] = large
    labels[8, 0, 0] = 1
    store = stored(labels)
    paint(store, 0, 0, small)
    one_more = np.zeros(shape, bool)
    one_more[0, 0] = True
    paint(store, 0, 8, one_more, value=0)
    paint(store, 0, 8, one_more)
    found = used(store, Interpolate(1, 0))
    areas = (found == 1).sum((1, 2))
    assert (np.diff(areas[:8]) > 0).all()
    assert not found[1:7, 0, 0].any()


def test_a_full_plane_and_a_small_outline_meet(stored, used):
    store = stored(np.zeros((9, 10, 10)))
    paint(store, 0, 0, np.ones((10, 10), bool))
    paint(store, 0, 8, disk((10, 10), (5, 5), 1))
    found = used(store, Interpolate(1, 0))
    areas = (found == 1).sum(axis=(1, 2))
    assert (np.diff(areas) <= 0).all()


@pytest.mark.parametrize(("axis", "step"), [(0, 1), (1, -1), (2, 1)])
def test_a_plane_is_copied_to_the_next(stored, used, blobs, axis, step):
    labels = blobs((9, 9, 9))
    store = stored(labels)
    box = list(box_at((0, 0, 0), (9, 9, 9)))
    box[axis] = slice(4, 5)
    mine = np.zeros((9, 9), bool)
    mine[2, 3] = True
    paint(store, axis, 4, mine, value=3)
    mine &= np.take(labels, 4, axis) != 3
    found = np.moveaxis(used(store, CopyPlane(1, axis, step), tuple(box)), axis, 0)
    before = np.moveaxis(labels, axis, 0)
    expected = np.where(before[4] == 1, 0, before[4])
    expected[before[4 - step] == 1] = 1
    expected[mine] = 3
    np.testing.assert_array_equal(found[4], expected)
    np.testing.assert_array_equal(np.delete(found, 4, 0), np.delete(before, 4, 0))


def test_there_must_be_something_to_copy(stored, used):
    labels = np.zeros((3, 4, 4), np.uint8)
    labels[0] = 2
    store = stored(labels)
    first, second = box_at((0, 0, 0), (1, 4, 4)), box_at((1, 0, 0), (1, 4, 4))
    with pytest.raises(MeUNetError, match="lie in the volume"):
        used(store, CopyPlane(2, 0, 1), first)
    with pytest.raises(MeUNetError, match="label 1"):
        used(store, CopyPlane(1, 0, 1), second)


def test_a_label_is_merged_into_another_in_a_box(stored, used, blobs):
    labels = blobs((9, 9, 9))
    box = slice(2, 7), slice(0, 9), slice(3, 5)
    found = used(stored(labels), Merge(1, 3), box)
    expected = labels.copy()
    expected[box][labels[box] == 1] = 3
    np.testing.assert_array_equal(found, expected)


def test_interpolated_planes_are_drawn_anew(stored, used):
    shape = (40, 40)
    store = stored(np.zeros((13, *shape)))
    small, large = disk(shape, (20, 20), 4), disk(shape, (20, 20), 12)
    paint(store, 0, 0, small)
    paint(store, 0, 12, small)
    used(store, Interpolate(1, 0))
    hole = np.zeros(shape, bool)
    hole[20, 20] = True
    paint(store, 0, 6, large)
    found = used(store, Interpolate(1, 0))
    np.testing.assert_array_equal(found[6] == 1, large)
    np.testing.assert_array_equal(found[0] == 1, small)
    areas = found.astype(bool).sum(axis=(1, 2))
    assert (np.diff(areas[:7]) >= 0).all()
    assert (np.diff(areas[6:]) <= 0).all()
    assert areas[3] > 1.5 * areas[0]
    n = store.journal.n_changes
    used(store, Interpolate(1, 0))
    assert store.journal.n_changes == n  # it is drawn already
    # smaller again: what was drawn before goes
    paint(store, 0, 6, large & ~small, value=0)
    found = used(store, Interpolate(1, 0))
    np.testing.assert_array_equal(found, np.broadcast_to(small, (13, *shape)))


def test_a_hole_that_a_person_made_before_is_not_drawn_over(stored, used):
    shape = (20, 20)
    store = stored(np.ones((9, *shape)))
    mask = disk(shape, (10, 10), 5)
    hole = disk(shape, (10, 10), 1)
    paint(store, 0, 4, hole, value=0)
    for z in (1, 7):
        paint(store, 0, z, mask, value=0)
        paint(store, 0, z, mask)
    for _ in range(2):
        found = used(store, Interpolate(1, 0))
        assert not found[4][hole].any()
    assert (found[3][hole] == 1).all()


def test_only_the_gap_around_a_plane_may_be_drawn(stored, used):
    store = stored(np.zeros((20, 12, 12)))
    mask = disk((12, 12), (6, 6), 4)
    for z in (2, 6, 10, 14):
        paint(store, 0, z, mask)
    found = used(store, Interpolate(1, 0, around=8))
    drawn = np.flatnonzero(found.any(axis=(1, 2)))
    assert drawn.tolist() == [2, 6, 7, 8, 9, 10, 14]
    found = used(store, Interpolate(1, 0, around=6))
    drawn = np.flatnonzero(found.any(axis=(1, 2)))
    assert drawn.tolist() == [*range(2, 11), 14]
    with pytest.raises(MeUNetError, match="both sides of it, got planes 2 to 14"):
        used(store, Interpolate(1, 0, around=17))


def test_labels_are_interpolated_each_by_itself(stored, used):
    shape = (20, 20)
    store = stored(np.zeros((12, *shape)))
    one, two = disk(shape, (10, 5), 4), disk(shape, (10, 14), 4)
    for z in (0, 11):
        paint(store, 0, z, one)
    for z in (3, 7):
        paint(store, 0, z, two, value=2)
    used(store, Interpolate(1, 0))
    found = used(store, Interpolate(2, 0))
    for z in range(12):
        np.testing.assert_array_equal(found[z] == 1, one)
        np.testing.assert_array_equal(found[z] == 2, two & (3 <= z <= 7))


@pytest.mark.parametrize("grown_first", [True, False])
def test_planes_that_a_tool_has_changed_are_none_to_go_by(stored, used, grown_first):
    labels = np.zeros((13, 24, 24), np.uint8)
    labels[:, 10:14, 10:14] = 1  # of the model
    store = stored(labels)
    mask = disk((24, 24), (12, 12), 8)
    steps = [lambda: used(store, Grow(1, 3.0))]
    steps.append(lambda: [paint(store, 0, z, mask) for z in (1, 9)])
    for step in steps if grown_first else reversed(steps):
        step()
    paint(store, 0, 5, disk((24, 24), (3, 3), 1), value=2)
    found = used(store, Interpolate(1, 0))
    for z in range(2, 9):
        assert (found[z] == 1)[mask & (found[z] != 2)].all()
    assert not (found[10] == 1)[mask].all()


def test_painted_planes_stay_painted_whatever_a_tool_does_to_others(
    stored, used, monkeypatch
):
    monkeypatch.setattr(history, "MOST_STROKES", 3)  # the first ones are forgotten
    labels = np.zeros((9, 12, 30), np.uint8)
    labels[:, 4:8, 20:24] = 2  # of the model
    store = stored(labels)
    mask = disk((12, 30), (6, 6), 4)
    for z in (1, 7):
        paint(store, 0, z, mask)
    for _ in range(2):
        used(store, Grow(2, 3.0))
        used(store, Grow(1, 3.0))
    found = used(store, Interpolate(1, 0))
    assert (found[2:7] == 1)[:, mask].all()


def test_what_a_colleague_has_painted_is_gone_by(stored, used):
    mine, theirs = (stored(np.zeros((9, 12, 12))) for _ in range(2))
    mask = disk((12, 12), (6, 6), 4)
    for z in (1, 7):
        paint(theirs, 0, z, mask)
    used(mine, Grow(1, 3.0))
    used(mine, TakeOver(theirs.labels, theirs.corrected))
    used(mine, Grow(1, 3.0))
    found = used(mine, Interpolate(1, 0))
    assert (found[1:8] == 1)[:, mask].all()
    assert mine.journal.history.done[-1].tool == "interpolate"


def test_what_goes_through_all_planes_paints_none(stored, used):
    shape = (20, 20)
    store = stored(np.zeros((9, *shape)))
    for z in (0, 8):
        paint(store, 0, z, disk(shape, (10, 10), 4))
    used(store, Interpolate(1, 0))
    used(store, Merge(1, 2))
    used(store, Merge(2, 1))
    paint(store, 0, 4, disk(shape, (10, 10), 8))
    found = used(store, Interpolate(1, 0))
    assert (np.diff(found[:5].astype(bool).sum((1, 2))) > 0).all()
