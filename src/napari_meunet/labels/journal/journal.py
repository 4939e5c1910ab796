"""The journal of a labels folder: what was done, on disk before it happens."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from threading import Lock

from napari_meunet.errors import MeUNetError
from napari_meunet.labels.edit import Edit
from napari_meunet.labels.journal.entry import Entry, Kind, packed, unpacked
from napari_meunet.labels.journal.history import History, Stroke
from napari_meunet.labels.journal.keeper import Keeper
from napari_meunet.labels.journal.records import RecordFile, rewrite
from napari_meunet.labels.voxels import Voxels

SYNC_SECONDS = 0.5
"""How long an entry may wait before it is sent to the disk."""

MOST_UNSYNCED = 1000
"""Entries after which the voxels are synced, too: opening repeats what comes after."""

MOST_WASTED = 1000
"""Entries that nobody needs any more before the journal is written anew."""


class Journal:
    """Every change that a person makes, or a model of a person's voxels.

    An edit is written here first and to the voxels then. After the death of the
    process it is there when the labels are opened next, after that of the machine if
    it was made at least a second before. Opening repeats what may not have reached the
    voxels.

    What a model says of voxels that nobody has corrected is no edit: it is there or
    not, and the run is resumed.

    Parameters
    ----------
    path
        Where it lies; made if it is missing.
    voxels
        The voxels, open for writing.

    Attributes
    ----------
    history
        What can be undone and done again.
    n_changes
        How many edits, undos and redos it holds.
    n_steps
        How many undos and redos there were since it was opened.
    n_restored
        How many edits, undos and redos were repeated when it was opened.

    Raises
    ------
    MeUNetError
        If the journal cannot be written, or was written by another version.
    """

    def __init__(self, path: Path, voxels: Voxels) -> None:
        self._path = path
        self._voxels = voxels
        self._keeper = Keeper(self._sync, SYNC_SECONDS)
        self._flushing = Lock()
        self._closing = False
        self._stroke_is_open = False
        self.history = History()
        self.n_changes = self._n_synced = self._last_number = 0
        self.n_steps = 0
        self._records = RecordFile(path)
        try:
            self._open()
        except BaseException as error:
            self._records.close()
            if isinstance(error, ValueError | IndexError):
                raise MeUNetError(
                    f"{path} must hold entries that this version knows, got others "
                    f"({error}); move it away to go on without the history of the "
                    "labels"
                ) from error
            raise

    def record(self, edit: Edit, tool: str) -> None:
        """Note an edit, then make it; it joins the stroke if that is of the same tool.

        Raises
        ------
        MeUNetError
            If the disk is full, or fails; nothing has changed then.
        """
        with self._voxels.lock:
            if not self._joins(tool):
                self._last_number += 1
            entry = Entry(Kind.EDIT, self._last_number, _now(), tool, packed(edit))
            self._add(entry, self._append(entry))
            self._stroke_is_open = True
            self._voxels.apply(edit)

    def end_stroke(self) -> None:
        """Let the next edit begin a new stroke."""
        self._stroke_is_open = False

    def undo(self) -> Stroke | None:
        """Take back the last stroke and return it, None if there is none.

        Voxels that a person has not set before get the label that the model gives
        them now.

        Raises
        ------
        MeUNetError
            If the disk is full, or fails; nothing has changed then.
        """
        return self._step(Kind.UNDO, self.history.done, self.history.undo)

    def redo(self) -> Stroke | None:
        """Do again what was undone last and return it, None if there is nothing.

        Raises
        ------
        MeUNetError
            If the disk is full, or fails; nothing has changed then.
        """
        return self._step(Kind.REDO, self.history.undone, self.history.redo)

    def _step(
        self, kind: Kind, strokes: list[Stroke], move: Callable[[], None]
    ) -> Stroke | None:
        """Undo or redo the last of some strokes, which `move` notes in the history."""
        with self._voxels.lock:
            self.end_stroke()
            if not strokes:
                return None
            stroke = strokes[-1]
            edits = list(self._records.at(_in_order(kind, stroke.places)))
            self._append(Entry(kind, stroke.number, _now()))
            move()
            self.n_steps += 1
            self._change(kind, edits)
            return stroke

    def flush(self) -> None:
        """Return when all edits are on the disk, in the journal and in the voxels."""
        with self._flushing:
            if self._records.closed:
                return
            with self._voxels.lock:  # or one may be written and not made yet
                n = self.n_changes
            self._records.sync()  # first: a voxel without its entry explains nothing
            self._voxels.flush()
            if n > self._n_synced:
                with suppress(MeUNetError):  # of a full disk: opening repeats more
                    self._records.append(Entry(Kind.SYNCED, n, _now()).to_bytes())
                    self._records.sync()
                    self._n_synced = n

    def close(self) -> None:
        """Flush, and take no more edits; closing twice is allowed."""
        with self._voxels.lock:
            self._closing = True
        self._keeper.close()
        try:
            self.flush()
        finally:
            self._records.close()

    def _open(self) -> None:
        unsynced = self._read()
        self.n_restored = len(unsynced)
        for kind, places in unsynced:
            self._change(kind, self._records.at(_in_order(kind, places)))
        self.flush()
        strokes = (*self.history.done, *self.history.undone)
        n_needed = sum(len(stroke.places) for stroke in strokes)
        if self.n_changes - n_needed > MOST_WASTED:
            self._compact()
            self._read()

    def _read(self) -> list[tuple[Kind, tuple[int, ...]]]:
        """Read the history, and return the changes that may not be in the voxels.

        Of each of them: its kind, and the places of its edits in their order.
        """
        self.history = History()
        self.n_changes = self._n_synced = self._last_number = 0
        changes: list[tuple[Kind, tuple[int, ...]]] = []
        for place, record in self._records:
            entry = Entry.from_bytes(record)
            if entry.kind is Kind.SYNCED:
                del changes[: entry.number - self._n_synced]
                self._n_synced = entry.number
                continue
            self.n_changes += 1
            if entry.kind is Kind.EDIT:
                self._last_number = entry.number
                self._add(entry, place)
                changes.append((entry.kind, (place,)))
            elif entry.kind is Kind.UNDO:
                self.history.undo()
                changes.append((entry.kind, tuple(self.history.undone[-1].places)))
            else:
                self.history.redo()
                changes.append((entry.kind, tuple(self.history.done[-1].places)))
        return changes

    def _compact(self) -> None:
        """Write the journal anew, without strokes that nobody can undo or redo."""
        done, undone = self.history.done, self.history.undone
        places = [p for stroke in (*done, *reversed(undone)) for p in stroke.places]
        undos = [Entry(Kind.UNDO, stroke.number, _now()) for stroke in undone]
        synced = Entry(Kind.SYNCED, len(places) + len(undos), _now())
        self._records.close()
        ends = (entry.to_bytes() for entry in (*undos, synced))
        with suppress(MeUNetError):  # a full disk keeps nobody from the labels
            rewrite(self._path, chain(self._records.at(places), ends))
        self._records = RecordFile(self._path)

    def _joins(self, tool: str) -> bool:
        """Tell whether an edit by a tool belongs to the last stroke."""
        return self._stroke_is_open and self.history.done[-1].tool == tool

    def _append(self, entry: Entry) -> int:
        self._voxels.require_writable()
        if self._closing:
            raise self._voxels.not_writable()
        self._keeper.require_health()
        place = self._records.append(entry.to_bytes())
        self.n_changes += 1
        self._keeper.ask()
        return place

    def _add(self, entry: Entry, place: int) -> None:
        stroke = Stroke(entry.number, entry.tool, entry.time, entry.box)
        self.history.add(stroke, place, entry.box, entry.n_voxels)

    def _change(self, kind: Kind, records: Iterable[bytes]) -> None:
        """Make edits, or take them back, whatever part of that was done before."""
        act = self._voxels.revert if kind is Kind.UNDO else self._voxels.apply
        for record in records:
            act(unpacked(Entry.from_bytes(record).packed))

    def _sync(self) -> None:
        self._records.sync()
        if self.n_changes - self._n_synced > MOST_UNSYNCED:
            self.flush()


def _in_order(kind: Kind, places: Sequence[int]) -> Iterable[int]:
    """Return the places of edits in the order in which a change goes through them."""
    return reversed(places) if kind is Kind.UNDO else places


def _now() -> datetime:
    return datetime.now(UTC)
