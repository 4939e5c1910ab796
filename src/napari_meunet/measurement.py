"""What a new model reaches on scans that it did not learn from, for its card."""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from statistics import fmean

from napari_meunet.config import LabelClass, SegmentationConfig
from napari_meunet.inference.segment import segment
from napari_meunet.labels.temporary import temporary_labels
from napari_meunet.network.checkpoint import (
    Checkpoint,
    load_checkpoint,
    save_checkpoint,
)
from napari_meunet.progress import Steps
from napari_meunet.training.evaluation.metrics import Overlap, overlap
from napari_meunet.volume.volume import Volume


def measure_model(
    model: Path, scans: Sequence[tuple[Volume, Volume]], config: SegmentationConfig
) -> Steps:
    """Segment scans and put Dice and IoU of every class on the model's card.

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
    found: list[dict[int, Overlap]] = []
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
    metrics = _means(checkpoint.card.classes[1:], found)
    card = checkpoint.card.model_copy(update={"metrics": metrics})
    save_checkpoint(Checkpoint(checkpoint.weights, card), model)


def _means(
    classes: Sequence[LabelClass], found: Sequence[dict[int, Overlap]]
) -> dict[str, float]:
    """Return the means by measure and class, as they stand on the card."""
    means = {}
    for label in classes:
        rows = [overlaps[label.value] for overlaps in found]
        for measure, figures in (
            ("Dice", [row.dice for row in rows if row.dice is not None]),
            ("IoU", [row.iou for row in rows if row.iou is not None]),
        ):
            if figures:
                title = f"{measure} {label.name}, mean of {len(figures)} scans"
                means[title] = round(fmean(figures), 4)
    return means
