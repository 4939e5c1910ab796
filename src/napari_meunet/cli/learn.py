"""`meunet learn`: let a model learn from corrections."""

import argparse
import json
import shlex
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from napari_meunet.cli.console.parser import (
    Subparsers,
    add_device,
    add_volume,
    natural,
    opened,
)
from napari_meunet.cli.console.terminal import add_json, byte_size, show
from napari_meunet.export.export import require_absent
from napari_meunet.labels.folder import labels_folder, scan_name
from napari_meunet.network.card import BUNDLED
from napari_meunet.progress import keeping
from napari_meunet.training.output import MODEL_SUFFIX, candidates
from napari_meunet.training.specimens.scans import labelled_scans, open_pair

if TYPE_CHECKING:
    from napari_meunet.learning.comparison import Outcome, Score


def add_parser(subparsers: Subparsers) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "learn",
        help="let a model learn from what was corrected in a scan",
        description="Train a model further on the voxels that a person has corrected "
        "or kept and the places they have reviewed. A quarter of the scan is held out, "
        "and only if clearly fewer voxels of parts of it are wrong is the new model "
        "written; else the exit code is 1. An interrupted training goes on when the "
        "same command is given again.",
    )
    add_volume(parser)
    parser.add_argument(
        "--labels",
        type=Path,
        metavar="DIR",
        help="labels folder, *.meunet; if not given, the one beside the scan",
    )
    parser.add_argument(
        "--model",
        help="the model that shall learn; if not given, the one that made the labels",
    )
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="FILE",
        help=f"the new model; if not given, NAME-learned{MODEL_SUFFIX} beside the scan",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace the output")
    parser.add_argument(
        "--replay",
        type=Path,
        metavar="DIR",
        help="folder of other scans with their labels (NAME.tif and NAME_labels.tif) "
        "to learn from at the same time",
    )
    parser.add_argument(
        "--steps",
        type=natural,
        metavar="N",
        help="training steps; more take longer and learn more",
    )
    parser.add_argument(
        "--seed",
        type=natural,
        default=0,
        metavar="N",
        help="another number makes other random choices (default %(default)s)",
    )
    add_device(parser)
    parser.add_argument(
        "--memory",
        type=byte_size,
        metavar="SIZE",
        help="memory to take on the device that computes, such as 4GB",
    )
    add_json(parser)
    parser.set_defaults(run=run, to_go_on=_to_go_on)


def run(options: argparse.Namespace) -> int:
    """Learn, and say whether the new model is better; 1 if it is not."""
    from napari_meunet.cli.console.interruption import interrupted_between
    from napari_meunet.labels.store import LabelStore, with_known_spacing
    from napari_meunet.learning.lesson import STEPS, learn, learning_config
    from napari_meunet.network.checkpoint import load_checkpoint

    output = _output(options)
    require_absent(output, overwrite=options.overwrite)
    folder = options.labels or labels_folder(options.image)
    others = labelled_scans(options.replay) if options.replay else []
    with LabelStore.open(folder, writable=False) as store:
        checkpoint = load_checkpoint(options.model or store.model_source or BUNDLED)
        config = learning_config(
            STEPS if options.steps is None else options.steps,
            seed=options.seed,
            device=options.device,
            memory=options.memory,
        )
        steps = learn(
            with_known_spacing(opened(options), folder),
            store,
            checkpoint,
            config,
            output,
            command=shlex.join(["meunet", *sys.argv[1:]]),
            replay=[open_pair(*pair) for pair in others],
        )
        found: list[Outcome] = []
        show(interrupted_between(keeping(steps, found)), "learn")
    _tell(found[0], output, as_json=options.json)
    return 0 if found[0].is_better else 1


def _tell(outcome: "Outcome", output: Path, *, as_json: bool) -> None:
    kept = output if outcome.is_better else None
    if as_json:
        model = {"model": str(kept) if kept else None}
        print(json.dumps(model | asdict(outcome), indent=1))
        return
    print("held-out cells")
    for name, score in (("before", outcome.before), ("after", outcome.after)):
        print(f"  {name:6}  {_in_words(score)}")
    if kept and outcome.halfway:
        print("the means of the weights before and after were best")
    print(kept or "no better than before: no model was written")


def _in_words(score: "Score") -> str:
    dice = ", ".join(f"{name} {value:.3f}" for name, value in score.dice.items())
    wrong = f"{score.wrong:,} of {score.total:,} voxels wrong"
    return f"{wrong}; Dice {dice}" if dice else wrong


def _output(options: argparse.Namespace) -> Path:
    """Return where the model goes."""
    scan: Path = options.image.absolute()
    beside = scan.with_name(f"{scan_name(scan)}-learned{MODEL_SUFFIX}")
    return options.output or beside


def _to_go_on(options: argparse.Namespace) -> str:
    """Say what an interruption has left."""
    if candidates(_output(options)):
        return "; run the same command to go on"
    return ""
