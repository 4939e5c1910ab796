"""Edits and entries as bytes."""

from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_meunet.labels.edit import Edit
from napari_meunet.labels.journal.entry import Entry, Kind, packed, unpacked


@settings(deadline=None)
@given(
    extent=st.tuples(*[st.integers(1, 9)] * 3),
    seed=st.integers(0, 2**16),
    density=st.floats(0, 1),
    becomes_corrected=st.booleans(),
)
def test_an_edit_comes_back_as_it_was(extent, seed, density, becomes_corrected):
    rng = np.random.default_rng(seed)
    changed = rng.random(extent) < density
    n = int(changed.sum())
    edit = Edit(
        start=(3, 2**31, 5),
        changed=changed,
        before=rng.integers(0, 256, n, np.uint8),
        after=rng.integers(0, 256, n, np.uint8),
        was_corrected=rng.random(n) < 0.5,
        becomes_corrected=becomes_corrected,
    )
    entry = Entry(
        Kind.EDIT, 2**40, datetime(2026, 11, 22, tzinfo=UTC), "Pinsel ü", packed(edit)
    )
    again = Entry.from_bytes(entry.to_bytes())
    assert again == entry
    assert (again.box, again.n_voxels) == (edit.box, n)
    back = unpacked(again.packed)
    assert (back.start, back.becomes_corrected) == (edit.start, becomes_corrected)
    for name in ("changed", "before", "after", "was_corrected"):
        np.testing.assert_array_equal(getattr(back, name), getattr(edit, name))


@pytest.mark.parametrize("kind", [Kind.UNDO, Kind.REDO, Kind.SYNCED])
def test_other_entries_are_a_number_and_a_time(kind):
    entry = Entry(kind, 7, datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))
    assert Entry.from_bytes(entry.to_bytes()) == entry


def test_a_dab_of_the_brush_takes_few_bytes():
    z, y, x = np.ogrid[-10:11, -10:11, -10:11]
    ball = x**2 + y**2 + z**2 <= 100
    n = int(ball.sum())
    edit = Edit(
        (0, 0, 0),
        ball,
        np.zeros(n, np.uint8),
        np.ones(n, np.uint8),
        np.zeros(n, bool),
        True,
    )
    assert n == 4169
    assert len(packed(edit)) < 1000
