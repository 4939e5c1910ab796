"""What somebody else has corrected: in another labels folder, or its journal alone."""

import shutil
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from napari_meunet.atomic import writing
from napari_meunet.errors import MeUNetError
from napari_meunet.labels.box import box_at, contains
from napari_meunet.labels.journal.entry import Entry, Kind
from napari_meunet.labels.journal.journal import Journal, scan_of_journal
from napari_meunet.labels.journal.records import RecordFile, holds_records
from napari_meunet.labels.store import LabelStore
from napari_meunet.labels.tools.take_over import TakeOver
from napari_meunet.labels.voxels import Voxels

if TYPE_CHECKING:
    from napari_meunet.labels.manifest import Manifest


@contextmanager
def corrections_of(
    source: Path, mine: LabelStore, *, theirs_win: bool = False
) -> Iterator[TakeOver]:
    """Read what is to be taken over; it can be used as long as the context is open.

    Parameters
    ----------
    source
        A labels folder of the same scan. Or the file ``journal`` of one: it remembers
        strokes from its last thousand on, a folder all corrections.
    mine
        The labels that are to take them over.
    theirs_win
        As in `napari_meunet.labels.tools.take_over.TakeOver`.

    Raises
    ------
    MeUNetError
        If the folder or journal is of another scan; if the folder has other classes, or
        is open elsewhere; or if the journal is none, or of a larger volume.
    """
    if source.is_dir():
        # for writing: what a process that died has left is put in order first
        with LabelStore.open(source) as theirs:
            _require_same(theirs.manifest, mine.manifest, source)
            yield TakeOver(theirs.labels, theirs.corrected, theirs_win)
        return
    with _replayed(source, mine) as voxels:
        yield TakeOver(voxels.labels, voxels.corrected, theirs_win)


@contextmanager
def _replayed(journal: Path, mine: LabelStore) -> Iterator[Voxels]:
    """Make labels of which only what a journal says was corrected."""
    if not holds_records(journal):
        raise MeUNetError(
            f"corrections come from a labels folder or its journal, got {journal}, "
            "which is neither; choose a .meunet folder, or the file journal in one"
        )
    folder = mine.folder.parent  # where there is room for labels of this size
    with (
        writing(folder),
        TemporaryDirectory(prefix=".replay-", dir=folder) as temporary,
    ):
        place = Path(temporary)
        Voxels.create(place, mine.shape, None)
        voxels = Voxels(place, mine.shape, writable=True)
        try:
            shutil.copy(journal, place / "journal")
            _require_fitting(place / "journal", mine)
            _replay(place / "journal", voxels)
            yield voxels
        finally:
            voxels.unmap()


def _require_fitting(path: Path, mine: LabelStore) -> None:
    shape, scan = mine.shape, mine.manifest.scan
    whole = box_at((0, 0, 0), shape)
    with closing(RecordFile(path)) as records:
        if scan_of_journal(records) not in ("", scan.fingerprint):
            raise MeUNetError(
                f"a journal must be of the same scan, {scan.name}, got that of another "
                "one; choose the journal of the same scan"
            )
        entries = (Entry.from_bytes(record) for _, record in records)
        edits = (entry for entry in entries if entry.kind is Kind.EDIT)
        if not all(contains(whole, edit.box) for edit in edits):
            raise MeUNetError(
                f"a journal must be of a volume of {shape} voxels, got strokes beyond "
                "it; choose the journal of the same scan"
            )


def _replay(path: Path, voxels: Voxels) -> None:
    """Make all edits of a journal that were not undone."""
    journal = Journal(path, voxels)
    try:
        strokes = journal.history.done
        for edit in journal.edits(sorted(p for s in strokes for p in s.places)):
            voxels.apply(edit)
    finally:
        journal.close()


def _require_same(theirs: "Manifest", mine: "Manifest", source: Path) -> None:
    if theirs.scan.fingerprint != mine.scan.fingerprint:
        raise MeUNetError(
            "corrections must be of the same scan, got those of "
            f"{theirs.scan.name} in {source} for labels of {mine.scan.name}"
        )
    values = [[label.value for label in one.classes] for one in (theirs, mine)]
    if values[0] != values[1]:
        raise MeUNetError(
            f"corrections must be of the same classes, got values {values[0]} in "
            f"{source} and {values[1]} here; segment both with the same model"
        )
