"""What long work reports while it runs."""

from collections.abc import Mapping
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


class Pace:
    """Estimates the time left from the steps seen so far.

    Work that an earlier run has done does not count, so a resumed run does not look
    faster than it is.
    """

    def __init__(self) -> None:
        self._first: tuple[float, int] | None = None

    def seconds_left(self, step: Progress, now: float) -> float | None:
        """Return the seconds left after `step`, seen at `now` seconds.

        Returns
        -------
        float or None
            None until some work was done between two steps.
        """
        if self._first is None:
            self._first = now, step.done
        start, done_before = self._first
        if step.done <= done_before:
            return None
        return (now - start) * (step.total - step.done) / (step.done - done_before)
