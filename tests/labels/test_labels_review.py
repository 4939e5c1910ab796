"""The queue of places to look at."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_meunet.labels.box import box_at
from napari_meunet.labels.review import Review, expected_wrong, forget_review

SHAPE = (70, 33, 64)  # 3 x 2 x 2 places, 18 x 9 x 16 blocks


@pytest.fixture
def confidence():
    blocks = np.full((18, 9, 16), 255, np.uint8)
    blocks[17, 8, 15] = 55  # place (2, 1, 1)
    blocks[0, 0, :4] = 155  # place (0, 0, 0)
    blocks[9, 0, 8] = 247  # place (1, 0, 1), two voxels
    blocks[9, 7, 8] = 254  # place (1, 0, 1)
    blocks[9, 0, 0] = 253  # place (1, 0, 0), half a voxel
    blocks[:, 4, 4] = 0  # nothing is known there
    return blocks


@pytest.fixture
def review(tmp_path, confidence):
    return Review(tmp_path, SHAPE, confidence)


@settings(deadline=None, max_examples=30)
@given(shape=st.tuples(*[st.integers(1, 20)] * 3), seed=st.integers(0, 2**16))
def test_expected_wrong_voxels_are_counted_place_by_place(shape, seed):
    blocks = np.random.default_rng(seed).integers(0, 256, shape, np.uint8)
    found = expected_wrong(blocks)
    wrong = np.where(blocks > 0, 1 - blocks / 255, 0) * 64
    for index in np.ndindex(found.shape):
        place = tuple(slice(8 * i, 8 * i + 8) for i in index)
        assert found[index] == pytest.approx(wrong[place].sum(), rel=1e-5)
    assert found.shape == tuple(-(-n // 8) for n in shape)


def test_the_worst_place_comes_first_and_sure_ones_never(review):
    assert review.queue.tolist() == [[0, 0, 0], [2, 1, 1], [1, 0, 1]]
    first, second = (review.item(tuple(index)) for index in review.queue[:2])
    assert first.expected_wrong == pytest.approx(4 * 64 * 100 / 255)
    assert first.box == box_at((0, 0, 0), (32, 32, 32))
    assert first.center == (2, 2, 2)
    assert second.box == box_at((64, 32, 32), (6, 1, 32))
    assert second.center == (69, 32, 62)  # within the volume


def test_what_was_looked_at_is_remembered_and_left_out(review, tmp_path, confidence):
    review.mark((0, 0, 0))
    assert review.queue.tolist() == [[2, 1, 1], [1, 0, 1]]
    again = Review(tmp_path, SHAPE, confidence)
    assert np.argwhere(again.reviewed).tolist() == [[0, 0, 0]]
    again.mark((0, 0, 0), reviewed=False)
    assert again.queue[0].tolist() == [0, 0, 0]


def test_a_new_run_makes_a_new_queue(review, tmp_path, confidence):
    review.mark((0, 0, 0))
    forget_review(tmp_path)
    assert len(Review(tmp_path, SHAPE, confidence).queue) == 3


def test_a_store_forgets_what_was_looked_at_when_another_run_begins(store):
    assert store.review() is None
    store.write_confidence((0, 0, 0), np.full((2, 2, 5), 200, np.uint8))
    store.begin_run("first", {})
    review = store.review()
    review.mark((0, 0, 0))
    store.begin_run("first", {})  # taken up
    assert store.review().reviewed.all()
    store.begin_run("second", {})
    assert not store.review().reviewed.any()


def test_marks_of_other_places_are_none(tmp_path, review, confidence):
    review.mark((0, 0, 0))
    (tmp_path / "reviewed").write_bytes(b"\x01" * 5)
    assert not Review(tmp_path, SHAPE, confidence).reviewed.any()
