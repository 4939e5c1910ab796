"""A process that paints and uses tools is killed again and again, at any moment."""

import os
import random
import signal
import time

import numpy as np
import pytest
import SimpleITK

from napari_meunet.labels.box import box_at
from napari_meunet.labels.journal import journal
from napari_meunet.labels.store import LabelStore
from napari_meunet.labels.tools.merge import Merge
from napari_meunet.volume.volume import Volume

SHAPE = (3, 20, 33)
WHOLE = box_at((0, 0, 0), SHAPE)
MOST_SECONDS = 0.06  # of a life; opening takes some 0.02


class Hand:
    """What a person does, chosen by the number of the deed, and what comes of it."""

    def __init__(self):
        self.n_deeds = 0
        self.labels = np.zeros(SHAPE, np.uint8)
        self.done, self.undone = [], []

    def do(self, store=None):
        """Do the next deed; with a store, there, else in the twin."""
        rng = np.random.default_rng(self.n_deeds)
        self.n_deeds += 1
        what = rng.choice(["paint", "paint", "paint", "tool", "undo", "redo"])
        start = rng.integers(0, np.array(SHAPE) - 1)
        box = box_at(tuple(map(int, start)), (1, 2, 2))
        label = int(rng.integers(0, 4))
        if store is not None:
            if what == "paint":
                store.editable()[box] = label
            elif what == "tool":  # an edit for each plane, and all or none of them
                for _ in store.use(Merge(label, (label + 1) % 4), WHOLE):
                    pass
            else:
                getattr(store.journal, what)()
        elif what == "undo" and self.done:
            self.undone.append(self.labels)
            self.labels = self.done.pop()
        elif what == "redo" and self.undone:
            self.done.append(self.labels)
            self.labels = self.undone.pop()
        elif what == "paint":
            after = self.labels.copy()
            after[box] = label
            self._change(after)
        elif what == "tool":
            self._change(np.where(self.labels == label, (label + 1) % 4, self.labels))

    def _change(self, after):
        if np.any(self.labels != after):
            self.done.append(self.labels)
            self.undone.clear()
            self.labels = after


def live(folder, n_deeds, pipe):
    """Go on from a deed, and say of each when it is done."""
    hand = Hand()
    hand.n_deeds = n_deeds
    with LabelStore.open(folder) as store:
        while True:
            hand.do(store)
            os.write(pipe, b".")


def kill_one(folder, n_deeds, seconds):
    """Let a process live for a while; return how many deeds it has said were done."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            live(folder, n_deeds, writing)
        finally:
            os._exit(1)
    os.close(writing)
    time.sleep(seconds)
    os.kill(child, signal.SIGKILL)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
    said = b"".join(iter(lambda: os.read(reading, 4096), b""))
    os.close(reading)
    return len(said)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("n_lives", [15, pytest.param(200, marks=pytest.mark.slow)])
def test_what_was_done_is_there_whenever_the_process_dies(
    tmp_path, monkeypatch, n_lives
):
    monkeypatch.setattr(journal, "MOST_WASTED", 200)  # so that some die while it is
    monkeypatch.setattr(journal, "MOST_UNSYNCED", 50)
    monkeypatch.setattr(journal, "SYNC_SECONDS", 0.005)
    folder = tmp_path / "scan.meunet"
    LabelStore.create(folder, Volume.from_array(np.zeros(SHAPE, np.uint8)), ()).close()
    hand, lives = Hand(), random.Random(0)
    for _ in range(n_lives):
        n_said = kill_one(folder, hand.n_deeds, lives.uniform(0, MOST_SECONDS))
        for _ in range(n_said):
            hand.do()
        with LabelStore.open(folder) as store:
            if not np.array_equal(store.labels, hand.labels):
                hand.do()  # done, but not yet said
            np.testing.assert_array_equal(store.labels, hand.labels)
            image = SimpleITK.ReadImage(folder / "labels.tif")  # a foreign reader
            found = SimpleITK.GetArrayFromImage(image)
            np.testing.assert_array_equal(found, hand.labels)
    assert hand.n_deeds > n_lives
    with LabelStore.open(folder) as store:
        for before in reversed(hand.done[-100:]):
            store.journal.undo()
            np.testing.assert_array_equal(store.labels, before)
