"""What another run says, taken over where nobody has corrected anything."""

import numpy as np

from napari_meunet.labels.box import box_at
from napari_meunet.labels.tools.adopt import Adopt

SHAPE = (5, 7, 19)


def test_new_labels_count_in_their_box_and_the_one_asked_for(store, rng):
    old, new = (rng.integers(0, 3, n, np.uint8) for n in (SHAPE, (3, 4, 9)))
    store.write((0, 0, 0), old)
    store.editable()[2, 3, 4:8] = mine = (old[2, 3, 4:8] + 1) % 3
    tool = Adopt(box_at((1, 2, 3), new.shape), new)
    list(store.use(tool, box_at((0, 0, 0), (4, 5, 19))))
    expected = old.copy()
    expected[1:4, 2:5, 3:12] = new[:, :3]  # the fourth row was not asked for
    expected[2, 3, 4:8] = mine
    np.testing.assert_array_equal(store.labels, expected)
    changed = expected != old
    np.testing.assert_array_equal(
        store.corrected.read(box_at((0, 0, 0), SHAPE)), changed
    )
    store.journal.undo()
    expected[...] = old
    expected[2, 3, 4:8] = mine
    np.testing.assert_array_equal(store.labels, expected)


def test_reviewed_places_stay(store):
    store.reviewed.mark((0, 0, 0))
    tool = Adopt(box_at((0, 0, 0), SHAPE), np.ones(SHAPE, np.uint8))
    list(store.use(tool, box_at((0, 0, 0), SHAPE)))
    assert not store.labels.any()
