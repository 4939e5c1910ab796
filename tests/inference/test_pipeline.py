"""Work in one other thread."""

import threading
import time
from contextlib import closing

import pytest

from napari_meunet.inference.pipeline import overlapped


def test_results_come_in_order():
    assert list(overlapped(str, range(7), 2)) == list("0123456")


@pytest.mark.parametrize("n_waiting", [0, 1, 3])
def test_the_thread_is_never_too_far_ahead(n_waiting):
    asked = []
    for result in overlapped(
        lambda n: n, (asked.append(n) or n for n in range(9)), n_waiting
    ):
        assert len(asked) <= result + 1 + n_waiting
    assert asked == list(range(9))


def test_work_goes_on_while_the_result_is_used():
    started = threading.Event()

    def work(n):
        if n == 1:
            started.set()
        return n

    with closing(overlapped(work, range(3), 1)) as results:
        assert next(results) == 0
        assert started.wait(5)


def test_what_the_thread_raises_is_raised_here_in_its_turn():
    results = overlapped(lambda n: 1 // (2 - n), range(4), 1)
    assert [next(results), next(results)] == [0, 1]
    with pytest.raises(ZeroDivisionError):
        next(results)


def test_closing_waits_for_what_has_begun():
    done = []

    def work(n):
        time.sleep(0.05)
        done.append(n)

    before = set(threading.enumerate())
    results = overlapped(work, range(9), 1)
    next(results)
    results.close()
    assert done == [0, 1]
    assert set(threading.enumerate()) <= before


def test_an_error_of_the_items_lets_the_thread_finish():
    done = []

    def items():
        yield 1
        raise KeyError

    with pytest.raises(KeyError):
        list(overlapped(done.append, items(), 1))
    assert done == [1]
