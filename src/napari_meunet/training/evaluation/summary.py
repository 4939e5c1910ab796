"""Mean and spread of every measure over specimens."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from statistics import fmean, stdev

from napari_meunet.training.evaluation.agreement import Agreement

MEASURES = tuple(field.name for field in fields(Agreement))

Specimens = Mapping[str, Mapping[int, Agreement]]
"""The agreement of every class, for every specimen by name."""


@dataclass(frozen=True)
class Spread:
    """How one measure of one class varies over specimens.

    Attributes
    ----------
    n
        Specimens in which the measure has a value.
    mean
        Their mean; None if there is none.
    sd
        Their standard deviation, with n - 1 in the denominator, as it estimates that
        of the specimens one could have scanned; None if there are fewer than two.
    """

    n: int
    mean: float | None
    sd: float | None

    @classmethod
    def of(cls, values: Iterable[float | None]) -> "Spread":
        """Return the spread of the values that are not None."""
        known = [value for value in values if value is not None]
        return cls(
            n=len(known),
            mean=fmean(known) if known else None,
            sd=stdev(known) if len(known) > 1 else None,
        )


def summary(specimens: Specimens) -> dict[int, dict[str, Spread]]:
    """Return the spread of every measure, for every class that some specimen holds.

    A specimen weighs as much as any other, however large it is. A class absent from
    truth and prediction of a specimen is neither right nor wrong there, and not
    counted. Absent from one of them it counts as Dice, IoU and surface Dice 0; it has
    no HD95, so that a mean of HD95 alone would hide a class that was missed.
    """
    values = sorted({value for rows in specimens.values() for value in rows})
    return {
        value: {
            measure: Spread.of(
                getattr(rows[value], measure)
                for rows in specimens.values()
                if value in rows
            )
            for measure in MEASURES
        }
        for value in values
    }
