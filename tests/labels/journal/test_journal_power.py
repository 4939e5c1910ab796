"""The power is cut between two deeds: what was not synced is lost, in any part."""

import os
import random
import sys
import threading
import time

import numpy as np
import pytest

from napari_meunet.labels.box import box_at
from napari_meunet.labels.journal import journal
from napari_meunet.labels.store import LabelStore
from napari_meunet.volume.volume import Volume

SHAPE = (3, 16, 24)
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="opens no folders")
WHOLE = box_at((0, 0, 0), SHAPE)
PAGE = 64  # bytes that reach the disk together; small, so that many do not


class Disk:
    """What of a folder a power cut leaves: what was synced, and some of the rest.

    The files are real ones. Beside them it keeps what is on the disk for certain: the
    names in the folder as of its last sync, and the bytes of every file as of its last
    one, with pages that the system has written since, at moments of its own.
    """

    def __init__(self, folder):
        self.folder = folder
        self._lock = threading.Lock()
        self._names, self._files, self._sizes = {}, {}, {}

    def fsync(self, descriptor):
        """Stand in for `os.fsync`."""
        before = os.fstat(descriptor)
        inode = before.st_ino
        with self._lock:
            if inode == self.folder.stat().st_ino:
                self._names = self._current()
            for path in self._current():
                if path.stat().st_ino == inode:
                    self._files[inode] = path.read_bytes()
                    self._sizes[inode] = before.st_size

    def synced(self, name):
        """Return how many bytes of a file are on the disk for certain."""
        with self._lock:
            return self._sizes.get((self.folder / name).stat().st_ino, 0)

    def write_back(self, chance):
        """Let the system write some pages of some files, as it pleases."""
        with self._lock:
            for path, inode in self._current().items():
                self._files[inode] = self._mixed(path, inode, chance)

    def cut(self, target, chance):
        """Make the folder that is found when the power is back."""
        target.mkdir()
        with self._lock:
            now = self._current()
            for path in sorted({*self._names, *now}):
                inodes = [names.get(path) for names in (self._names, now)]
                inode = chance.choice(inodes)
                if inode is not None:
                    (target / path.name).write_bytes(self._files.get(inode, b""))

    def _current(self):
        paths = self.folder.iterdir()
        return {path: path.stat().st_ino for path in paths if path.is_file()}

    def _mixed(self, path, inode, chance):
        now = path.read_bytes()
        known = self._files.get(inode, b"")[: len(now)].ljust(len(now), b"\0")
        pages = range(0, len(now), PAGE)
        return b"".join(
            (now if chance.random() < 0.3 else known)[page : page + PAGE]
            for page in pages
        )


def do_something(store, chance):
    """Paint, mostly; undo and redo; let a model write over corrections, rarely."""
    what = chance.choices(["paint", "undo", "redo", "model"], [12, 3, 2, 1])[0]
    start = tuple(chance.randrange(n - 2) for n in SHAPE)
    box = box_at(start, (2, 2, 3))
    if what == "paint":
        store.editable()[box] = chance.randrange(4)
    elif what == "model":
        block = np.full((2, 2, 3), chance.randrange(4), np.uint8)
        store.write(start, block, overwrite_corrected=True)
        store.flush()  # as a run does before it counts planes as finished
    else:
        getattr(store.journal, what)()


def state_of(store):
    return np.array(store.labels), store.corrected.read(WHOLE)


@pytest.mark.parametrize("n_cuts", [15, pytest.param(200, marks=pytest.mark.slow)])
def test_what_was_synced_is_there_after_a_power_cut(tmp_path, monkeypatch, n_cuts):
    monkeypatch.setattr(journal, "MOST_WASTED", 10)
    monkeypatch.setattr(journal, "MOST_UNSYNCED", 15)
    monkeypatch.setattr(journal, "SYNC_SECONDS", 0.002)
    chance = random.Random(0)
    folder = tmp_path / "0.meunet"
    LabelStore.create(folder, Volume.from_array(np.zeros(SHAPE, np.uint8)), ()).close()
    n_lost = n_kept = 0
    for life in range(n_cuts):
        if life % 3 == 0:  # somebody moves it away, and opening makes a new one
            (folder / "journal").unlink(missing_ok=True)
        disk = Disk(folder)
        monkeypatch.setattr(os, "fsync", disk.fsync)
        for path in (*folder.iterdir(), folder):  # what is there was there before
            descriptor = os.open(path, os.O_RDONLY)
            os.fsync(descriptor)
            os.close(descriptor)
        with LabelStore.open(folder) as store:
            states, sizes = [state_of(store)], [disk.synced("journal")]
            for _ in range(chance.randrange(40)):
                do_something(store, chance)
                states.append(state_of(store))
                sizes.append((folder / "journal").stat().st_size)
                if chance.random() < 0.2:
                    disk.write_back(chance)
                time.sleep(chance.choice([0, 0, 0.003]))
            found = tmp_path / f"{life + 1}.meunet"
            synced = disk.synced("journal")
            disk.cut(found, chance)
        # nothing happens between two states but the last deed
        n_safe = sum(size <= synced for size in sizes)
        n_kept, n_lost = n_kept + n_safe, n_lost + len(sizes) - n_safe
        with LabelStore.open(found) as store:
            for part, *possible in zip(
                state_of(store), *states[max(n_safe - 1, 0) :], strict=True
            ):
                assert np.any([part == each for each in possible], axis=0).all()
            while store.journal.undo():
                pass
            while store.journal.redo():
                pass
        folder = found
    assert n_kept > 0 < n_lost


def test_a_stroke_is_synced_a_moment_later(tmp_path, monkeypatch):
    assert journal.SYNC_SECONDS < 1  # what is promised
    folder = tmp_path / "scan.meunet"
    LabelStore.create(folder, Volume.from_array(np.zeros(SHAPE, np.uint8)), ()).close()
    disk = Disk(folder)
    with LabelStore.open(folder) as store:
        monkeypatch.setattr(os, "fsync", disk.fsync)
        store.editable()[0, 0, 0] = 1
        size, last = (folder / "journal").stat().st_size, time.monotonic() + 30
        while disk.synced("journal") < size:
            assert time.monotonic() < last
            time.sleep(0.01)
