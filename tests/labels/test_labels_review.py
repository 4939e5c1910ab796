"""The queue of places to look at."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_meunet.config import Calibration
from napari_meunet.labels import review as review_room
from napari_meunet.labels.box import box_at
from napari_meunet.labels.review import (
    Review,
    expected_wrong,
    labelled_voxels,
    wrong_by_doubt,
)
from napari_meunet.labels.reviewed import Reviewed
from napari_meunet.labels.store import LabelStore
from napari_meunet.volume.volume import Volume

SHAPE = (70, 33, 64)  # 3 x 2 x 2 places, 18 x 9 x 16 blocks
LABELS = np.zeros(SHAPE, np.uint8)


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
    return Review(Reviewed(tmp_path, SHAPE), LABELS, confidence)


def test_voxels_with_a_label_are_counted(rng, monkeypatch):
    labels = rng.integers(0, 3, (40, 36, 1), np.uint8)
    assert labelled_voxels(labels) == np.count_nonzero(labels)
    assert labelled_voxels(np.zeros_like(labels)) == 0
    monkeypatch.setattr(review_room, "COUNTED", labels.size // 20)
    seen = labels[1::3, 1::3]  # 3 is the least with 27 >= 20
    expected = round(np.count_nonzero(seen) / seen.size * labels.size)
    assert labelled_voxels(labels) == expected


@settings(deadline=None, max_examples=30)
@given(shape=st.tuples(*[st.integers(1, 20)] * 3), seed=st.integers(0, 2**16))
def test_expected_wrong_voxels_are_counted_place_by_place(shape, seed):
    blocks = np.random.default_rng(seed).integers(0, 256, shape, np.uint8)
    found = expected_wrong(blocks, wrong_by_doubt(None))
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
    review.reviewed.mark((0, 0, 0))
    assert review.queue.tolist() == [[2, 1, 1], [1, 0, 1]]
    again = Review(Reviewed(tmp_path, SHAPE), LABELS, confidence)
    assert np.argwhere(again.reviewed.places).tolist() == [[0, 0, 0]]
    again.reviewed.mark((0, 0, 0), reviewed=False)
    assert again.queue[0].tolist() == [0, 0, 0]


def test_marks_of_other_places_are_none(tmp_path, review):
    review.reviewed.mark((0, 0, 0))
    (tmp_path / "reviewed").write_bytes(b"\x01" * 5)
    assert not Reviewed(tmp_path, SHAPE).places.any()


def test_boxes_are_compared_with_the_places_that_are_marked(review):
    review.reviewed.mark((2, 1, 1))
    expected = np.zeros(SHAPE, bool)
    expected[64:, 32:, 32:] = True
    for box in (np.s_[0:70, 0:33, 0:64], np.s_[60:65, 30:33, 40:41]):
        np.testing.assert_array_equal(review.reviewed.read(box), expected[box])
        assert review.reviewed.any(box)
    assert not review.reviewed.any(np.s_[0:64, 0:33, 0:64])


@pytest.fixture
def large(tmp_path, classes):
    """Return labels of ones with two places, of which one is marked."""
    scan = Volume.from_array(np.zeros((4, 4, 40), np.uint8))
    with LabelStore.create(tmp_path / "large.meunet", scan, classes) as store:
        store.write((0, 0, 0), np.ones(store.shape, np.uint8))
        store.reviewed.mark((0, 0, 0))
        yield store


def test_a_run_leaves_reviewed_places_alone(large):
    large.begin_run("another", {})
    large.write((0, 0, 0), np.full(large.shape, 2, np.uint8))
    assert (large.labels[:, :, :32] == 1).all()
    assert (large.labels[:, :, 32:] == 2).all()
    assert large.reviewed.places.tolist() == [[[True, False]]]


def test_undo_in_a_reviewed_place_gives_back_what_was_there(large):
    large.editable()[0, 0, 30:36] = 0
    large.write((0, 0, 0), np.full(large.shape, 2, np.uint8))
    large.journal.undo()
    assert large.labels[0, 0, 28:38].tolist() == [1] * 4 + [2] * 6
    large.journal.redo()
    assert large.labels[0, 0, 28:38].tolist() == [1, 1, *[0] * 6, 2, 2]


def test_a_run_that_overwrites_corrections_forgets_what_was_reviewed(large):
    new = np.full(large.shape, 2, np.uint8)
    large.write((0, 0, 32), new[:, :, 32:], overwrite_corrected=True)
    assert large.reviewed.places.any()  # that is another place
    large.write((0, 0, 0), new, overwrite_corrected=True)
    assert (large.labels == new).all()
    assert not large.reviewed.places.any()
    assert not Reviewed(large.folder, large.shape).places.any()


def test_what_was_measured_counts_more_than_what_the_model_claims(tmp_path, confidence):
    measured = Calibration(claimed=(0.0, 0.2, 1.0), wrong=(0.001, 0.3, 0.3), n_scans=4)
    wrong = wrong_by_doubt(measured)  # where it is sure and wrong, nobody knows
    assert wrong[[0, 51, 255]].tolist() == pytest.approx([0, 0.299, 0.299])
    assert wrong[25] == pytest.approx(25 / 51 * 0.299)
    review = Review(Reviewed(tmp_path, SHAPE), LABELS, confidence, measured)
    # four blocks of a doubt of 100, which is more than 51
    assert review.expected_wrong[0, 0, 0] == pytest.approx(4 * 64 * 0.299)
    assert review.expected_wrong[0, 0, 1] == 0
    # the one at the end of the volume is still among them
    assert review.queue.tolist() == [[0, 0, 0], [2, 1, 1], [1, 0, 1]]


def test_a_store_knows_how_well_the_model_of_its_last_run_judges_itself(store):
    store.write_confidence((0, 0, 0), np.full((2, 2, 5), 200, np.uint8))
    assert store.review().calibration is None
    measured = Calibration(claimed=(0.0, 1.0), wrong=(0.0, 0.5), n_scans=2)
    store.begin_run("a key", {})
    store.mark_finished("all", 3)
    # measured after the run: it is the same one still
    store.begin_run("a key", {"calibration": measured.model_dump(mode="json")})
    assert store.review().calibration == measured
    assert store.finished_planes("all") == 3
    store.begin_run("a key", {"calibration": {"of": "another version"}})
    assert store.review().calibration is None
