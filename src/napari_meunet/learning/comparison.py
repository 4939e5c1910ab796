"""How well a model labels what is known of some parts of a scan."""

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_meunet.config import SegmentationConfig
from napari_meunet.inference.part import segment_part
from napari_meunet.labels.box import Box
from napari_meunet.network.checkpoint import Checkpoint
from napari_meunet.progress import Progress
from napari_meunet.training.evaluation.metrics import N_VALUES, confusion, overlaps
from napari_meunet.training.label_values import IGNORE
from napari_meunet.volume.volume import Volume

CLEARLY = 0.95
"""Of the voxels that were wrong before, at most so many may be wrong now. One that had
2.5 % fewer on what was held out of a phantom was worse on the rest of it."""


@dataclass(frozen=True)
class Score:
    """How labels agree with what is known of cells that were held out.

    That is what a person vouches for, and what the model before was sure of in places
    that nobody has touched.

    Attributes
    ----------
    wrong, total
        Voxels.
    dice
        Of the classes that are there or were found there, by name.
    """

    wrong: int
    total: int
    dice: Mapping[str, float]


@dataclass(frozen=True)
class Outcome:
    """What came of learning.

    Attributes
    ----------
    before, after
        Of the model that was there, and of the new one.
    halfway
        Whether the new one has the means of the weights before and after learning, as
        it is the better one so.
    """

    before: Score
    after: Score
    halfway: bool = False

    @property
    def is_better(self) -> bool:
        """Whether clearly fewer voxels are wrong, so that the new model is kept."""
        return self.after.wrong < CLEARLY * self.before.wrong


@dataclass(frozen=True, eq=False)
class Known:
    """What is known of some parts of a scan.

    Attributes
    ----------
    volume
        The scan.
    parts
        Boxes, and their labels, uint8 ``(z, y, x)``, `IGNORE` where nothing is known.
    how
        How a model labels them.
    folder
        Has room for files in between.
    """

    volume: Volume
    parts: Sequence[tuple[Box, NDArray[np.uint8]]]
    how: SegmentationConfig
    folder: Path

    def score(
        self, checkpoint: Checkpoint, name: str
    ) -> Generator[Progress, None, Score]:
        """Let a model label the boxes, and compare.

        Parameters
        ----------
        checkpoint
            The model.
        name
            What to call it while it works.
        """
        table = np.zeros((N_VALUES, N_VALUES), np.int64)
        for number, (box, known) in enumerate(self.parts, start=1):
            steps = segment_part(self.volume, checkpoint, self.how, box, self.folder)
            message = f"{name}, held-out place {number} of {len(self.parts)}"
            table += confusion((yield from _saying(message, steps)), known)
        names = {label.value: label.name for label in checkpoint.card.classes[1:]}
        dice = {v: row.dice for v, row in overlaps(table, names).items()}
        table = table[:, :IGNORE]
        return Score(
            wrong=int(table.sum() - table.trace()),
            total=int(table.sum()),
            dice={names[v]: value for v, value in dice.items() if value is not None},
        )


def better_model(
    known: Known, old: Checkpoint, new: Checkpoint
) -> Generator[Progress, None, tuple[Outcome, Checkpoint]]:
    """Compare a model with a new one, and with what lies halfway.

    The better of two is a little less good elsewhere than on what it was chosen by.

    Parameters
    ----------
    known
        What they are compared by.
    old, new
        The models.

    Returns
    -------
    Outcome, Checkpoint
        Of the better of the new ones, and that.
    """
    before = yield from known.score(old, "the model before")
    after = yield from known.score(new, "the new model")
    middle = old.halfway_to(new)
    after_half = yield from known.score(middle, "halfway to the new model")
    if after_half.wrong <= after.wrong:
        return Outcome(before, after_half, halfway=True), middle
    return Outcome(before, after, halfway=False), new


def _saying(
    message: str, steps: Generator[Progress, None, NDArray[np.uint8]]
) -> Generator[Progress, None, NDArray[np.uint8]]:
    """Pass steps on with a message, and what they return."""
    try:
        while True:
            try:
                step = next(steps)
            except StopIteration as end:
                labels: NDArray[np.uint8] = end.value
                return labels
            yield replace(step, message=message)
    finally:
        steps.close()
