"""What long work reports while it runs."""

import time
from collections.abc import Generator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from typing import TypeVar


@dataclass(frozen=True, slots=True)
class Progress:
    """One step of long work; every long function is an iterator of these.

    Attributes
    ----------
    done, total
        Finished and total amount of work, in `unit`.
    unit
        What is counted, in the plural: ``"planes"``, ``"steps"``.
    message
        What is going on, in a few words; empty when the count says it all.
    metrics
        Figures worth showing, for example ``{"loss": 0.31}``.
    """

    done: int
    total: int
    unit: str
    message: str = ""
    metrics: Mapping[str, float] = field(default_factory=dict)


Steps = Generator[Progress, None, None]
"""Long work; closing it cancels."""

SECONDS_BETWEEN_STEPS = 1.0

Result = TypeVar("Result")


def returned(steps: Generator[Progress, None, Result]) -> Result:
    """Do work to its end, and return what it returns."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            result: Result = end.value
            return result


def keeping(steps: Generator[Progress, None, Result], found: list[Result]) -> Steps:
    """Pass on the steps of work, and keep what it returns; closing closes them."""
    with closing(steps):
        found.append((yield from steps))


def now_and_then(
    steps: Generator[Progress, None, Result],
) -> Generator[Progress, None, Result]:
    """Pass on one step a second of work that has many, and what it returns."""
    told = time.monotonic()
    while True:
        try:
            step = next(steps)
        except StopIteration as end:
            result: Result = end.value
            return result
        if time.monotonic() - told >= SECONDS_BETWEEN_STEPS:
            told = time.monotonic()
            yield step


class Pace:
    """Estimates the time left from the steps seen so far.

    Work that an earlier run has done does not count, so a resumed run does not look
    faster than it is; nor does an earlier part of the work, which counted its own
    steps.
    """

    def __init__(self) -> None:
        self._first: tuple[float, Progress] | None = None
        self._last: Progress | None = None

    def seconds_left(self, step: Progress, now: float) -> float | None:
        """Return the seconds left after `step`, seen at `now` seconds.

        Returns
        -------
        float or None
            None until some work was done between two steps.
        """
        if self._first is None or self._last is None or _is_new(self._last, step):
            self._first = now, step
        self._last = step
        start, first = self._first
        if step.done == first.done:
            return None
        return (now - start) * (step.total - step.done) / (step.done - first.done)


def _is_new(last: Progress, step: Progress) -> bool:
    """Return whether `step` is of another part of the work than `last`."""
    return step.total != last.total or step.done < last.done
