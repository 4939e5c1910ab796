"""What a model reaches on scans that it did not learn from, for its card."""

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Protocol

import numpy as np

from napari_meunet.config import Calibration, LabelClass, SegmentationConfig
from napari_meunet.inference.segment import segment
from napari_meunet.labels.temporary import temporary_labels
from napari_meunet.network.checkpoint import (
    Checkpoint,
    load_checkpoint,
    save_checkpoint,
)
from napari_meunet.progress import Steps
from napari_meunet.training.evaluation.metrics import overlap
from napari_meunet.training.evaluation.reliability import calibration, reliability
from napari_meunet.training.specimens.provenance import chosen_by_validation
from napari_meunet.volume.volume import Volume

CHOSEN_BY = "scans that chose the weights"
"""Said of figures that are a little too good: with early stopping the weights that are
kept are the best ones on the validation scans."""


class Agreeing(Protocol):
    """How well a class agrees with the truth; None if it is absent from both."""

    @property
    def dice(self) -> float | None: ...

    @property
    def iou(self) -> float | None: ...


def measure_model(
    model: Path, scans: Sequence[tuple[Volume, Volume]], config: SegmentationConfig
) -> Steps:
    """Segment scans and put Dice and IoU of every class on the model's card.

    How often it is wrong where it is unsure goes there, too.

    Both are means over the scans that hold a class, or were given it, of the voxels
    that have a label.

    Parameters
    ----------
    model
        A checkpoint; its card is written when all scans are measured. With no scans
        the card stays as it is.
    scans
        Scans that the model did not learn from, and their labels.
    config
        How to segment.

    Yields
    ------
    Progress
        Planes of the present scan.

    Raises
    ------
    MeUNetError
        If a scan and the machine do not go together.
    """
    if not scans:
        return
    checkpoint = load_checkpoint(model)
    values = [label.value for label in checkpoint.card.classes[1:]]
    found, counts = [], []
    for number, (volume, truth) in enumerate(scans, start=1):
        message = f"measuring on scan {number} of {len(scans)}"
        with (
            # on a disk with room for the model, which /tmp may not be
            temporary_labels(volume, checkpoint.card.classes, model.parent) as store,
            closing(segment(volume, checkpoint, config, store)) as steps,
        ):
            for step in steps:
                yield replace(step, message=message)
            found.append(overlap(store.labels, truth.planes, values))
            if store.confidence is not None:
                sure = np.asarray(store.confidence)
                counts.append(reliability(sure, store.labels, truth.planes))
    what = CHOSEN_BY if chosen_by_validation(checkpoint.card) else ""
    means = _means(checkpoint.card.classes[1:], found, what)
    _save(checkpoint, model, means, calibration(counts) if counts else None)


def record_on_card(
    model: Path,
    found: Sequence[Mapping[int, Agreeing]],
    what: str,
    measured: Calibration | None = None,
) -> None:
    """Add Dice and IoU of every class to the model's card, means over scans.

    Parameters
    ----------
    model
        A checkpoint. What stands on its card under the same words is replaced, all
        else is kept.
    found
        The agreement of every class by value, for every scan; the model must not
        have learned from any of them.
    what
        Words for these scans.
    measured
        How often the model is wrong where it is unsure; None leaves what is there.

    Raises
    ------
    MeUNetError
        If the file is not a checkpoint of ours, or cannot be written.
    """
    checkpoint = load_checkpoint(model)
    kept = {
        title: figure
        for title, figure in checkpoint.card.metrics.items()
        if f", {what}, " not in title
    }
    means = kept | _means(checkpoint.card.classes[1:], found, what)
    _save(checkpoint, model, means, measured)


def _save(
    checkpoint: Checkpoint,
    path: Path,
    metrics: Mapping[str, float],
    measured: Calibration | None,
) -> None:
    changes: dict[str, object] = {"metrics": dict(metrics)}
    if measured:
        changes["calibration"] = measured
    card = checkpoint.card.model_copy(update=changes)
    save_checkpoint(Checkpoint(checkpoint.weights, card), path)


def _means(
    classes: Sequence[LabelClass],
    found: Sequence[Mapping[int, Agreeing]],
    what: str = "",
) -> dict[str, float]:
    """Return the means by measure, class and scans, as they stand on the card."""
    means = {}
    for label in classes:
        rows = [scores[label.value] for scores in found if label.value in scores]
        for measure, figures in (
            ("Dice", [row.dice for row in rows if row.dice is not None]),
            ("IoU", [row.iou for row in rows if row.iou is not None]),
        ):
            if figures:
                scans = f"mean of {len(figures)} scans"
                words = filter(None, (f"{measure} {label.name}", what, scans))
                means[", ".join(words)] = round(fmean(figures), 4)
    return means
