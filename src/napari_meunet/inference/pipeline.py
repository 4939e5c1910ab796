"""Reading, computing and writing at the same time."""

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

READ_AHEAD = 2
"""Slabs that are read before they are needed."""

WRITE_BEHIND = 1
"""Blocks of labels that are still written while the next one is made."""

Item = TypeVar("Item")
Result = TypeVar("Result")


def overlapped(
    work: Callable[[Item], Result], items: Iterable[Item], n_waiting: int
) -> Generator[Result, None, None]:
    """Return ``work(item)`` for every item, in order, done by one other thread.

    That thread is up to `n_waiting` items ahead of the one that is returned. What
    `work` raises is raised here, in its turn. Closing the iterator, or an error of
    `items`, lets the thread finish what it was given.

    Parameters
    ----------
    work
        Reads or writes.
    items
        What to work on; may itself take long to make an item.
    n_waiting
        How many items may be under way or done and not yet returned.
    """
    with ThreadPoolExecutor(1) as thread:
        waiting: deque[Future[Result]] = deque()
        for item in items:
            waiting.append(thread.submit(work, item))
            if len(waiting) > n_waiting:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
