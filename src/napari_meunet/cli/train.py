"""`meunet train`: make a model from scans and their labels."""

import argparse
import shlex
import sys
import tempfile
from pathlib import Path
from statistics import fmean

from napari_meunet.atomic import writing
from napari_meunet.cli.parser import Subparsers
from napari_meunet.cli.phantom import labelled_scans
from napari_meunet.cli.segment import segment_scan
from napari_meunet.cli.terminal import show
from napari_meunet.config import LabelClass, SegmentationConfig, TrainingConfig
from napari_meunet.errors import MeUNetError
from napari_meunet.export.export import require_absent
from napari_meunet.labels.store import LabelStore
from napari_meunet.network.card import COLORS, Card
from napari_meunet.training.metrics import Overlap, overlap
from napari_meunet.volume.open import open_volume

DEFAULTS = TrainingConfig()


def add_parser(subparsers: Subparsers) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "train",
        help="make a model from scans and their labels",
        description="Train stage 1, then stage 2 on the frozen stage 1, on every "
        "NAME.tif with a NAME_labels.tif beside it.",
    )
    parser.add_argument("data", type=Path, nargs="+", help="folders of labelled scans")
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument(
        "--classes", nargs="+", required=True, help="names of the labels 1, 2, …"
    )
    parser.add_argument(
        "--validation", type=Path, help="folder of labelled scans to measure Dice on"
    )
    parser.add_argument(
        "--initial", metavar="MODEL", help="begin from this model, not from nothing"
    )
    parser.add_argument("--patch-size", type=int, default=DEFAULTS.patch_size)
    parser.add_argument("--expanded-size", type=int, default=DEFAULTS.expanded_size)
    parser.add_argument("--batch-size", type=int, default=DEFAULTS.batch_size)
    parser.add_argument("--stage1-steps", type=int, default=DEFAULTS.stage1_steps)
    parser.add_argument("--stage2-steps", type=int, default=DEFAULTS.stage2_steps)
    parser.add_argument("--learning-rate", type=float, default=DEFAULTS.learning_rate)
    parser.add_argument("--foreground", type=float, default=DEFAULTS.foreground)
    parser.add_argument("--fusion", choices=("post", "pre", "none"), default="post")
    parser.add_argument("--seed", type=int, default=DEFAULTS.seed)
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1, mps")
    parser.add_argument("--description", default="", help="of the data, for the card")
    parser.add_argument(
        "--licence", default="unknown", help="of the model, for the card"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace the output")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Train, measure on the validation scans, print the path and the figures."""
    from napari_meunet.network.checkpoint import load_checkpoint
    from napari_meunet.training.train import train

    _require_output(options.output, overwrite=options.overwrite)
    names = TrainingConfig.model_fields
    config = TrainingConfig.checked(
        **{name: value for name, value in vars(options).items() if name in names}
    )
    scans = [pair for folder in options.data for pair in labelled_scans(folder)]
    validation = labelled_scans(options.validation) if options.validation else []
    pairs = [(open_volume(scan), open_volume(labels)) for scan, labels in scans]
    initial = load_checkpoint(options.initial) if options.initial else None
    card = _card(options, config, len(pairs))
    if initial:
        card = card.model_copy(update={"command": initial.card.command + card.command})
    show(train(pairs, config, card, options.output, initial), "train")
    print(options.output)
    for name, value in _validated(options.output, validation).items():
        print(f"{name:32}  {value:.4f}")


def _require_output(path: Path, *, overwrite: bool) -> None:
    """Find out before hours of training whether the model can be written."""
    if path.suffix != ".safetensors":
        raise MeUNetError(
            f"the output must end in .safetensors, got {path.name!r}; change its name"
        )
    require_absent(path, overwrite=overwrite)
    with writing(path), tempfile.TemporaryFile(dir=path.parent):
        pass


def _card(options: argparse.Namespace, config: TrainingConfig, n_scans: int) -> Card:
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
        data=options.description or f"{n_scans} labelled scans",
        licence=options.licence,
        command=(shlex.join(["meunet", *sys.argv[1:]]),),
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
