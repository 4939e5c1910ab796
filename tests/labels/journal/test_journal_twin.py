"""Any sequence of edits, undos, deaths and reopenings equals that on NumPy arrays."""

import os
import shutil
import tempfile
from pathlib import Path
from unittest import mock

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
)

from napari_meunet.errors import MeUNetError
from napari_meunet.labels.box import extent
from napari_meunet.labels.journal import journal
from napari_meunet.labels.store import LabelStore
from napari_meunet.volume.volume import Volume

SHAPE = (2, 4, 11)
EVERYTHING = tuple(slice(0, n) for n in SHAPE)
VOXELS = "labels.tif", "corrected", "model"
PAGE = 16  # bytes that reach the disk together; small, so that many do not

spans = [
    st.tuples(st.integers(0, n - 1), st.integers(1, n)).map(
        lambda pair: slice(pair[0], max(pair[0] + 1, pair[1]))
    )
    for n in SHAPE
]
boxes = st.tuples(*spans)
seeds = st.integers(0, 2**16)


class Twin:
    """What a person says, and what the model says, in memory."""

    def __init__(self):
        self.mine = np.zeros(SHAPE, np.uint8)
        self.corrected = np.zeros(SHAPE, bool)
        self.model = np.zeros(SHAPE, np.uint8)

    @property
    def labels(self):
        return np.where(self.corrected, self.mine, self.model)

    def remember(self):
        return self.mine.copy(), self.corrected.copy()

    def recall(self, memory):
        self.mine, self.corrected = (part.copy() for part in memory)


class Editing(RuleBasedStateMachine):
    """The twin remembers all of a person's voxels before and after every stroke."""

    @initialize()
    def create(self):
        self.no_waiting = mock.patch.object(os, "fsync")  # which says nothing here
        self.no_waiting.start()
        # so that the journal is written anew now and then
        self.little_waste = mock.patch.object(journal, "MOST_WASTED", 3)
        self.little_waste.start()
        self.parent = tempfile.TemporaryDirectory()
        self.n_folders = 0
        volume = Volume.from_array(np.zeros(SHAPE, np.uint8))
        self.twin = Twin()
        self.done, self.undone = [], []
        LabelStore.create(self.folder(), volume, ()).close()
        self.reopen()

    def folder(self):
        return Path(self.parent.name) / f"{self.n_folders}.meunet"

    def remember_the_disk(self):
        self.on_disk = {name: self.bytes_of(name) for name in VOXELS}

    def bytes_of(self, name):
        path = self.store.folder / name
        return np.frombuffer(path.read_bytes(), np.uint8).copy()

    @rule(box=boxes, label=st.integers(0, 3), seed=seeds, is_last=st.booleans())
    def paint(self, box, label, seed, is_last):
        brush = np.random.default_rng(seed).random(extent(box)) < 0.7
        region = self.labels[box]
        np.testing.assert_array_equal(region, self.twin.labels[box])
        changed = brush & (region != label)
        before = self.twin.remember()
        if changed.all():  # napari then writes without reading
            self.labels[box] = np.full(extent(box), label, np.uint8)
        else:
            region[changed] = label
            self.labels[box] = region
        self.n_writes += 1
        if changed.any():
            self.twin.mine[box][changed] = label
            self.twin.corrected[box][changed] = True
            if self.stroke_is_open:
                before = self.done.pop()[0]
            self.done.append((before, self.twin.remember()))
            self.undone.clear()
            self.stroke_is_open = True
        if is_last:
            self.labels.end_stroke(self.n_writes)
            self.stroke_is_open, self.n_writes = False, 0

    @rule(box=boxes, seed=seeds, end=st.sampled_from(["comes", "cancelled", "dies"]))
    def use_a_tool(self, box, seed, end):
        """Two edits of one stroke, or none."""
        rng = np.random.default_rng(seed)
        halves = slice(box[0].start, box[0].start + 1), box[0]
        before = self.twin.remember()
        stroke = None
        self.stroke_is_open = False
        try:
            with self.store.journal.whole_stroke("tool"):
                for half in halves:
                    place = half, box[1], box[2]
                    old = np.array(self.store.labels[place])
                    new = rng.integers(0, 4, old.shape, dtype=np.uint8)
                    changed = new != old
                    if changed.any():
                        edit = self.store._voxels.edit(place, changed, new)
                        self.store.journal.record(edit, "tool")
                        self.twin.mine[place][changed] = new[changed]
                        self.twin.corrected[place][changed] = True
                        stroke = before, self.twin.remember()
                if end == "dies":
                    self.move(b"")
                    raise InterruptedError
                if end == "cancelled":
                    raise InterruptedError
        except InterruptedError:
            self.twin.recall(before)
            if end == "dies":
                self.reopen()
            return
        except MeUNetError:  # the tool of the process that has died
            self.twin.recall(before)
            self.reopen()
            return
        if stroke is not None:
            self.done.append(stroke)
            self.undone.clear()

    @rule(n=st.integers(1, 3))
    def undo(self, n):
        self.stroke_is_open = False
        for _ in range(n):
            stroke = self.store.journal.undo()
            assert (stroke is None) == (not self.done)
            if self.done:
                self.undone.append(self.done.pop())
                self.twin.recall(self.undone[-1][0])

    @rule(n=st.integers(1, 3))
    def redo(self, n):
        self.stroke_is_open = False
        for _ in range(n):
            stroke = self.store.journal.redo()
            assert (stroke is None) == (not self.undone)
            if self.undone:
                self.done.append(self.undone.pop())
                self.twin.recall(self.done[-1][1])

    @rule(box=boxes, seed=seeds, overwrite=st.booleans())
    def run_the_model(self, box, seed, overwrite):
        block = np.random.default_rng(seed).integers(0, 4, extent(box), dtype=np.uint8)
        start = tuple(part.start for part in box)
        before = self.twin.remember()
        self.store.journal.end_stroke()
        self.stroke_is_open = False
        self.store.write(start, block, overwrite_corrected=overwrite)
        self.twin.model[box] = block
        if overwrite and self.twin.corrected[box].any():
            self.twin.corrected[box] = False
            self.undone.clear()
            self.done.append((before, self.twin.remember()))
        self.store.flush()
        self.remember_the_disk()

    @rule()
    def close_and_open(self):
        self.store.close()
        self.reopen()
        assert self.store.journal.n_restored == 0

    @rule(torn=st.binary(max_size=20))
    def die(self, torn):
        """The process ends; a record that it was writing may be torn."""
        self.move(torn)
        self.reopen()

    @rule(seed=seeds)
    def lose_power(self, seed):
        """Any part of the voxels that were written since the flush is lost."""
        now = {name: self.bytes_of(name) for name in VOXELS}
        self.move(b"")
        rng = np.random.default_rng(seed)
        for name in VOXELS:
            pages = rng.random(-(-len(now[name]) // PAGE)) < 0.5
            lost = np.repeat(pages, PAGE)[: len(now[name])]
            mixed = np.where(lost, self.on_disk[name], now[name])
            (self.folder() / name).write_bytes(mixed.tobytes())
        self.reopen()

    def move(self, torn):
        """Copy the folder as it lies there, and go on with the copy."""
        old = self.store
        self.n_folders += 1
        shutil.copytree(old.folder, self.folder())
        with (self.folder() / "journal").open("ab") as file:
            file.write(torn)
        old.close()
        old.unmap()

    def reopen(self):
        self.store = LabelStore.open(self.folder())
        self.labels = self.store.editable()
        self.labels.grouped = True
        self.stroke_is_open, self.n_writes = False, 0
        self.remember_the_disk()

    @invariant()
    def everything_is_as_the_twin_says(self):
        np.testing.assert_array_equal(self.store.labels, self.twin.labels)
        corrected = self.store.corrected.read(EVERYTHING)
        np.testing.assert_array_equal(corrected, self.twin.corrected)

    def teardown(self):
        self.store.close()
        self.store.unmap()
        self.parent.cleanup()
        self.no_waiting.stop()
        self.little_waste.stop()


TestEditing = Editing.TestCase
TestEditing.settings = settings(max_examples=50, stateful_step_count=30, deadline=None)
