"""EditableLabels against a NumPy twin: labels and corrected voxels."""

import copy
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from napari_meunet.errors import MeUNetError
from napari_meunet.labels import edit as edit_module
from napari_meunet.labels import editable as editable_module
from napari_meunet.labels.box import extent
from napari_meunet.labels.store import LabelStore
from napari_meunet.volume.volume import Volume

SHAPE = (4, 6, 17)
EVERYTHING = (slice(0, 4), slice(0, 6), slice(0, 17))

spans = [
    st.tuples(st.integers(0, n - 1), st.integers(1, n)).map(
        lambda pair: slice(pair[0], max(pair[0] + 1, pair[1]))
    )
    for n in SHAPE
]
boxes = st.tuples(*spans)
seeds = st.integers(0, 2**16)


def changes(mine, changed, box):
    """Tell whether voxels `changed` of the box `mine` lie in another box."""
    there = np.zeros(SHAPE, bool)
    there[mine] = changed
    return there[box].any()


class Painter(RuleBasedStateMachine):
    """Paint, undo, redo and model runs in any order, as napari does them."""

    @initialize()
    def open_labels(self):
        self.folder = tempfile.TemporaryDirectory()
        self.store = LabelStore.create(
            Path(self.folder.name) / "scan.meunet",
            Volume.from_array(np.zeros(SHAPE, np.uint8)),
            (),
        )
        self.labels = self.store.editable()
        self.twin = np.zeros(SHAPE, np.uint8)
        self.corrected = np.zeros(SHAPE, bool)
        self.done = []
        self.undone = []

    @rule(box=boxes, label=st.integers(0, 3), seed=seeds)
    def paint(self, box, label, seed):
        brush = np.random.default_rng(seed).random(extent(box)) < 0.6
        region = self.labels[box]
        changed = brush & (region != label)
        if not changed.any():
            return
        before = region[changed], self.corrected[box][changed]
        region[changed] = label
        self.labels[box] = region
        self.twin[box][changed] = label
        self.corrected[box][changed] = True
        self.done.append((box, changed, before, label, before[0].copy()))
        self.undone.clear()

    @precondition(lambda self: self.done)
    @rule()
    def undo(self):
        box, changed, (labels, corrected), label, beneath = self.done.pop()
        if changed.all():  # napari then writes without reading
            self.labels[box] = labels.reshape(changed.shape)
        else:
            region = self.labels[box]
            region[changed] = labels
            self.labels[box] = region
        self.twin[box][changed] = beneath
        self.corrected[box][changed] = corrected
        self.undone.append((box, changed, (labels, corrected), label))

    @precondition(lambda self: self.undone)
    @rule()
    def redo(self):
        box, changed, before, label = self.undone.pop()
        # the model may have written here since
        if not np.array_equal(self.twin[box][changed], before[0]):
            return
        if changed.all():
            self.labels[box] = label
        else:
            region = self.labels[box]
            region[changed] = label
            self.labels[box] = region
        self.twin[box][changed] = label
        self.corrected[box][changed] = True
        self.done.append((box, changed, before, label, before[0].copy()))

    @rule(box=boxes, seed=seeds)
    def let_the_model_overwrite(self, box, seed):
        """What a person has changed there is past."""
        block = np.random.default_rng(seed).integers(0, 4, extent(box), dtype=np.uint8)
        start = tuple(part.start for part in box)
        self.store.write(start, block, overwrite_corrected=True)
        self.twin[box] = block
        self.corrected[box] = False
        self.done = [each for each in self.done if not changes(*each[:2], box)]
        self.undone.clear()

    @rule(box=boxes, seed=seeds)
    def run_the_model(self, box, seed):
        block = np.random.default_rng(seed).integers(0, 4, extent(box), dtype=np.uint8)
        self.store.write(tuple(part.start for part in box), block)
        free = ~self.corrected[box]
        self.twin[box][free] = block[free]
        said, here = np.zeros(SHAPE, np.uint8), np.zeros(SHAPE, bool)
        said[box], here[box] = block, True
        for place, changed, (_, corrected), _, beneath in self.done:
            news = here[place][changed] & ~corrected
            beneath[news] = said[place][changed][news]

    @rule(box=boxes)
    def look(self, box):
        np.testing.assert_array_equal(self.labels[box], self.twin[box])

    @invariant()
    def labels_and_corrected_are_as_the_twin_says(self):
        np.testing.assert_array_equal(self.store.labels, self.twin)
        np.testing.assert_array_equal(
            self.store.corrected.read(EVERYTHING), self.corrected
        )

    def teardown(self):
        self.store.close()
        self.folder.cleanup()


TestPainter = Painter.TestCase
TestPainter.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)


@pytest.fixture
def labels(store):
    return store.editable()


@pytest.mark.parametrize(
    "index",
    [
        2,
        -1,
        np.int64(1),
        (2, 3, 4),
        (slice(None), 3, -2),
        (slice(1, 3), slice(2, 99), slice(-5, None)),
        (..., 4),
        (1, ...),
        ...,
        (slice(3, 1),),
        (np.array([0, 4, 2]), np.array([6, 0, 1]), np.array([-1, 3, 18])),
        (np.array([[0], [4]]), np.array([1, 2]), np.array(3)),
    ],
)
def test_indices_mean_what_they_mean_to_numpy(labels, index):
    twin = np.zeros(labels.shape, np.uint8)
    labels[index] = 3
    twin[index] = 3
    np.testing.assert_array_equal(np.asarray(labels), twin)
    values = np.arange(twin[index].size).reshape(twin[index].shape) % 200
    labels[index] = values
    twin[index] = values
    np.testing.assert_array_equal(np.asarray(labels), twin)
    np.testing.assert_array_equal(labels[index], twin[index])
    assert type(labels[index]) is type(twin[index])


def test_it_looks_like_an_array(labels):
    assert (labels.shape, labels.ndim, labels.size) == ((5, 7, 19), 3, 665)
    assert labels.dtype == np.uint8
    assert np.asarray(labels, dtype=np.int64).dtype == np.int64


def test_a_duplicate_lies_in_memory(labels):
    labels[1, 2, 3] = 1
    duplicate = copy.deepcopy(labels)
    duplicate[0] = 2
    assert duplicate[1, 2, 3] == 1
    assert not labels[0].any()


def test_reading_gives_a_copy(labels):
    labels[0, 0, 0] = 1
    labels[0, :, :][0, 0] = 2
    labels[...][0, 0] = 2
    assert labels[0, 0, 0] == 1


def test_a_plane_by_its_number_is_a_look_without_a_copy(labels):
    plane = labels[1]
    labels[1, 2, 3] = 1
    assert plane[2, 3] == 1
    with pytest.raises(ValueError, match="read-only"):
        plane[0, 0] = 1


def test_only_changed_voxels_become_corrected(store, labels):
    labels[1, 2, 3:6] = [0, 2, 0]
    mask = store.corrected.read((slice(1, 2), slice(2, 3), slice(0, 19)))
    assert np.flatnonzero(mask).tolist() == [4]


def test_points_that_are_set_and_taken_back_leave_no_trace(store, labels):
    points = np.array([0, 4]), np.array([1, 5]), np.array([2, 18])
    labels[points] = np.array([1, 2])
    assert labels[points].tolist() == [1, 2]
    labels[points] = np.array([0, 0], np.uint8)
    assert not store.corrected.any((slice(0, 5), slice(0, 7), slice(0, 19)))
    labels[(np.array([], int),) * 3] = 1
    assert not store.labels.any()


@pytest.mark.parametrize("value", [256, -1, 1.5, np.array([1, 300]), None, "gut"])
def test_only_labels_that_uint8_holds_are_taken(labels, value):
    with pytest.raises(ValueError, match="integers from 0 to 255"):
        labels[0, 0, :2] = value
    assert not labels[:].any()


@pytest.mark.parametrize(
    "index",
    [
        (slice(None, None, 2),),
        np.zeros((5, 7, 19), bool),
        (np.array([0]), slice(None), 1),
        None,
        (0, 0, 0, 0),
        (0, 0, 19),
        True,
        (np.array([5]), np.array([0]), np.array([0])),
    ],
)
def test_other_indices_are_refused(labels, index):
    with pytest.raises(IndexError):
        labels[index] = 1
    assert not labels[:].any()


def test_values_must_fit_the_box(labels):
    with pytest.raises(ValueError, match="broadcast"):
        labels[0, :2, :2] = np.zeros((3, 3), np.uint8)


def test_what_the_model_writes_during_an_edit_stays(store, labels):
    # the model writes between the read and the write of a brush
    region = labels[1:2, 0:3, 0:3]
    store.write((0, 0, 0), np.full((5, 7, 19), 2, np.uint8))
    region[0, 1, 1] = 1
    labels[1:2, 0:3, 0:3] = region
    assert store.labels[1, :3, :3].tolist() == [[2, 2, 2], [2, 1, 2], [2, 2, 2]]
    assert store.corrected.read((slice(1, 2), slice(0, 3), slice(0, 3))).sum() == 1
    # ... and of a fill, which reads a plane and writes a part of it
    plane = labels[3, :, :]
    store.write((3, 0, 0), np.full((1, 7, 19), 0, np.uint8))
    part = plane[2:4, 2:4]
    part[0, 0] = 1
    labels[3, 2:4, 2:4] = part
    assert store.labels[3, 2:4, 2:4].tolist() == [[1, 0], [0, 0]]


def test_a_read_before_another_write_counts_no_more(store, labels):
    labels[0:1, 0:2, 0:2]  # seen: zeros
    labels[0:1, 0:2, 0:2] = 1
    labels[0:1, 0:2, 0:2] = np.zeros((1, 2, 2), np.uint8)
    assert not store.labels.any()


def test_an_undo_restores_what_the_model_has_said_meanwhile(store, labels):
    region = labels[0:1, 0:3, 0:3]
    region[0, 1, 1] = 1
    labels[0:1, 0:3, 0:3] = region
    store.write((0, 0, 0), np.full((1, 7, 19), 2, np.uint8))
    assert labels[0, 1, 1] == 1
    region = labels[0:1, 0:3, 0:3]
    region[0, 1, 1] = 0  # napari writes the label that it remembers
    labels[0:1, 0:3, 0:3] = region
    assert np.all(store.labels[0] == 2)
    assert not store.corrected.any((slice(0, 1), slice(0, 7), slice(0, 19)))


def test_edits_out_of_memory_are_undone_as_edits(store, monkeypatch):
    monkeypatch.setattr(edit_module, "RECENT_BYTES", 100)
    labels = store.editable()
    labels[0, 0, 0] = 1
    labels[1] = 1
    labels[1] = np.zeros((7, 19), np.uint8)
    assert not labels[1].any()
    assert store.corrected.read((slice(1, 2), slice(0, 7), slice(0, 19))).all()


def test_an_edit_must_fit_into_memory(labels, monkeypatch):
    monkeypatch.setattr(editable_module, "LARGEST_EDIT", 100)
    labels[0, :5, :5] = 1
    with pytest.raises(MeUNetError, match=r"at most 100 voxels.*\(1, 7, 19\)"):
        labels[1] = 1
    with pytest.raises(MeUNetError, match="edit smaller parts"):
        labels[(np.array([0, 4]), np.array([0, 6]), np.array([0, 18]))] = 1
