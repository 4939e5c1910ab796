"""`meunet train`: make a model from scans and their labels."""

import argparse
import shlex
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean

from napari_meunet.atomic import writing
from napari_meunet.cli.parser import Parser, Subparsers, add_device
from napari_meunet.cli.phantom import labelled_scans
from napari_meunet.cli.segment import segment_scan
from napari_meunet.cli.terminal import show
from napari_meunet.config import LabelClass, SegmentationConfig, TrainingConfig
from napari_meunet.errors import MeUNetError
from napari_meunet.export.export import require_absent
from napari_meunet.labels.store import LabelStore
from napari_meunet.network.card import COLORS, Card, SpacingRange
from napari_meunet.training.metrics import Overlap, overlap
from napari_meunet.volume.open import open_volume
from napari_meunet.volume.volume import Volume

DEFAULTS = TrainingConfig()


def add_parser(subparsers: Subparsers) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "train",
        help="make a model from scans and their labels",
        description="Train stage 1, then stage 2 on the frozen stage 1, on every "
        "NAME.tif with a NAME_labels.tif beside it.",
    )
    _add_data(parser)
    _add_learning(parser)
    _add_sampling(parser)
    parser.add_argument(
        "--seed",
        type=int,
        default=DEFAULTS.seed,
        metavar="N",
        help="another number makes other random choices (default %(default)s)",
    )
    _add_card(parser)
    add_device(parser)
    parser.add_argument("--overwrite", action="store_true", help="replace the output")
    parser.set_defaults(run=run)


def _add_data(parser: Parser) -> None:
    """Add what to learn from, and where the model goes."""
    parser.add_argument(
        "data", type=Path, nargs="+", metavar="DIR", help="folders of labelled scans"
    )
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        required=True,
        metavar="FILE",
        help="the model, a .safetensors file; written when training ends",
    )
    parser.add_argument(
        "--classes",
        nargs="+",
        required=True,
        metavar="NAME",
        help="names of the labels 1, 2, …",
    )
    parser.add_argument(
        "--validation",
        type=Path,
        metavar="DIR",
        help="folder of labelled scans, none of them trained on, to measure Dice on",
    )
    parser.add_argument(
        "--initial",
        metavar="MODEL",
        help="begin from this model, of the same classes, not from nothing",
    )


def _add_learning(parser: Parser) -> None:
    """Add how long and how fast to learn."""
    parser.add_argument(
        "--stage1-steps",
        type=int,
        default=DEFAULTS.stage1_steps,
        metavar="N",
        help="training steps of stage 1, which finds things; more take longer and "
        "learn more; 0 leaves the stage as it is in --initial (default %(default)s)",
    )
    parser.add_argument(
        "--stage2-steps",
        type=int,
        default=DEFAULTS.stage2_steps,
        metavar="N",
        help="training steps of stage 2, which adds detail, likewise "
        "(default %(default)s)",
    )
    parser.add_argument(
        "--fusion",
        choices=("post", "pre", "none"),
        default=DEFAULTS.fusion,
        help="where stage 2 meets stage 1: post joins their last features, pre gives "
        "stage 2 what stage 1 found, none is stage 1 alone and goes with "
        "--stage2-steps 0 (default %(default)s)",
    )
    parser.add_argument(
        "--learning-rate",
        type=float,
        default=DEFAULTS.learning_rate,
        metavar="RATE",
        help="how far a step goes at first; it falls to zero towards the end. Lower it "
        "if the loss jumps or is no number (default %(default)s)",
    )


def _add_sampling(parser: Parser) -> None:
    """Add what the network is shown."""
    parser.add_argument(
        "--patch-size",
        type=int,
        default=DEFAULTS.patch_size,
        metavar="VOXELS",
        help="edge of the cubes that the network is shown, in voxels, a multiple of "
        "16; larger ones show more of the surroundings and take more memory and time "
        "(default %(default)s)",
    )
    parser.add_argument(
        "--expanded-size",
        type=int,
        default=DEFAULTS.expanded_size,
        metavar="VOXELS",
        help="edge of the larger cube around each, from which stage 1 learns the "
        "surroundings, in voxels, a multiple of 32; as large as --patch-size switches "
        "it off (default %(default)s)",
    )
    parser.add_argument(
        "--batch-size",
        type=int,
        default=DEFAULTS.batch_size,
        metavar="N",
        help="cubes in a step; more make steps steadier and take more memory and time "
        "(default %(default)s)",
    )
    parser.add_argument(
        "--foreground",
        type=float,
        default=DEFAULTS.foreground,
        metavar="FRACTION",
        help="fraction of the cubes, 0 to 1, that are centred on a labelled voxel; the "
        "others lie anywhere (default %(default)s)",
    )


def _add_card(parser: Parser) -> None:
    """Add what the model says of itself, for people who get it."""
    parser.add_argument(
        "--description", metavar="TEXT", default="", help="what the data are"
    )
    parser.add_argument(
        "--licence",
        metavar="NAME",
        default="unknown",
        help="of the model, such as CC0-1.0 (default %(default)s)",
    )


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
    card = _card(options, config, [scan for scan, _ in pairs])
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
