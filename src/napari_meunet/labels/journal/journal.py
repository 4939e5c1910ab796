"""The journal of a labels folder: what was done, on disk before it happens."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from threading import Condition, Lock

from napari_meunet.errors import MeUNetError
from napari_meunet.labels.box import Box
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


BACK = (Kind.UNDO, Kind.DROP)
"""Changes that take edits back."""

Change = tuple[Kind, tuple[int, ...]]
"""Its kind, and the places of its edits in the order in which they were made."""


@dataclass(slots=True)
class _WholeStroke:
    """The stroke of a tool that is at work."""

    tool: str
    has_begun: bool = False


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
    scan
        Fingerprint of the scan, which the journal then knows; empty if that does not
        matter.

    Attributes
    ----------
    history
        What can be undone and done again.
    n_changes
        How many edits, undos and redos it holds.
    n_steps
        How many undos, redos and strokes of tools there were since it was opened.
    n_restored
        How many edits, undos and redos were repeated when it was opened.

    Raises
    ------
    MeUNetError
        If the journal cannot be written, was written by another version, or is of
        another scan.
    """

    def __init__(self, path: Path, voxels: Voxels, scan: str = "") -> None:
        self._path = path
        self._voxels = voxels
        self._scan, self._found_scan = scan, ""
        self._keeper = Keeper(self._sync, SYNC_SECONDS)
        self._flushing = Lock()
        self._closing = False
        self._stroke_is_open = False
        self._is_partial = False
        self._whole: _WholeStroke | None = None
        self._idle = Condition(voxels.lock)
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
            if self._whole is not None:
                self._begin(self._whole, tool)
            elif not self._joins(tool):
                self._last_number += 1
            entry = Entry(Kind.EDIT, self._last_number, _now(), tool, packed(edit))
            place = self._append(entry)
            if self._whole is None:
                self.history.undone.clear()
            self._add(entry, place)
            self._stroke_is_open = True
            with self._in_full():
                self._voxels.apply(edit)

    @contextmanager
    def whole_stroke(self, tool: str) -> Iterator[None]:
        """Make all edits of a tool one stroke, or none if it does not come to its end.

        Nobody else can change anything meanwhile, nor undo. If the process dies, the
        edits are taken back when the labels are opened next.

        Raises
        ------
        MeUNetError
            If another tool is at work, or the disk is full.
        """
        with self._voxels.lock:
            if self._whole is not None:
                raise _busy(self._whole.tool)
            self.end_stroke()
            self.n_steps += 1
            self._whole = _WholeStroke(tool)
            self._last_number += 1
        try:
            yield
        except BaseException:
            self._end_whole(Kind.DROP)
            raise
        self._end_whole(Kind.END)

    def wait_for_tool(self) -> None:
        """Return when no tool is at work; the caller holds the lock of the voxels."""
        while self._whole is not None:
            self._idle.wait()

    def _begin(self, whole: "_WholeStroke", tool: str) -> None:
        """Note that a tool's stroke begins with the edit that comes."""
        if tool != whole.tool:
            raise _busy(whole.tool)
        if not whole.has_begun:
            self._append(Entry(Kind.BEGIN, self._last_number, _now()), is_change=False)
            whole.has_begun = True

    def _end_whole(self, kind: Kind) -> None:
        with self._voxels.lock:
            whole, self._whole = self._whole, None
            self._idle.notify_all()
            self.end_stroke()
            self.n_steps += 1
            if whole is None or not whole.has_begun:
                return
            if kind is Kind.DROP:
                self._keeper.ask()
                self._drop(self._last_number)
            else:
                self._append(Entry(kind, self._last_number, _now()), is_change=False)
                self.history.undone.clear()

    def _drop(self, number: int) -> None:
        """Take back what a tool has done, as if it never had."""
        self._write(Entry(Kind.DROP, number, _now()))
        self._change(Kind.DROP, self.history.drop(number))

    def edits(self, places: Iterable[int]) -> Iterator[Edit]:
        """Yield edits by their places in the journal."""
        for record in self._records.at(places):
            yield unpacked(Entry.from_bytes(record).packed)

    def boxes(self, places: Iterable[int]) -> Iterator[Box]:
        """Yield where edits lie, by their places in the journal."""
        for record in self._records.at(places):
            yield Entry.from_bytes(record).box

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
            if self._whole is not None:
                raise _busy(self._whole.tool)
            self.end_stroke()
            if not strokes:
                return None
            stroke = strokes[-1]
            for _ in self._records.at(stroke.places):  # or one could not be read later
                pass
            self._append(Entry(kind, stroke.number, _now()))
            move()
            self.n_steps += 1
            self._change(kind, stroke.places)
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
            if n > self._n_synced and not self._is_partial:
                with suppress(MeUNetError):  # of a full disk: opening repeats more
                    self._records.append(Entry(Kind.SYNCED, n, _now()).to_bytes())
                    self._records.sync()
                    self._n_synced = n

    def close(self) -> None:
        """Flush, and take no more edits; closing twice is allowed."""
        try:
            with self._voxels.lock:
                try:
                    self._end_whole(Kind.DROP)  # if a tool is at work
                finally:
                    self._closing = True
        finally:
            self._keeper.close()
            try:
                self.flush()
            finally:
                self._records.close()

    def _open(self) -> None:
        unsynced, unfinished = self._read()
        self._name_scan()
        self.n_restored = len(unsynced)
        for kind, places in unsynced:
            self._change(kind, places)
        if unfinished:
            self._drop(unfinished)
        self.flush()
        strokes = (*self.history.done, *self.history.undone)
        n_needed = sum(len(stroke.places) for stroke in strokes)
        if self.n_changes - n_needed > MOST_WASTED:
            self._compact()
            self._read()  # what is left has come to its end

    def _name_scan(self) -> None:
        """Note the scan in a journal that does not know it, as those made before."""
        if not self._scan or self._found_scan == self._scan:
            return
        if self._found_scan:
            raise MeUNetError(
                f"{self._path} must be of the scan of its labels, got the journal of "
                "another one; move it away to go on without the history of the labels"
            )
        with suppress(MeUNetError):  # a full disk keeps nobody from the labels
            self._records.append(self._scan_entry.to_bytes())

    @property
    def _scan_entry(self) -> Entry:
        return Entry(Kind.SCAN, 0, _now(), self._scan)

    def _read(self) -> tuple[list[Change], int]:
        """Read the history.

        Returns
        -------
        changes
            That may not be in the voxels.
        unfinished
            Number of a tool's stroke that did not come to its end; 0 if there is none.
        """
        self.history = History()
        self.n_changes = self._n_synced = self._last_number = unfinished = 0
        changes: list[Change] = []
        for place, record in self._records:
            entry = Entry.from_bytes(record)
            if entry.kind is Kind.SCAN:
                self._found_scan = entry.tool
                continue
            if entry.kind is Kind.SYNCED:
                del changes[: entry.number - self._n_synced]
                self._n_synced = entry.number
                continue
            self._last_number = max(self._last_number, entry.number)
            if entry.kind is Kind.BEGIN:
                unfinished = entry.number
                continue
            if entry.kind is not Kind.EDIT or entry.number != unfinished:
                unfinished = 0
            if unfinished == 0 and entry.kind in (Kind.EDIT, Kind.END):
                self.history.undone.clear()
            if entry.kind is not Kind.END:
                self.n_changes += 1
                changes.append((entry.kind, self._took_in(entry, place)))
        return changes, unfinished

    def _took_in(self, entry: Entry, place: int) -> tuple[int, ...]:
        """Note a change in the history, and return the places of its edits."""
        history = self.history
        if entry.kind is Kind.EDIT:
            self._add(entry, place)
            return (place,)
        if entry.kind is Kind.UNDO:
            history.undo()
            return tuple(history.undone[-1].places)
        if entry.kind is Kind.REDO:
            history.redo()
            return tuple(history.done[-1].places)
        return tuple(history.drop(entry.number))

    def _compact(self) -> None:
        """Write the journal anew, without strokes that nobody can undo or redo."""
        done, undone = self.history.done, self.history.undone
        places = [p for stroke in (*done, *reversed(undone)) for p in stroke.places]
        undos = [Entry(Kind.UNDO, stroke.number, _now()) for stroke in undone]
        synced = Entry(Kind.SYNCED, len(places) + len(undos), _now())
        self._records.close()
        first = [self._scan_entry.to_bytes()] if self._scan else []
        ends = (entry.to_bytes() for entry in (*undos, synced))
        with suppress(MeUNetError):  # a full disk keeps nobody from the labels
            rewrite(self._path, chain(first, self._records.at(places), ends))
        self._records = RecordFile(self._path)

    def _joins(self, tool: str) -> bool:
        """Tell whether an edit by a tool belongs to the last stroke."""
        return self._stroke_is_open and self.history.done[-1].tool == tool

    def _append(self, entry: Entry, *, is_change: bool = True) -> int:
        self._voxels.require_writable()
        if self._closing:
            raise self._voxels.not_writable()
        self._keeper.require_health()
        place = self._write(entry, is_change=is_change)
        self._keeper.ask()
        return place

    def _write(self, entry: Entry, *, is_change: bool = True) -> int:
        place = self._records.append(entry.to_bytes())
        self.n_changes += is_change
        return place

    def _add(self, entry: Entry, place: int) -> None:
        stroke = Stroke(entry.number, entry.tool, entry.time, entry.box)
        self.history.add(stroke, place, entry.box, entry.n_voxels)

    def _change(self, kind: Kind, places: Sequence[int]) -> None:
        """Make edits, or take them back, whatever part of that was done before."""
        goes_back = kind in BACK
        act = self._voxels.revert if goes_back else self._voxels.apply
        with self._in_full():
            for edit in self.edits(reversed(places) if goes_back else places):
                act(edit)

    @contextmanager
    def _in_full(self) -> Iterator[None]:
        """Remember a change of the voxels that did not come to its end.

        Nothing counts as synced any more then, so that opening repeats it.
        """
        was_partial, self._is_partial = self._is_partial, True
        yield
        self._is_partial = was_partial

    def _sync(self) -> None:
        self._records.sync()
        if self.n_changes - self._n_synced > MOST_UNSYNCED:
            self.flush()


def scan_of_journal(records: RecordFile) -> str:
    """Return the fingerprint of the scan; empty in journals of earlier versions."""
    entries = (Entry.from_bytes(record) for _, record in records)
    return next((entry.tool for entry in entries if entry.kind is Kind.SCAN), "")


def _busy(tool: str) -> MeUNetError:
    return MeUNetError(
        f"labels can be changed by one tool at a time, got another one while {tool!r} "
        "works; wait for its end, or cancel it"
    )


def _now() -> datetime:
    return datetime.now(UTC)
