"""Learning from corrections for the Correct dock: what the worker thread does."""

from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from napari.layers import Image

from napari_meunet.plugin.scan import scan_of
from napari_meunet.plugin.torch_import import import_torch
from napari_meunet.progress import Progress
from napari_meunet.training.output import MODEL_SUFFIX

if TYPE_CHECKING:
    from napari_meunet.learning.comparison import Outcome, Score


@dataclass(frozen=True)
class Lesson:
    """What a model shall learn.

    Attributes
    ----------
    image
        Shows the scan.
    folder
        Of its labels, with corrections.
    model
        That shall learn: the name of a bundled one, or a file.
    output
        Where the new model goes.
    """

    image: Image
    folder: Path
    model: str
    output: Path


def new_model_path(folder: Path) -> Path:
    """Return a name for a model that learns from a labels folder, beside that."""
    return next(path for path in _names(folder) if not path.exists())


def learn_as_asked(lesson: Lesson) -> "Generator[Progress, None, Outcome]":
    """Let the model learn, and return what came of it.

    Closing keeps the state, and the same lesson goes on with it if nothing was
    corrected meanwhile.

    Raises
    ------
    MeUNetError
        As the engine, or if scan, labels or the model cannot be opened.
    """
    import_torch()
    from napari_meunet.labels.store import LabelStore
    from napari_meunet.learning.lesson import learn, learning_config
    from napari_meunet.network.checkpoint import load_checkpoint

    checkpoint = load_checkpoint(lesson.model)
    # a map of its own: the layer's one goes when the layer is removed
    with LabelStore.open(lesson.folder, writable=False) as store:
        steps = learn(
            scan_of(lesson.image, store),
            store,
            checkpoint,
            learning_config(),
            lesson.output,
            command="the Correct dock of napari",
        )
        with closing(steps):
            return (yield from steps)


def outcome_in_words(outcome: "Outcome", output: Path) -> str:
    """Return what a person should know of a lesson."""
    before, after = outcome.before, outcome.after
    figures = (
        f"Of {before.total:,} voxels that were held out (yours, and those that the old "
        f"model had no doubt of), {before.wrong:,} were wrong before and "
        f"{after.wrong:,} are now{_dice_in_words(before, after)}."
    )
    if not outcome.is_better:
        return (
            f"{figures} That is no better, so the new model was not kept. Set "
            "a few planes of more places right (K), and try again."
        )
    which = "Halfway to what was learned was best. " if outcome.halfway else ""
    return (
        f"{figures} {which}The new model is {output.name}, beside the scan: choose it "
        "in the Segment dock and run again. What you have corrected stays, and the "
        "models before it stay in the list."
    )


def _dice_in_words(before: "Score", after: "Score") -> str:
    names = [name for name in after.dice if name in before.dice]
    changes = (f"{n} {before.dice[n]:.2f} to {after.dice[n]:.2f}" for n in names)
    return f" (Dice {', '.join(changes)})" if names else ""


def _names(folder: Path) -> Iterator[Path]:
    stem = f"{folder.stem}-learned"
    yield folder.with_name(f"{stem}{MODEL_SUFFIX}")
    for number in count(2):
        yield folder.with_name(f"{stem}-{number}{MODEL_SUFFIX}")
