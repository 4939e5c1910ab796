"""A model that learns from corrections, and is kept if that made it better."""

import hashlib
from collections.abc import Generator, Sequence
from pathlib import Path
from statistics import fmean

from napari_meunet.atomic import writing
from napari_meunet.config import SegmentationConfig, TrainingConfig
from napari_meunet.errors import MeUNetError
from napari_meunet.labels.store import LabelStore
from napari_meunet.learning.comparison import Known, Outcome, Score, better_model
from napari_meunet.network.checkpoint import (
    Checkpoint,
    load_checkpoint,
    save_checkpoint,
)
from napari_meunet.progress import Progress, Steps
from napari_meunet.training.draft import draft_card, suited_to
from napari_meunet.training.output import (
    candidate_path,
    candidates,
    require_writable,
    state_path,
)
from napari_meunet.training.specimens.reduced import Reducer
from napari_meunet.training.specimens.scans import Pair
from napari_meunet.training.specimens.vouched import Vouched
from napari_meunet.training.train import train
from napari_meunet.volume.volume import Volume

STEPS = 150
"""Optimiser steps, if a person asks for no other number: see
benchmarks/correction."""

LEARNING_RATE = 5e-4
"""Some half of that of a training from nothing. With twice as much, lessons now and
then forgot more than they learned: see benchmarks/correction."""

BATCH = 2
"""Patches a step."""

REPLAYED = 0.6
"""Confidence from which labels of the model are learned from, beside those of a person.
From 0.8 on, more surfaces are left out, and free to move: the model then forgets, see
benchmarks/correction."""

SURE = 0.995
"""Confidence from which they count where two models are compared. From 0.95 on, so much
of what a model had missed counted as right that one with half as many wrong voxels was
refused: see benchmarks/correction."""

PATCH = 64
"""Edge of the patches in voxels."""

MEASURED = "held-out cells"
"""Said of figures on cells of the scan that were not learned from, by what a person
vouches for and, in places that nobody has touched, what the model before was sure of.
"""


def learning_config(n_steps: int = STEPS, **choices: object) -> TrainingConfig:
    """Return how a model learns from corrections.

    Patches of corrections are unlike the scan, and most of their voxels have no label.
    So statistics stay as they are, or the network would be another one in use than
    while it learns; and the loss is the cross-entropy alone, as the Dice of a class
    would hang on a few voxels. And it is this scan that shall be labelled better, as it
    lies there: patches are not augmented. All of that is measured in
    benchmarks/correction.

    Parameters
    ----------
    n_steps
        Optimiser steps, of all stages together.
    **choices
        Other fields of the config.
    """
    values = {
        "patch_size": PATCH,
        "expanded_size": PATCH,
        "batch_size": BATCH,
        "stage1_steps": 0,
        "joint_steps": n_steps,
        "learning_rate": LEARNING_RATE,
        "statistics": "frozen",
        "augmentation": "none",
        "dice": False,
    }
    return TrainingConfig.checked(**values | choices)


def learn(
    volume: Volume,
    store: LabelStore,
    checkpoint: Checkpoint,
    config: TrainingConfig,
    output: Path,
    *,
    command: str,
    replay: Sequence[Pair] = (),
) -> Generator[Progress, None, Outcome]:
    """Train a model further on what a person has corrected, and compare the two.

    Every other patch is drawn for voxels that a person set or kept or that lie in
    places that they reviewed. The others are of that, too, and of what the model has
    said without much doubt of places that nobody has touched, so that it does not
    forget; or of `replay`.

    A quarter of the scan is held out, cell by cell: there both models label some cells
    that a person vouches for something in, and some where nobody has looked, and so
    does the one halfway between the two. Only if clearly fewer voxels are wrong than
    before is the better new one written. What the model before had next to no doubt of
    counts as right: else a model would win that has unlearned the rest, as corrections
    lie where the first one was wrong.

    Parameters
    ----------
    volume
        The scan.
    store
        Its labels, with corrections.
    checkpoint
        The model that shall learn; best the one that made the labels.
    config
        How, see `learning_config`.
    output
        Where the new model goes if it is better; what lies there is replaced only then.
        Beside it lies the state of an interrupted lesson, with which the same call goes
        on, unless something was corrected meanwhile: then it begins anew.
    command
        How this was started, for the card.
    replay
        Other scans and their labels to learn from at the same time.

    Yields
    ------
    Progress
        Of reading, of the training, then of labelling what was held out.

    Returns
    -------
    Outcome
        The comparison.

    Raises
    ------
    MeUNetError
        If no model has said how sure it is of the labels, there are too few
        corrections, or as `train` and `segment_part`.
    """
    require_writable(output)
    store.require_scan(volume)
    store.require_classes(checkpoint.card.classes)
    yield Progress(0, 1, "scans", "looking at what was corrected")
    vouched = Vouched(store)
    if store.confidence is None:
        # corrections alone are of what was missed, and say nothing of the rest
        raise MeUNetError(
            "a model learns from corrections beside what it was sure of, got labels of "
            "which no model has said how sure it is; run Segment with the preset "
            "'exact' first, or train with 'meunet train'"
        )
    cells, boxes = vouched.split(config.seed)
    held_out = vouched.volume(~cells, sure=SURE).planes
    truth = [(box, held_out[box]) for box in boxes]  # of now: a person may go on
    config = suited_to(checkpoint, config)
    key = _key(checkpoint, config, vouched)
    candidate = candidate_path(output, key)
    _discard_others(output, candidate)
    if not candidate.exists():  # else it was stopped while it was measured
        pairs: list[Pair] = [
            (volume, vouched.volume(cells)),
            (volume, vouched.volume(cells, sure=REPLAYED)),
            *replay,
        ]
        yield from _train(pairs, checkpoint, config, candidate, output, command)
    new = load_checkpoint(candidate)
    how = SegmentationConfig(
        device=config.device, memory=config.memory, exact_halo=False
    )
    known = Known(volume, truth, how, output.parent)
    outcome, new = yield from better_model(known, checkpoint, new)
    if outcome.is_better:
        save_checkpoint(_measured(new, outcome.after), output)
    with writing(output):
        candidate.unlink()
    return outcome


def _train(
    pairs: Sequence[Pair],
    checkpoint: Checkpoint,
    config: TrainingConfig,
    candidate: Path,
    output: Path,
    command: str,
) -> Steps:
    reducer = Reducer(None, checkpoint.card, config)
    pairs = reducer.to_learn_from(pairs)
    card = draft_card(
        output,
        checkpoint.card.classes,
        config,
        [image or labels for image, labels in pairs],
        command=command,
        initial=checkpoint,
        voxel_size=reducer.voxel_size,
        description=f"{checkpoint.card.data}; then corrections of a scan",
        licence=checkpoint.card.licence,
    )
    turns = [turn for other in range(1, len(pairs)) for turn in (0, other)]
    return train(pairs, config, card, candidate, initial=checkpoint, turns=turns)


def _key(checkpoint: Checkpoint, config: TrainingConfig, vouched: Vouched) -> str:
    """Return what must agree for a stopped lesson to go on."""
    asked = config.model_dump_json(exclude={"device", "memory"})
    parts = checkpoint.digest(), asked, vouched.digest()
    return hashlib.sha256(" ".join(parts).encode()).hexdigest()[:12]


def _discard_others(output: Path, candidate: Path) -> None:
    """Remove what is left of lessons that were stopped, and are no longer asked for."""
    kept = {candidate, state_path(candidate)}
    with writing(output):
        for path in set(candidates(output)) - kept:
            path.unlink()


def _measured(checkpoint: Checkpoint, score: Score) -> Checkpoint:
    """Return a model whose card says what it reaches."""
    metrics = {
        f"Dice {name}, {MEASURED}": round(v, 4) for name, v in score.dice.items()
    }
    if score.dice:
        metrics[f"mean Dice, {MEASURED}"] = round(fmean(score.dice.values()), 4)
    card = checkpoint.card.model_copy(update={"metrics": metrics})
    return Checkpoint(checkpoint.weights, card)
