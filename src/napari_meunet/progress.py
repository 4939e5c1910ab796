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
