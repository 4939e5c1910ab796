import numpy as np
import pytest

from benchmarks.accuracy.data import (
    DATA_SETS,
    WEAVE_PATCH,
    shrunk,
    shrunk_labels,
    split,
    weave_boxes,
)
from benchmarks.accuracy.settings import SETTINGS


def test_the_parts_of_a_split_share_no_name_and_leave_none_out():
    names = [f"strain {i}" for i in range(26)]

    parts = split(names)

    assert [len(part) for part in parts.values()] == [18, 2, 6]
    assert sorted(name for part in parts.values() for name in part) == sorted(names)


def test_a_split_does_not_depend_on_the_order_of_the_files():
    names = [f"strain {i}" for i in range(26)]

    assert split(names) == split(names[::-1])


def test_the_blocks_of_the_weave_lie_a_patch_apart_and_the_quarters_are_disjoint():
    times_tested = np.zeros((150, 150, 150), int)
    boxes = weave_boxes(times_tested.shape)
    train = boxes.pop("train")

    for box in boxes.values():
        times_tested[box] += 1

    assert times_tested.max() == 1
    tested = np.flatnonzero(times_tested.any(axis=(0, 1)))
    assert tested[0] - train[2].stop >= WEAVE_PATCH
    assert times_tested.sum() == 150 * 150 * len(tested)


@pytest.mark.parametrize("setting", SETTINGS.values(), ids=SETTINGS)
def test_no_patch_of_the_weave_is_longer_than_the_gap_between_its_blocks(setting):
    assert DATA_SETS["weave"].patch_size(setting) <= WEAVE_PATCH


def test_a_coarser_scan_holds_the_means_and_the_most_frequent_labels():
    image = np.arange(8, dtype=np.uint8).reshape(2, 2, 2) * 10
    labels = np.array([3, 3, 3, 0, 0, 1, 1, 2], np.uint8).reshape(2, 2, 2)

    assert shrunk(image, 2).tolist() == [[[35]]]
    assert shrunk_labels(labels, 2).tolist() == [[[3]]]


def test_of_equally_frequent_labels_the_least_counts():
    labels = np.array([4, 4, 4, 4, 1, 1, 1, 1], np.uint8).reshape(2, 2, 2)

    assert shrunk_labels(labels, 2).tolist() == [[[1]]]


def test_a_coarser_scan_loses_the_voxels_that_make_no_whole_block():
    image = np.zeros((5, 4, 7), np.uint8)
    image[4], image[:, :, 6] = 255, 255

    coarse = shrunk(image, 2)

    assert coarse.shape == (2, 2, 3)
    assert not coarse.any()


def test_scans_keep_their_size_where_they_are_not_made_coarser(rng):
    labels = rng.integers(0, 4, (3, 4, 5)).astype(np.uint8)

    np.testing.assert_array_equal(shrunk(labels, 1), labels)
    np.testing.assert_array_equal(shrunk_labels(labels, 1), labels)
