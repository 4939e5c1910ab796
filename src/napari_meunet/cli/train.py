"""`meunet train`: make a model from scans and their labels."""

import argparse
import shlex
import sys
from collections import deque
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from napari_meunet.cli.console.interruption import interrupted_between
from napari_meunet.cli.console.parser import Subparsers
from napari_meunet.cli.console.terminal import remark, show
from napari_meunet.cli.train_options import (
    add_options,
    n_held_out,
    training_config,
)
from napari_meunet.config import (
    SHORTEST_STREAMED,
    SegmentationConfig,
    TrainingConfig,
)
from napari_meunet.export.export import require_absent
from napari_meunet.network.card import read_card
from napari_meunet.network.classes import class_table
from napari_meunet.progress import Steps
from napari_meunet.training.output import log_path, require_writable, state_path
from napari_meunet.training.specimens.scans import (
    Pair,
    labelled_scans,
    open_label_maps,
    open_pair,
)
from napari_meunet.volume.volume import Volume

if TYPE_CHECKING:
    from napari_meunet.network.checkpoint import Checkpoint

Scans = list[tuple[Volume, Volume]]


def add_parser(subparsers: Subparsers) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "train",
        help="make a model from scans and their labels",
        description="Train stage 1, then both stages together, on every NAME.tif with "
        "a NAME_labels.tif beside it. An interrupted training goes on "
        "where it stopped when the same command is given again.",
    )
    add_options(parser)
    parser.set_defaults(run=run, to_go_on=_to_go_on)


def run(options: argparse.Namespace) -> None:
    """Train, measure on the validation scans, print the path and the figures."""
    options.written_before = _written(options.output)
    from napari_meunet.measurement import measure_model
    from napari_meunet.network.checkpoint import load_checkpoint
    from napari_meunet.training.draft import draft_card
    from napari_meunet.training.specimens.reduced import Reducer
    from napari_meunet.training.train import is_first_process, train

    require_writable(options.output)
    require_absent(options.output, overwrite=options.overwrite)
    initial = load_checkpoint(options.initial) if options.initial else None
    config = _config(options, initial)
    pairs, held_out = _specimens(options, config)
    card = initial.card if initial else None
    reducer = Reducer(options.voxel_size, card, config)
    pairs, validation = reducer.to_learn_from(pairs), reducer.reduced(held_out)
    card = draft_card(
        options.output,
        class_table(options.classes),
        config,
        [image or labels for image, labels in pairs],
        command=shlex.join(["meunet", *sys.argv[1:]]),
        initial=initial,
        voxel_size=reducer.voxel_size,
        description=options.description,
        licence=options.licence,
    )
    steps = interrupted_between(
        train(
            pairs, config, card, options.output, initial=initial, validation=validation
        )
    )
    if not is_first_process():
        deque(steps, maxlen=0)
        return
    if state_path(options.output).exists():
        remark("a training was interrupted here; it goes on")
    remark("; ".join(reducer.remarks))
    show(_logged(_remarked(steps), options), "train")
    print(options.output, flush=True)
    how = SegmentationConfig(device=config.device, memory=config.memory)
    show(measure_model(options.output, held_out, how), "measure")
    for name, value in read_card(options.output).metrics.items():
        print(f"{name:32}  {value:.4f}")


def _to_go_on(options: argparse.Namespace) -> str:
    """Say what an interruption has left."""
    if state_path(options.output).exists():
        return "; run the same command to go on"
    if _written(options.output) != options.written_before:
        return f"; {options.output} is complete, but was not measured"
    return ""


def _written(path: Path) -> int | None:
    """Return when a file was written, None if there is none."""
    return path.stat().st_mtime_ns if path.exists() else None


def _config(
    options: argparse.Namespace, initial: "Checkpoint | None"
) -> TrainingConfig:
    """Return what was asked for, with what the model to begin from leaves no choice."""
    from napari_meunet.training.draft import suited_to
    from napari_meunet.training.train import is_first_process

    config = training_config(options)
    if initial and not {"fusion", "normalise"} & vars(options).keys():
        config = suited_to(initial, config)  # else the engine says what does not fit
    if config.patch_size < SHORTEST_STREAMED and is_first_process():
        remark(
            f"patches should have {SHORTEST_STREAMED} voxels or more, got "
            f"{config.patch_size}: whole scans may be labelled far worse than patches"
        )
    return config


def _specimens(
    options: argparse.Namespace, config: TrainingConfig
) -> tuple[list[Pair], Scans]:
    """Open what to train on, and what to validate on."""
    from napari_meunet.training.specimens.provenance import hold_out, specimen_name
    from napari_meunet.training.train import is_first_process

    painted = options.painted_planes
    pairs = [
        pair
        for folder in options.data
        for pair in open_label_maps(folder, painted=painted)
    ]
    if options.validation:
        return pairs, [open_pair(*pair) for pair in labelled_scans(options.validation)]
    n = n_held_out(options, len(pairs))
    pairs, held_out = hold_out(pairs, n, config.seed)
    if held_out and is_first_process():
        names = ", ".join(map(specimen_name, held_out))
        remark(f"held out for validation: {names}")
    return pairs, held_out


def _remarked(steps: Steps) -> Steps:
    """Pass the steps on, and say what a person should know."""
    from napari_meunet.training.log import is_remark

    with closing(steps):
        for step in steps:
            if is_remark(step):
                remark(step.message)
            yield step


def _logged(steps: Steps, options: argparse.Namespace) -> Steps:
    """Write the figures of the steps to files as they pass."""
    from napari_meunet.training.log import logged_to_csv, logged_to_tensorboard

    goes_on = state_path(options.output).exists()
    steps = logged_to_csv(steps, log_path(options.output), append=goes_on)
    if options.tensorboard:
        steps = logged_to_tensorboard(steps, options.tensorboard)
    return steps
