"""`meunet train`: make a model from scans and their labels."""

import argparse
import shlex
import sys
import tempfile
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean

from napari_meunet.atomic import writing
from napari_meunet.cli.parser import Subparsers
from napari_meunet.cli.phantom import labelled_scans
from napari_meunet.cli.segment import segment_scan
from napari_meunet.cli.terminal import show
from napari_meunet.cli.train_options import add_options
from napari_meunet.config import LabelClass, SegmentationConfig, TrainingConfig
from napari_meunet.errors import MeUNetError
from napari_meunet.export.export import require_absent
from napari_meunet.labels.store import LabelStore
from napari_meunet.network.card import COLORS, Card, SpacingRange
from napari_meunet.progress import Steps
from napari_meunet.training.evaluation.metrics import Overlap, overlap
from napari_meunet.volume.open import open_volume
from napari_meunet.volume.volume import Volume


def add_parser(subparsers: Subparsers) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "train",
        help="make a model from scans and their labels",
        description="Train stage 1, then stage 2 on the frozen stage 1, on every "
        "NAME.tif with a NAME_labels.tif beside it. An interrupted training goes on "
        "where it stopped when the same command is given again.",
    )
    add_options(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Train, measure on the validation scans, print the path and the figures."""
    from napari_meunet.network.checkpoint import load_checkpoint
    from napari_meunet.training.train import is_first_process, train

    _require_output(options.output, overwrite=options.overwrite)
    names = TrainingConfig.model_fields
    config = TrainingConfig.checked(
        **{name: value for name, value in vars(options).items() if name in names}
    )
    scans = [pair for folder in options.data for pair in labelled_scans(folder)]
    validation = labelled_scans(options.validation) if options.validation else []
    pairs = [_opened(options, *pair) for pair in scans]
    held_out = [(open_volume(scan), open_volume(labels)) for scan, labels in validation]
    initial = load_checkpoint(options.initial) if options.initial else None
    card = _card(options, config, [scan for scan, _ in pairs])
    if initial:
        card = card.model_copy(update={"command": initial.card.command + card.command})
    steps = train(
        pairs, config, card, options.output, initial=initial, validation=held_out
    )
    if not is_first_process():
        deque(steps, maxlen=0)
        return
    show(_logged(steps, options), "train")
    print(options.output)
    for name, value in _validated(options.output, validation).items():
        print(f"{name:32}  {value:.4f}")


def _opened(
    options: argparse.Namespace, scan: Path, labels: Path
) -> tuple[Volume, Volume]:
    """Open a scan and its labels as training shall see them."""
    from napari_meunet.training.patches.sparse import only_painted_planes

    drawn = open_volume(labels)
    if options.painted_planes:
        drawn = only_painted_planes(drawn)
    return open_volume(scan), drawn


def _logged(steps: Steps, options: argparse.Namespace) -> Steps:
    """Write the figures of the steps to files as they pass."""
    from napari_meunet.training.log import logged_to_csv, logged_to_tensorboard
    from napari_meunet.training.train import state_path

    goes_on = state_path(options.output).exists()
    steps = logged_to_csv(steps, options.output.with_suffix(".csv"), append=goes_on)
    if options.tensorboard:
        steps = logged_to_tensorboard(steps, options.tensorboard)
    return steps


def _require_output(path: Path, *, overwrite: bool) -> None:
    """Find out before hours of training whether the model can be written."""
    if path.suffix != ".safetensors":
        raise MeUNetError(
            f"the output must end in .safetensors, got {path.name!r}; change its name"
        )
    require_absent(path, overwrite=overwrite)
    with writing(path), tempfile.TemporaryFile(dir=path.parent):
        pass


def _card(
    options: argparse.Namespace, config: TrainingConfig, scans: Sequence[Volume]
) -> Card:
    from napari_meunet.training.train import new_network

    names = ["background", *options.classes]
    classes = tuple(
        LabelClass.checked(value=value, name=name, color=COLORS[value % len(COLORS)])
        for value, name in enumerate(names)
    )
    return Card(
        name=options.output.stem,
        version="1",
        network=new_network(len(classes), config),
        classes=classes,
        spacing=spacing_range(scans),
        data=options.description or f"{len(scans)} labelled scans",
        licence=options.licence,
        command=(shlex.join(["meunet", *sys.argv[1:]]),),
    )


def spacing_range(scans: Sequence[Volume]) -> SpacingRange | None:
    """Return the finest and the coarsest spacing of the scans that have one."""
    known = [scan.spacing.zyx for scan in scans if scan.spacing]
    if not known:
        return None
    axes = list(zip(*known, strict=True))
    return SpacingRange.checked(
        finest=tuple(map(min, axes)), coarsest=tuple(map(max, axes))
    )


def _validated(model: Path, scans: list[tuple[Path, Path]]) -> dict[str, float]:
    """Segment the scans with the engine, put the mean Dice on the card, return it."""
    from napari_meunet.network.checkpoint import (
        Checkpoint,
        load_checkpoint,
        save_checkpoint,
    )

    checkpoint = load_checkpoint(model)
    scores: dict[str, list[float]] = {
        label.name: [] for label in checkpoint.card.classes[1:]
    }
    for scan, reference in scans:
        rows = _overlap_with(model, scan, reference)
        for label in checkpoint.card.classes[1:]:
            row = rows.get(label.value)
            if row is not None and row.dice is not None:
                scores[label.name].append(row.dice)
    metrics = {
        f"Dice {name}, mean of {len(values)} scans": round(fmean(values), 4)
        for name, values in scores.items()
        if values
    }
    card = checkpoint.card.model_copy(update={"metrics": metrics})
    save_checkpoint(Checkpoint(checkpoint.weights, card), model)
    return metrics


def _overlap_with(model: Path, scan: Path, reference: Path) -> dict[int, Overlap]:
    with tempfile.TemporaryDirectory() as folder:
        store_path = Path(folder) / "validation.meunet"
        segment_scan(open_volume(scan), str(model), SegmentationConfig(), store_path)
        with LabelStore.open(store_path, writable=False) as store:
            return overlap(store.labels, open_volume(reference).planes)
