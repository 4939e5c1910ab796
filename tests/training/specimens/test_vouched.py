"""What a person vouches for, voxel by voxel."""

import numpy as np
import pytest

from napari_meunet.config import LabelClass
from napari_meunet.errors import MeUNetError
from napari_meunet.labels.store import LabelStore
from napari_meunet.training.label_values import IGNORE
from napari_meunet.training.specimens.vouched import CELL_EDGE, Vouched
from napari_meunet.volume.volume import Volume

SHAPE = (70, 100, 140)  # 2 x 2 x 3 cells
ALL = np.ones((2, 2, 3), bool)


@pytest.fixture
def store(tmp_path, rng):
    classes = [
        LabelClass(value=v, name=f"class {v}", color="#112233") for v in range(3)
    ]
    scan = Volume.from_array(rng.integers(0, 255, SHAPE, np.uint8))
    with LabelStore.create(tmp_path / "a.meunet", scan, tuple(classes)) as store:
        store.write((0, 0, 0), rng.integers(0, 2, SHAPE, np.uint8))
        yield store


def correct(store, box, label=2):
    store.editable()[box] = label


def known(store, counted=ALL, **sure):
    """Return what is not `IGNORE`, plane by plane as trainings read it."""
    planes = Vouched(store).volume(counted, **sure).planes
    found = np.stack([planes[z] for z in range(SHAPE[0])])
    np.testing.assert_array_equal(found, planes[:])
    is_known = found != IGNORE
    np.testing.assert_array_equal(found[is_known], store.labels[is_known])
    return is_known


def test_voxels_that_a_person_set_are_labels(store):
    correct(store, np.s_[3:5, 70:90, 7:100])
    expected = np.zeros(SHAPE, bool)
    expected[3:5, 70:90, 7:100] = True
    np.testing.assert_array_equal(known(store), expected)


def test_places_that_a_person_has_reviewed_are_labels(store):
    store.write_confidence((0, 0, 0), np.full((18, 25, 35), 200, np.uint8))
    store.reviewed.mark((1, 3, 4))
    expected = np.zeros(SHAPE, bool)
    expected[32:64, 96:100, 128:140] = True
    np.testing.assert_array_equal(known(store), expected)


def test_what_the_model_was_sure_of_counts_if_it_is_asked_for(store):
    confidence = np.full((18, 25, 35), 242, np.uint8)
    confidence[2, 3, 34] = 243
    store.write_confidence((0, 0, 0), confidence)
    assert not known(store).any()
    expected = np.zeros(SHAPE, bool)
    expected[8:12, 12:16, 136:140] = True
    np.testing.assert_array_equal(known(store, sure=0.95), expected)


def test_what_the_model_says_does_not_count_where_a_person_was(store):
    store.write_confidence((0, 0, 0), np.full((18, 25, 35), 255, np.uint8))
    correct(store, np.s_[40:41, 30:34, 139:140])
    expected = np.ones(SHAPE, bool)
    expected[32:64, :64, 128:] = False  # two places of 32 voxels along each axis
    expected[40, 30:34, 139] = True
    np.testing.assert_array_equal(known(store, sure=0.95), expected)
    store.reviewed.mark((1, 1, 4))
    expected[32:64, 32:64, 128:] = True
    np.testing.assert_array_equal(known(store, sure=0.95), expected)


def test_cells_that_do_not_count_hold_no_labels(store):
    correct(store, np.s_[:, 50:80, 60:70])
    counted = ~np.zeros_like(ALL)
    counted[0, 0, 1] = False
    expected = np.zeros(SHAPE, bool)
    expected[:, 50:80, 60:70] = True
    expected[:64, :64, 64:128] = False
    np.testing.assert_array_equal(known(store, counted), expected)


def in_cells(cells):
    """Return which voxels lie in some cells."""
    spread = cells.repeat(CELL_EDGE, 0).repeat(CELL_EDGE, 1).repeat(CELL_EDGE, 2)
    return spread[tuple(slice(n) for n in SHAPE)]


def test_some_cells_are_held_out_and_the_rest_learned_from(store):
    for z, y, x in np.argwhere(ALL):
        starts = (i * CELL_EDGE for i in (z, y, x))
        correct(store, tuple(slice(first, first + 2) for first in starts))
    vouched = Vouched(store)
    np.testing.assert_array_equal(vouched.cells(), ALL)
    cells, boxes = vouched.split(seed=4)
    assert 0 < len(boxes) == np.count_nonzero(~cells) < ALL.size
    assert (cells != vouched.split(seed=6)[0]).any()
    measured = np.zeros(SHAPE, bool)
    for box in boxes:
        measured[box] = True
    np.testing.assert_array_equal(measured, in_cells(~cells))
    np.testing.assert_array_equal(known(store, cells), known(store) & in_cells(cells))


def test_cells_with_doubts_that_nobody_has_looked_at_are_measured_too(store):
    correct(store, np.s_[:2, :2, :2])
    correct(store, np.s_[64:66, 64:66, 64:66])
    _, before = Vouched(store).split(seed=4)
    confidence = np.full((18, 25, 35), 255, np.uint8)
    confidence[:, :, 16:] = 200  # of cells 1 and 2 along x
    store.write_confidence((0, 0, 0), confidence)
    cells, boxes = Vouched(store).split(seed=4)
    assert boxes[: len(before)] == before
    found = {tuple(part.start // CELL_EDGE for part in box) for box in boxes}
    held = ~cells & Vouched(store).cells()
    held[:, :, 1:] |= ~cells[:, :, 1:]
    assert found == set(map(tuple, np.argwhere(held).tolist()))
    assert len(found) == len(boxes) > len(before)


@pytest.mark.parametrize("seed", range(6))
def test_no_cell_that_was_learned_from_is_held_out_later(store, seed):
    learned = np.zeros_like(ALL)
    order = np.random.default_rng(seed).permutation(np.argwhere(ALL))
    for z, y, x in order:
        starts = (i * CELL_EDGE for i in (z, y, x))
        correct(store, tuple(slice(first, first + 2) for first in starts))
        vouched = Vouched(store)
        try:
            cells, boxes = vouched.split(seed)
        except MeUNetError:
            continue
        learned |= cells & vouched.cells()
        for box in boxes:
            assert not learned[tuple(part.start // CELL_EDGE for part in box)]
    assert learned.any()


def test_what_a_person_has_done_is_told_apart(store):
    digests = {Vouched(store).digest()}
    correct(store, np.s_[3:5, 70:90, 7:100])
    digests.add(Vouched(store).digest())
    correct(store, np.s_[3, 70, 7], label=1)
    digests.add(Vouched(store).digest())
    store.reviewed.mark((0, 0, 0))
    digests.add(Vouched(store).digest())
    assert len(digests) == 4
    assert Vouched(store).digest() in digests


def test_corrections_in_one_cell_cannot_be_measured_apart(store):
    correct(store, np.s_[:10, :10, :10])
    with pytest.raises(MeUNetError, match="two cubes of 64 voxels or more, got 1"):
        Vouched(store).split(seed=0)
