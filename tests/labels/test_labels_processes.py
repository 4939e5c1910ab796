"""Other processes: a second writer, a sudden death, painter and engine at once."""

import os
import subprocess
import sys
import textwrap
import threading

import numpy as np
import pytest

from napari_meunet.errors import MeUNetError
from napari_meunet.labels import voxels
from napari_meunet.labels.store import LabelStore

EVERYTHING = (slice(0, 5), slice(0, 7), slice(0, 19))


def start(code, *arguments):
    """Run Python code that prints one line when it is ready, then waits."""
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    process.stdout.readline()
    return process


PAINT_THEN_WAIT = """
    import sys
    from pathlib import Path
    from napari_meunet.labels.store import LabelStore

    store = LabelStore.open(Path(sys.argv[1]))
    store.begin_run("run", {})
    store.mark_finished("all", 2)
    labels = store.editable()
    box = labels[1:2, 2:5, 3:9]
    box[0, 1, 1:4] = 1
    labels[1:2, 2:5, 3:9] = box
    print("ready", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def folder(tmp_path, scan, classes):
    LabelStore.create(tmp_path / "scan.meunet", scan, classes).close()
    return tmp_path / "scan.meunet"


def test_painting_survives_the_sudden_death_of_the_process(folder):
    process = start(PAINT_THEN_WAIT, folder)
    process.kill()
    process.communicate()
    with LabelStore.open(folder) as store:
        assert np.argwhere(store.labels).tolist() == [[1, 3, 4], [1, 3, 5], [1, 3, 6]]
        np.testing.assert_array_equal(
            store.corrected.read(EVERYTHING), store.labels == 1
        )
        assert store.finished_planes("all") == 2


def test_a_second_writer_is_refused_with_the_name_of_the_first(folder):
    process = start(PAINT_THEN_WAIT, folder)
    try:
        with pytest.raises(MeUNetError, match=rf"@.*\(process {process.pid}, since 20"):
            LabelStore.open(folder)
        with LabelStore.open(folder, writable=False) as reader:
            assert reader.labels.sum() == 3
    finally:
        process.communicate("")
    LabelStore.open(folder).close()


def test_a_second_opening_in_the_same_process_is_refused(folder):
    with LabelStore.open(folder):
        with pytest.raises(MeUNetError, match=rf"process {os.getpid()}"):
            LabelStore.open(folder)
        (folder / "owner.txt").unlink()
        with pytest.raises(MeUNetError, match="a program that has just opened it"):
            LabelStore.open(folder)
    with LabelStore.open(folder):
        pass


def test_another_thread_may_close_the_store(folder):
    store = LabelStore.open(folder)
    closing = threading.Thread(target=store.close)
    closing.start()
    closing.join()
    assert not store.writable
    with LabelStore.open(folder) as other:
        assert other.writable


def test_closing_twice_leaves_the_next_writer_alone(folder):
    first = LabelStore.open(folder)
    first.close()
    with LabelStore.open(folder):
        first.close()
        with pytest.raises(MeUNetError, match=rf"process {os.getpid()}"):
            LabelStore.open(folder)


def test_a_store_whose_disk_fails_at_closing_is_closed(folder, monkeypatch):
    def fail(path):
        raise OSError("no such device")

    store = LabelStore.open(folder)
    monkeypatch.setattr(voxels, "flush_to_disk", fail)
    with pytest.raises(MeUNetError, match="no such device"):
        store.close()
    assert not store.writable
    LabelStore.open(folder, writable=False).close()


def test_a_user_without_a_name_can_write(folder, monkeypatch):
    def nameless():
        raise KeyError("uid not found")

    monkeypatch.setattr("getpass.getuser", nameless)
    with LabelStore.open(folder):
        assert (folder / "owner.txt").read_text().startswith("unknown user@")


def test_painter_and_engine_write_at_once_and_lose_nothing(folder):
    """The engine writes 2 and 3 everywhere in turn; a person paints 1 and undoes."""
    with LabelStore.open(folder) as store:
        stop = threading.Event()

        def run():
            while not stop.is_set():
                for label in (2, 3):
                    store.write((0, 0, 0), np.full(store.shape, label, np.uint8))

        engine = threading.Thread(target=run)
        engine.start()
        try:
            labels, painted = store.editable(), np.zeros(store.shape, bool)
            rng = np.random.default_rng(0)
            for stamp in range(100):
                start = rng.integers(0, (4, 5, 16))
                box = tuple(slice(int(a), int(a) + 2) for a in start)
                seen = labels[box]
                brush = (rng.random(seen.shape) < 0.5) & (seen != 1)
                region = np.where(brush, 1, seen).astype(np.uint8)
                labels[box] = region
                if stamp % 3:
                    painted[box] |= brush
                    continue
                if brush.any():
                    store.journal.undo()
        finally:
            stop.set()
            engine.join()
        store.write((0, 0, 0), np.full(store.shape, 2, np.uint8))
        np.testing.assert_array_equal(store.labels, np.where(painted, 1, 2))
        np.testing.assert_array_equal(store.corrected.read(EVERYTHING), painted)
