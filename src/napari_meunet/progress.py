"""What long work reports while it runs."""

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field


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
