"""Waiting for the disk now and then, not for every slab."""

import pytest

from napari_meunet.inference import ledger
from napari_meunet.inference.ledger import Ledger


class Labels:
    """Notes what is marked, in order."""

    def __init__(self):
        self.marked = [("left", 3)]

    def finished_planes(self, column):
        return max((n for name, n in self.marked if name == column), default=0)

    def mark_finished(self, column, planes):
        self.marked.append((column, planes))


@pytest.fixture
def now(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(ledger, "monotonic", lambda: now[0])
    return now


def test_what_is_written_counts_at_once_and_is_marked_when_it_is_time(now):
    labels = Labels()
    book = Ledger(labels)
    assert (book.planes("left"), book.planes("right")) == (3, 0)
    for second, planes in ((0.5, 19), (1.0, 35), (1.9, 51)):
        now[0] = second
        book.note("left", planes - 16, planes)
        assert book.planes("left") == planes
    assert labels.marked == [("left", 3)]
    now[0] = 2.1
    book.note("right", 0, 16)
    assert labels.marked[1:] == [("left", 51), ("right", 16)]
    now[0] = 4.0
    book.note("right", 16, 32)
    assert len(labels.marked) == 3
    assert (book.planes("left"), book.planes("right")) == (51, 32)
    book.settle()
    book.settle()
    assert labels.marked[3:] == [("right", 32)]


def test_planes_behind_some_that_could_not_be_written_do_not_count(now):
    labels = Labels()
    book = Ledger(labels)
    book.note("left", 3, 16)
    book.note("left", 32, 48)
    assert book.planes("left") == 16
    book.settle()
    assert labels.marked[1:] == [("left", 16)]
