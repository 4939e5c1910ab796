from itertools import chain, combinations
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from benchmarks.accuracy.data import DATA_SETS
from benchmarks.accuracy.intensity import (
    N_GREYS,
    best_greys,
    counted,
    dice,
    dice_of_greys,
)
from napari_meunet.export.export import export_labels


def padded(few):
    counts = np.zeros((few.shape[0], N_GREYS), np.int64)
    counts[:, : few.shape[1]] = few
    return counts


@given(arrays(np.int64, (3, 6), elements=st.integers(0, 9)))
def test_no_set_of_grey_values_is_better(few):
    counts = padded(few)
    assume(counts[1].any())
    sets = chain.from_iterable(combinations(range(6), n) for n in range(1, 7))

    found = dice(counts, 1, best_greys(counts, 1))

    best = max(dice(counts, 1, np.array(each)) for each in sets)
    assert found == pytest.approx(best)


def test_a_class_that_no_test_scan_holds_has_no_figure(tmp_path, monkeypatch):
    classes = SimpleNamespace(classes=("held", "absent"))
    monkeypatch.setitem(DATA_SETS, "made_up", classes)
    image = np.arange(256, dtype=np.uint8).reshape(4, 8, 8)
    held = (image >= 128).astype(np.uint8)
    both = held + (image == 0) * np.uint8(2)
    for part, labels in {"train": both, "test": held}.items():
        (tmp_path / part).mkdir()
        for suffix, array in {"": image, "_labels": labels}.items():
            list(export_labels(array, tmp_path / part / f"a{suffix}.tif", None))

    assert dice_of_greys(tmp_path, "made_up") == {"held": pytest.approx(1, abs=0.02)}


def test_voxels_are_counted_by_label_and_scaled_grey_value(tmp_path):
    image = np.arange(256, dtype=np.uint8).reshape(4, 8, 8)
    labels = (image >= 128).astype(np.uint8)
    for name, array in {"a.tif": image, "a_labels.tif": labels}.items():
        list(export_labels(array, tmp_path / name, None))

    (counts,) = counted(tmp_path, 1)

    assert counts.shape == (2, N_GREYS)
    assert counts.sum(axis=1).tolist() == [128, 128]
    assert not counts[0, 130:].any()
    assert not counts[1, :126].any()
