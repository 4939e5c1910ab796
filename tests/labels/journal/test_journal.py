"""Strokes, what is kept of them, and what a disk may lose."""

import errno
import os
import shutil
import threading
from contextlib import closing
from datetime import UTC, datetime

import numpy as np
import pytest

from napari_meunet.errors import MeUNetError
from napari_meunet.labels.box import box_at
from napari_meunet.labels.journal import history, journal
from napari_meunet.labels.journal.entry import Entry, Kind
from napari_meunet.labels.journal.records import RecordFile
from napari_meunet.labels.store import LabelStore
from napari_meunet.volume.volume import Volume

SHAPE = (5, 7, 19)
EVERYTHING = box_at((0, 0, 0), SHAPE)
PLACE = (2, 3, 4)


@pytest.fixture
def labels(store):
    """The model says 2 everywhere."""
    store.write((0, 0, 0), np.full(SHAPE, 2, np.uint8))
    store.flush()
    return store.editable()


def died(store, tmp_path, **lost):
    """Return what the next process finds; `lost` names files with an older content."""
    folder = tmp_path / "died.meunet"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(store.folder, folder)
    for name, content in lost.items():
        path = folder / ("labels.tif" if name == "labels" else name)
        path.write_bytes(content)
    return LabelStore.open(folder)


def files(store):
    paths = {name: store.folder / name for name in ("corrected", "model")}
    paths["labels"] = store.folder / "labels.tif"
    return {name: path.read_bytes() for name, path in paths.items()}


def test_a_grouped_array_undoes_what_a_hand_did_in_one_go(store, labels):
    labels.grouped = True
    for x in range(4):
        labels[0, 0, x] = 1
    labels.end_stroke(4)
    labels[0, 0, 10] = 1
    labels.end_stroke(1)
    assert [s.n_voxels for s in store.journal.history.done] == [4, 1]
    assert store.journal.history.done[0].box == box_at((0, 0, 0), (1, 1, 4))
    store.journal.undo()
    assert store.labels[0, 0].tolist() == [1] * 4 + [2] * 15
    store.journal.undo()
    assert np.all(store.labels[:] == 2)
    assert not store.corrected.any(EVERYTHING)


def test_a_stroke_may_be_told_before_it_is_written(store, labels):
    """So napari does it with a fill."""
    labels.grouped = True
    for x in range(3):
        labels.end_stroke(1)
        labels[0, 0, x] = 1
    assert [s.n_voxels for s in store.journal.history.done] == [1, 1, 1]


def test_undone_strokes_are_forgotten_by_the_next_one(store, labels):
    labels[0, 0, 0] = 1
    labels[0, 0, 1] = 1
    store.journal.undo()
    labels[0, 0, 2] = 1
    assert store.journal.redo() is None
    assert store.labels[0, 0, :3].tolist() == [1, 2, 1]


def test_overwriting_corrected_voxels_can_be_undone(store, labels):
    labels[PLACE] = 1
    store.write((0, 0, 0), np.full(SHAPE, 0, np.uint8), overwrite_corrected=True)
    assert not store.labels.any()
    assert not store.has_corrections
    assert store.journal.history.done[-1].tool == "model"
    store.journal.undo()
    assert np.argwhere(store.labels[:] == 1).tolist() == [list(PLACE)]
    assert store.labels.sum() == 1
    assert store.corrected.read(EVERYTHING).sum() == 1
    store.journal.undo()
    assert not store.labels.any()  # what the model says now, not what it said then


def test_strokes_can_be_undone_after_a_restart(store, labels, tmp_path):
    labels[PLACE] = 1
    labels[0] = 0
    store.journal.undo()
    store.close()
    with LabelStore.open(store.folder) as again:
        assert again.journal.n_restored == 0
        again.journal.redo()
        assert not again.labels[0].any()
        again.journal.undo()
        again.journal.undo()
        assert np.all(again.labels[:] == 2)
        assert again.journal.undo() is None
        assert not again.has_corrections


@pytest.mark.parametrize(
    "lost", [{"labels"}, {"corrected"}, {"labels", "corrected"}, set()]
)
def test_an_edit_whose_voxels_never_reached_the_disk_is_made_again(
    store, labels, tmp_path, lost
):
    before = files(store)
    labels[PLACE] = 1
    labels[PLACE] = 0
    with died(store, tmp_path, **{name: before[name] for name in lost}) as again:
        assert again.journal.n_restored == 2
        assert np.argwhere(again.labels[:] != 2).tolist() == [list(PLACE)]
        assert again.labels[PLACE] == 0
        assert again.corrected.read(EVERYTHING).sum() == 1
        again.journal.undo()
        assert again.labels[PLACE] == 1
        again.journal.undo()
        assert np.all(again.labels[:] == 2)
        assert not again.has_corrections


@pytest.mark.parametrize("lost", [{"labels"}, {"corrected"}, {"labels", "corrected"}])
def test_an_undo_whose_voxels_never_reached_the_disk_is_made_again(
    store, labels, tmp_path, lost
):
    labels[PLACE] = 1
    store.flush()
    before = files(store)
    store.journal.undo()
    with died(store, tmp_path, **{name: before[name] for name in lost}) as again:
        assert again.journal.n_restored == 1
        assert np.all(again.labels[:] == 2)
        assert not again.has_corrections
        before = files(again)
        again.journal.redo()
        lost_now = {name: before[name] for name in lost}
        with died(again, tmp_path / "2", **lost_now) as third:
            assert third.labels[PLACE] == 1
            assert third.corrected.read(EVERYTHING).sum() == 1


def test_nothing_is_repeated_that_was_flushed(store, labels, tmp_path):
    labels[0, 0, 0] = 1
    store.flush()
    labels[0, 0, 1] = 1
    with died(store, tmp_path) as again:
        assert again.journal.n_restored == 1


def test_a_full_disk_refuses_an_edit_and_nothing_changes(store, labels, monkeypatch):
    labels[PLACE] = 1
    records = store.journal._records

    def full(part):
        raise OSError(errno.ENOSPC, "no space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(records, "_write", full)
        for act in (lambda: labels.__setitem__(0, 1), store.journal.undo):
            with pytest.raises(MeUNetError, match="no space left"):
                act()
    assert np.argwhere(store.labels[:] != 2).tolist() == [list(PLACE)]
    assert len(store.journal.history.done) == 1
    store.journal.undo()
    assert np.all(store.labels[:] == 2)


def test_a_disk_that_was_full_when_voxels_were_synced_ends_nothing(
    store, labels, monkeypatch, tmp_path
):
    monkeypatch.setattr(journal, "MOST_UNSYNCED", 0)
    monkeypatch.setattr(store.journal._keeper, "_seconds", 0.01)
    records, tried = store.journal._records, threading.Event()
    append = records.append

    def full(payload):
        if Entry.from_bytes(payload).kind is Kind.SYNCED:
            tried.set()
            raise MeUNetError("no space left on device")
        return append(payload)

    with monkeypatch.context() as patched:
        patched.setattr(records, "append", full)
        labels[0, 0, 0] = 1
        assert tried.wait(10)
        labels[0, 0, 1] = 1
        store.flush()
        with died(store, tmp_path) as again:  # it repeats what is there already
            assert again.journal.n_restored == 2
            assert again.labels[0, 0, :3].tolist() == [1, 1, 2]
    labels[0, 0, 2] = 1
    store.flush()
    with died(store, tmp_path) as again:
        assert again.journal.n_restored == 0
        assert again.labels[0, 0, :4].tolist() == [1, 1, 1, 2]


def test_edits_reach_the_disk_soon_and_a_failing_disk_is_told(
    store, labels, monkeypatch
):
    monkeypatch.setattr(store.journal._keeper, "_seconds", 0.01)
    synced, fails = threading.Event(), threading.Event()

    def fsync(number):
        synced.set()
        if fails.is_set():
            raise OSError(errno.EIO, "input/output error")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", fsync)
        labels[0, 0, 0] = 1
        assert synced.wait(10)
        fails.set()
        labels[0, 0, 1] = 1
        store.journal._keeper._thread.join(10)
        with pytest.raises(MeUNetError, match="input/output error"):
            labels[0, 0, 2] = 1
    assert store.labels[0, 0, :3].tolist() == [1, 1, 2]


def test_only_so_many_strokes_are_kept(store, labels, monkeypatch):
    monkeypatch.setattr(history, "MOST_STROKES", 3)
    for x in range(5):
        labels[0, 0, x] = 1
    n_undone = 0
    while store.journal.undo():
        n_undone += 1
    assert n_undone == 3
    assert store.labels[0, 0, :5].tolist() == [1, 1, 2, 2, 2]


def test_what_nobody_needs_is_dropped_at_opening(store, labels, monkeypatch):
    monkeypatch.setattr(journal, "MOST_WASTED", 10)
    for _ in range(6):
        labels[0, 0, 0] = 1
        store.journal.undo()
    for x in range(1, 5):
        labels[0, 0, x] = 1
    store.journal.undo()
    store.journal.undo()
    store.close()
    size = (store.folder / "journal").stat().st_size
    with LabelStore.open(store.folder) as again:
        assert (store.folder / "journal").stat().st_size < size / 2
        assert again.labels[0, 0, :5].tolist() == [2, 1, 1, 2, 2]
        again.journal.redo()
        again.journal.redo()
        assert again.labels[0, 0, :5].tolist() == [2, 1, 1, 1, 1]
        for _ in range(4):
            again.journal.undo()
        assert again.journal.undo() is None
        assert np.all(again.labels[:] == 2)
    with LabelStore.open(store.folder) as third:
        assert third.journal.n_restored == 0
        assert len(third.journal.history.undone) == 4


def scan_named_in(folder):
    with closing(RecordFile(folder / "journal")) as records:
        return journal.scan_of_journal(records)


def test_a_journal_learns_which_scan_it_is_of_and_never_forgets(store, monkeypatch):
    folder, scan = store.folder, store.manifest.scan.fingerprint
    store.close()
    (folder / "journal").unlink()
    with monkeypatch.context() as before:
        before.setattr(journal.Journal, "_name_scan", lambda self: None)
        with LabelStore.open(folder) as old:
            old.editable()[PLACE] = 1
    assert scan_named_in(folder) == ""
    monkeypatch.setattr(journal, "MOST_WASTED", 0)
    for label in (2, 3, 4):  # it is compacted, too
        with LabelStore.open(folder) as again:
            assert scan_named_in(folder) == scan
            again.editable()[PLACE] = label
            again.journal.undo()
            assert again.journal.history.done


def test_the_journal_of_another_scan_is_not_taken(store, tmp_path):
    other = Volume.from_array(np.ones(store.shape, np.uint8))
    with LabelStore.create(tmp_path / "other.meunet", other, ()) as theirs:
        theirs.editable()[PLACE] = 1
    store.close()
    shutil.copy(theirs.folder / "journal", store.folder / "journal")
    with pytest.raises(MeUNetError, match="got the journal of another one; move it"):
        LabelStore.open(store.folder)
    (store.folder / "journal").unlink()
    with LabelStore.open(store.folder) as again:
        assert again.labels[PLACE] == 0


def test_readers_have_no_journal(store):
    with (
        LabelStore.open(store.folder, writable=False) as reader,
        pytest.raises(MeUNetError, match="writable=True"),
    ):
        reader.journal.undo()


def test_a_closed_store_undoes_nothing(store, labels):
    labels[PLACE] = 1
    store.close()
    with pytest.raises(MeUNetError, match="writable=True"):
        store.journal.undo()
    assert store.labels[PLACE] == 1


def test_an_edit_that_is_being_made_is_not_called_synced(
    store, labels, tmp_path, monkeypatch
):
    """A run finishes planes, in another thread, while a person paints."""
    voxels, apply = store._voxels, store._voxels.apply
    others = []

    def slowly(edit):
        others.append(threading.Thread(target=store.flush))
        others[0].start()
        others[0].join(0.2)  # it waits for this edit
        apply(edit)

    with monkeypatch.context() as patched:
        patched.setattr(voxels, "apply", slowly)
        labels[PLACE] = 1
    others[0].join()
    with died(store, tmp_path) as again:
        assert again.labels[PLACE] == 1


def test_a_model_that_writes_over_corrections_leaves_a_brush_its_sight(store, labels):
    labels[4, 6, 18] = 1
    region = labels[1:2, 0:3, 0:3]
    store.write((0, 0, 0), np.full(SHAPE, 0, np.uint8), overwrite_corrected=True)
    region[0, 1, 1] = 1
    labels[1:2, 0:3, 0:3] = region
    assert store.corrected.read(EVERYTHING).sum() == 1
    assert store.labels.sum() == 1


def test_a_refused_write_does_not_shift_the_strokes_after_it(
    store, labels, monkeypatch
):
    labels.grouped = True
    labels.end_stroke(1)
    with pytest.raises(ValueError, match="from 0 to 255"):
        labels[0, 0, 0] = 999
    for stroke in range(3):
        for x in range(4):
            labels[stroke, 0, x] = 1
        labels.end_stroke(4)
    assert [s.n_voxels for s in store.journal.history.done] == [4, 4, 4]


def test_a_folder_of_an_earlier_version_gets_the_map_of_the_model(store, labels):
    store.close()
    store.unmap()
    (store.folder / "model").unlink()
    with LabelStore.open(store.folder) as again:
        again.editable()[PLACE] = 1
        again.journal.undo()
        assert np.all(again.labels[:] == 2)


def test_a_store_may_be_closed_by_the_thread_that_syncs(store, labels, monkeypatch):
    keeper = store.journal._keeper
    monkeypatch.setattr(keeper, "_seconds", 0.01)
    monkeypatch.setattr(keeper, "_work", store.close)
    labels[PLACE] = 1
    keeper._thread.join(10)
    keeper.require_health()
    assert not store.writable


@pytest.mark.parametrize("kind", [Kind.UNDO, Kind.REDO, 99])
def test_entries_that_make_no_sense_are_refused_in_words(store, labels, kind):
    store.close()
    records = RecordFile(store.folder / "journal")
    entry = Entry(kind, 1, datetime.now(UTC))
    records.append(entry.to_bytes())
    records.close()
    with pytest.raises(MeUNetError, match="move it away"):
        LabelStore.open(store.folder)
    (store.folder / "journal").unlink()
    with LabelStore.open(store.folder) as again:
        assert np.all(again.labels[:] == 2)


def test_a_disk_too_full_to_write_anew_keeps_nobody_out(store, labels, monkeypatch):
    monkeypatch.setattr(journal, "MOST_WASTED", 2)
    for _ in range(3):
        labels[0, 0, 0] = 1
        store.journal.undo()
    labels[0, 0, 1] = 1
    store.close()

    def full(path, payloads):
        raise MeUNetError("no space left on device")

    monkeypatch.setattr(journal, "rewrite", full)
    with LabelStore.open(store.folder) as again:
        again.journal.undo()
        assert np.all(again.labels[:] == 2)


def grow(store, place, value=1):
    """Let a tool set a voxel."""
    box = box_at(place, (1, 1, 1))
    changed, block = np.ones((1, 1, 1), bool), np.full((1, 1, 1), value, np.uint8)
    store.journal.record(store._voxels.edit(box, changed, block), "grow")


def stopped(store, *places):
    """Let a tool set voxels and not come to its end."""
    with pytest.raises(InterruptedError), store.journal.whole_stroke("grow"):
        for place in places:
            grow(store, place)
        raise InterruptedError


def test_a_tool_makes_one_stroke(store, labels):
    with store.journal.whole_stroke("grow"):
        for x in range(3):
            grow(store, (0, 0, x))
            store.journal.end_stroke()  # says somebody else
    assert [s.n_voxels for s in store.journal.history.done] == [3]
    store.close()
    again = LabelStore.open(store.folder)
    assert [s.n_voxels for s in again.journal.history.done] == [3]
    places = again.journal.history.done[0].places
    assert [edit.start[2] for edit in again.journal.edits(places)] == [0, 1, 2]
    again.journal.undo()
    assert np.all(again.labels[:] == 2)
    again.close()


def test_a_tool_that_does_not_come_to_its_end_leaves_nothing(store, labels):
    labels[0, 0, 0] = 1
    labels[0, 0, 1] = 1
    store.journal.undo()
    before = files(store)
    stopped(store, (0, 0, 0), (3, 3, 3))
    assert files(store) == before
    assert [s.n_voxels for s in store.journal.history.done] == [1]
    store.close()
    with LabelStore.open(store.folder) as again:
        assert files(again) == before
        again.journal.redo()  # what was undone before can be done again
        assert again.labels[0, 0, :2].tolist() == [1, 1]
        assert again.journal.redo() is None


def test_a_tool_that_does_nothing_is_not_in_the_journal(store, labels):
    size = (store.folder / "journal").stat().st_size
    with store.journal.whole_stroke("grow"):
        pass
    stopped(store)
    assert (store.folder / "journal").stat().st_size == size


def test_a_process_that_dies_while_a_tool_works_leaves_nothing_of_it(
    store, labels, tmp_path
):
    labels[0, 0, 0] = 1
    before = files(store)
    with store.journal.whole_stroke("grow"):
        grow(store, (2, 2, 2))
        grow(store, (3, 3, 3))
        with died(store, tmp_path) as again:
            assert files(again) == before
            assert [s.tool for s in again.journal.history.done] == ["paint"]
        with LabelStore.open(again.folder) as later:
            assert files(later) == before
            assert later.journal.n_restored == 0
    with died(store, tmp_path) as again:
        assert [s.tool for s in again.journal.history.done] == ["paint", "grow"]
        assert again.labels[2, 2, 2] == again.labels[3, 3, 3] == 1


def test_nobody_else_changes_anything_while_a_tool_works(store, labels):
    labels[0, 0, 0] = 1
    with store.journal.whole_stroke("grow"):
        grow(store, (2, 2, 2))
        with pytest.raises(MeUNetError, match="one tool at a time"):
            labels[1, 1, 1] = 1
        for act in (store.journal.undo, store.journal.redo):
            with pytest.raises(MeUNetError, match="one tool at a time"):
                act()
        with (
            pytest.raises(MeUNetError, match="while 'grow' works"),
            store.journal.whole_stroke("smooth"),
        ):
            pass
        grow(store, (2, 2, 3))
    assert store.labels[1, 1, 1] == 2
    assert [s.n_voxels for s in store.journal.history.done] == [1, 2]
    labels[1, 1, 1] = 1


def test_a_model_that_overwrites_waits_for_the_tool(store, labels):
    labels[4, 4, 4] = 1
    plane = np.full((1, *SHAPE[1:]), 3, np.uint8)
    model = threading.Thread(
        target=store.write,
        args=((4, 0, 0), plane),
        kwargs={"overwrite_corrected": True},
    )
    with store.journal.whole_stroke("grow"):
        grow(store, (0, 0, 0))
        model.start()
        model.join(0.2)
        assert model.is_alive()
        assert store.labels[4, 4, 4] == 1
        grow(store, (4, 4, 4))
    model.join(10)
    assert store.labels[4, 4, 4] == 3
    tools = ["paint", "grow", "model"]
    assert [s.tool for s in store.journal.history.done] == tools
    for _ in tools:
        store.journal.undo()
    assert not store.has_corrections
    assert store.labels[4, 4, 4] == 3


def test_a_store_that_is_closed_takes_back_what_a_tool_has_done(store, labels):
    labels[0, 0, 0] = 1
    before = files(store)
    with (
        pytest.raises(MeUNetError, match="open for writing"),
        store.journal.whole_stroke("grow"),
    ):
        grow(store, (2, 2, 2))
        store.close()
        assert files(store) == before
        grow(store, (3, 3, 3))
    with LabelStore.open(store.folder, writable=False) as seen:
        assert files(seen) == before


def test_what_is_read_back_is_what_was_there(store, labels, monkeypatch):
    """A tool that was refused its first edit, after an undo."""
    labels[0, 0, 0] = 1
    store.journal.undo()

    def full(*_):
        raise MeUNetError("the disk must have room, got none")

    with pytest.raises(MeUNetError, match="room"), store.journal.whole_stroke("grow"):
        append, n = store.journal._records.append, []

        def only_once(payload):
            n.append(payload)
            return append(payload) if len(n) == 1 else full()

        monkeypatch.setattr(store.journal._records, "append", only_once)
        try:
            grow(store, (2, 2, 2))
        finally:
            monkeypatch.undo()
    assert [s.number for s in store.journal.history.undone] == [1]
    store.write((0, 0, 0), np.full((1, *SHAPE[1:]), 3, np.uint8))
    store.close()
    with LabelStore.open(store.folder) as again:
        assert [s.number for s in again.journal.history.undone] == [1]
        again.journal.redo()
        assert again.labels[0, 0, 0] == 1


def test_a_long_stroke_is_dropped_at_opening_and_the_journal_compacted(
    store, labels, tmp_path, monkeypatch
):
    monkeypatch.setattr(journal, "MOST_WASTED", 5)
    monkeypatch.setattr(journal, "MOST_UNSYNCED", 2)
    monkeypatch.setattr(journal, "SYNC_SECONDS", 0)
    before = files(store)
    with store.journal.whole_stroke("grow"):
        for x in range(19):
            grow(store, (2, 2, x))
        for _ in range(3):
            with died(store, tmp_path) as again:
                assert files(again) == before
                again.editable()[1, 1, 1] = 1
                again.flush()
                again.editable()[1, 1, 2] = 1


def test_a_change_that_ends_in_the_middle_is_repeated_at_opening(
    store, labels, tmp_path, monkeypatch
):
    labels.grouped = True
    for x in range(4):
        labels[0, 0, x] = 1
    labels.end_stroke(4)
    store.flush()
    revert, n = store._voxels.revert, []

    def only_twice(edit):
        n.append(edit)
        if len(n) > 2:
            raise MemoryError
        revert(edit)

    with monkeypatch.context() as patched:
        patched.setattr(store._voxels, "revert", only_twice)
        with pytest.raises(MemoryError):
            store.journal.undo()
    store.flush()
    assert store.labels[0, 0, :4].tolist() == [1, 1, 2, 2]
    with died(store, tmp_path) as again:
        assert np.all(again.labels[:] == 2)


def test_what_a_person_does_after_a_tool_that_could_not_be_dropped_stays(
    store, labels, monkeypatch
):
    def full(*_):
        raise MeUNetError("the disk must have room, got none")

    with pytest.raises(MeUNetError, match="room"), store.journal.whole_stroke("grow"):
        grow(store, (0, 0, 0))
        monkeypatch.setattr(store.journal._records, "append", full)
        raise InterruptedError
    monkeypatch.undo()
    labels[0, 0, 0] = 3
    store.close()
    with LabelStore.open(store.folder) as again:
        assert again.labels[0, 0, 0] == 3
        assert [s.tool for s in again.journal.history.done] == ["grow", "paint"]
