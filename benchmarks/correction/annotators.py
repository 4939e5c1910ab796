"""Simulated people, who know the truth and set every wrong voxel that they look at."""

import itertools
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_meunet.config import SegmentationConfig
from napari_meunet.inference.segment import segment
from napari_meunet.labels.box import Box, box_at
from napari_meunet.labels.review import Review, ReviewItem
from napari_meunet.labels.store import LabelStore
from napari_meunet.labels.tools.keep import Keep
from napari_meunet.learning.lesson import learn, learning_config
from napari_meunet.network.checkpoint import Checkpoint, load_checkpoint
from napari_meunet.progress import returned
from napari_meunet.training.evaluation.metrics import overlap
from napari_meunet.training.label_values import IGNORE
from napari_meunet.volume.volume import Volume

TARGET = 0.97
"""Mean Dice of the classes at which a person is content."""

APART = 16
"""Planes from one that a person looks at to the next one, where they do not look at all
of a place."""

FIRST = (8, 0, 12, 4)
"""The first of them, from lesson to lesson: places may come again."""


@dataclass
class Effort:
    """What a person has done so far, and what they have reached.

    Attributes
    ----------
    looked_at, corrected
        Voxels: of the planes or places that they have looked at, and those they set.
    dice
        Mean of the classes above 0.
    """

    looked_at: int
    corrected: int
    dice: float


@dataclass
class Lesson:
    """What a model has learned at some moment.

    Attributes
    ----------
    at
        When.
    kept
        Whether it was better on what was held out.
    halfway
        Whether that was the mean of the old weights and the new.
    wrong_before, wrong_after
        Voxels, of those held out.
    rest_before, rest_after
        Mean Dice of what nobody has looked at; the same if it was not kept.
    """

    at: Effort
    kept: bool
    halfway: bool
    wrong_before: int
    wrong_after: int
    rest_before: float
    rest_after: float


class Desk:
    """A scan, its labels as a model made them, the truth, and a person's work so far.

    Parameters
    ----------
    volume
        The scan.
    store
        Its labels, open for writing; complete.
    truth
        uint8 ``(z, y, x)``.
    """

    def __init__(
        self, volume: Volume, store: LabelStore, truth: NDArray[np.uint8]
    ) -> None:
        self.volume, self.store, self._truth = volume, store, truth
        self._labels = store.editable()
        self._looked_at = self._corrected = 0

    @property
    def effort(self) -> Effort:
        """What was done so far."""
        dice = mean_dice(self.store.labels, self._truth)
        return Effort(self._looked_at, self._corrected, dice)

    def look_at(self, box: Box) -> None:
        """Set every wrong voxel of a box."""
        right = self._truth[box]
        self._looked_at += right.size
        self._corrected += int(np.count_nonzero(self.store.labels[box] != right))
        self._labels[box] = right

    def keep(self, box: Box) -> None:
        """Set every wrong voxel of a box, and vouch for all of it."""
        self.look_at(box)
        for _ in self.store.use(Keep(), box):
            pass

    def dice_of_the_rest(self) -> float:
        """Return the mean Dice of what nobody vouches for."""
        whole = box_at((0, 0, 0), self.store.shape)
        seen = self.store.reviewed.read(whole) | self.store.corrected.read(whole)
        rest = np.where(seen, np.uint8(IGNORE), self._truth)
        return mean_dice(self.store.labels, rest)


def mean_dice(labels: NDArray[np.uint8], truth: NDArray[np.uint8]) -> float:
    """Return the mean Dice of the classes above 0."""
    rows = overlap(labels, truth).values()
    return float(np.mean([row.dice for row in rows if row.dice is not None]))


def through_planes(desk: Desk) -> Iterator[Effort]:
    """Go through all planes along z."""
    depth, height, width = desk.store.shape
    for z in range(depth):
        desk.look_at(box_at((z, 0, 0), (1, height, width)))
        yield desk.effort


def through_places(desk: Desk) -> Iterator[Effort]:
    """Go through all places of the queue, the worst first."""
    for item in _items(desk.store.review()):
        desk.look_at(item.box)
        desk.store.reviewed.mark(item.index)
        yield desk.effort


def through_samples(desk: Desk, n_places: int, first: int) -> Iterator[Effort]:
    """Look at some planes of the first places of the queue, and keep these.

    Parameters
    ----------
    desk
        What to work on.
    n_places
        How many places.
    first
        Plane of a place to begin with, from 0; then every `APART` th.
    """
    for item in itertools.islice(_items(desk.store.review()), n_places):
        z, y, x = item.box
        for plane in range(z.start + first, z.stop, APART):
            desk.keep((slice(plane, plane + 1), y, x))
        yield desk.effort


def _items(review: Review) -> Iterator[ReviewItem]:
    for z, y, x in review.queue.tolist():
        yield review.item((z, y, x))


def with_lessons(
    desk: Desk,
    checkpoint: Checkpoint,
    model: Path,
    *,
    n_lessons: int,
    share: float,
    n_steps: int,
    seed: int,
) -> Generator[Effort | Lesson, None, None]:
    """Teach the model by a few planes of places, then go through the queue.

    Parameters
    ----------
    desk
        What to work on.
    checkpoint
        The model that made the labels.
    model
        Where a new one goes.
    n_lessons
        How often.
    share
        Fraction of the places, of those that were in the queue at first, that are
        looked at before each lesson.
    n_steps, seed
        Of a lesson.
    """
    n_places = max(1, round(share * len(desk.store.review().queue)))
    for first in itertools.islice(itertools.cycle(FIRST), n_lessons):
        yield from through_samples(desk, n_places, first)
        lesson, checkpoint = _taught(desk, checkpoint, model, n_steps, seed)
        yield lesson
        yield desk.effort
    yield from through_places(desk)


def _taught(
    desk: Desk, checkpoint: Checkpoint, model: Path, n_steps: int, seed: int
) -> tuple[Lesson, Checkpoint]:
    """Let the model learn; if that made it better, label the scan with it."""
    at, before = desk.effort, desk.dice_of_the_rest()
    config = learning_config(n_steps, seed=seed)
    outcome = returned(
        learn(desk.volume, desk.store, checkpoint, config, model, command="benchmark")
    )
    if outcome.is_better:
        checkpoint = load_checkpoint(model)
        config = SegmentationConfig()
        with closing(segment(desk.volume, checkpoint, config, desk.store)) as steps:
            for _ in steps:
                pass
    wrong = outcome.before.wrong, outcome.after.wrong
    after = desk.dice_of_the_rest()
    lesson = Lesson(at, outcome.is_better, outcome.halfway, *wrong, before, after)
    return lesson, checkpoint


def course_of(steps: Iterator[Effort | Lesson]) -> dict:
    """Return a person's efforts until they are content, or have come to the end."""
    efforts, lessons = [], []
    for step in steps:
        if isinstance(step, Lesson):
            lessons.append(step)
            continue
        efforts.append(step)
        if step.dice >= TARGET:
            break
    return {
        "efforts": [asdict(effort) for effort in efforts],
        "lessons": [asdict(lesson) for lesson in lessons],
    }
