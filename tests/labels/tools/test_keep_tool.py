"""Labels that are right as they are."""

import numpy as np

from napari_meunet.labels.box import box_at
from napari_meunet.labels.store import LabelStore
from napari_meunet.labels.tools.keep import Keep

SHAPE = (9, 20, 30)
KEPT = box_at((4, 3, 5), (1, 10, 12))


def test_what_is_kept_no_run_changes(stored, used, blobs):
    labels = blobs(SHAPE)
    store = stored(labels)
    np.testing.assert_array_equal(used(store, Keep(), KEPT), labels)
    store.write((0, 0, 0), np.full(SHAPE, 3, np.uint8))
    expected = np.full(SHAPE, 3)
    expected[KEPT] = labels[KEPT]
    np.testing.assert_array_equal(store.labels, expected)


def test_it_is_one_stroke_that_counts_what_was_not_yet_a_persons(stored, used, blobs):
    store = stored(blobs(SHAPE))
    store.editable()[4, 3, 5:9] = (store.labels[4, 3, 5:9] + 1) % 4
    used(store, Keep(), KEPT)
    stroke = store.journal.history.done[-1]
    assert (stroke.tool, stroke.n_voxels) == ("keep", 120 - 4)
    n_strokes = len(store.journal.history.done)
    used(store, Keep(), KEPT)  # nothing is left to keep
    assert len(store.journal.history.done) == n_strokes


def test_undone_it_is_the_models_again_also_after_a_restart(stored, used, blobs):
    labels = blobs(SHAPE)
    with stored(labels) as store:
        store.editable()[4, 3, 5] = (labels[4, 3, 5] + 1) % 4
        used(store, Keep(), KEPT)
        assert store.corrected.read(KEPT).all()
    with LabelStore.open(store.folder) as store:
        store.journal.undo()
        assert np.argwhere(store.corrected.read(KEPT)).tolist() == [[0, 0, 0]]
        store.journal.redo()
        assert store.corrected.read(KEPT).all()
        store.journal.undo()
        store.write((0, 0, 0), np.full(SHAPE, 2, np.uint8))
        assert (np.ravel(store.labels[KEPT])[1:] == 2).all()
