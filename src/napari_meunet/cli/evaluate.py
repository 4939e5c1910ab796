"""`meunet evaluate`: compare labels, or a model, with the truth."""

import argparse
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_meunet.atomic import writing
from napari_meunet.cli.console.parser import (
    Parser,
    Subparsers,
    add_average,
    add_device,
    add_resolution,
    add_spacing,
)
from napari_meunet.cli.console.terminal import add_json, remark, show
from napari_meunet.cli.evaluate_report import print_json, print_table, write_csv
from napari_meunet.config import SegmentationConfig
from napari_meunet.errors import MeUNetError
from napari_meunet.export.export import require_absent
from napari_meunet.labels.temporary import temporary_labels
from napari_meunet.progress import Progress, Steps
from napari_meunet.training.evaluation.agreement import Agreement, agreement
from napari_meunet.training.evaluation.figure import (
    agreement_figure,
    require_drawable,
    save_figure,
)
from napari_meunet.training.evaluation.opened import OpenedLabels, opened_labels
from napari_meunet.training.evaluation.pairs import (
    Pair,
    labelled_pairs,
    paired_labels,
)
from napari_meunet.training.evaluation.reliability import calibration, reliability
from napari_meunet.training.evaluation.setting import Setting, common_setting
from napari_meunet.training.output import MODEL_SUFFIX
from napari_meunet.volume.open import open_volume
from napari_meunet.volume.volume import GIVEN, Spacing, Volume
from napari_meunet.words import some_of

if TYPE_CHECKING:
    from napari_meunet.network.checkpoint import Checkpoint

Predict = Callable[[Pair], AbstractContextManager[OpenedLabels]]
"""Gives the labels to judge, for as long as they are compared."""


def add_parser(subparsers: Subparsers) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "evaluate",
        help="compare labels, or a model, with the truth",
        description="Print for every specimen and class Dice and IoU, the relative "
        "error of the volume, the 95th percentile of the distance between the surfaces "
        "(HD95) and the fraction of the surfaces that lie within a tolerance (surface "
        "Dice); for folders the mean and the standard deviation (SD), too. TRUTH "
        "and PREDICTED are two label maps, or two folders in which label maps of one "
        "name are compared: fly_labels.tif, fly.meunet and fly.tif are all named fly. "
        "Of a folder that holds several of these kinds the first is the truth, and "
        "the second the prediction.",
    )
    parser.add_argument(
        "truth",
        type=Path,
        help="the true labels: labels folder (*.meunet) or file, or a folder of these",
    )
    parser.add_argument(
        "predicted", type=Path, nargs="?", help="the labels to judge, likewise"
    )
    parser.add_argument(
        "--model",
        help="judge a model: TRUTH is a folder of scans with labels (NAME.tif with "
        "NAME_labels.tif), which the model segments for this comparison; nothing is "
        "kept of it",
    )
    add_device(parser)
    add_resolution(parser)
    add_average(parser)
    add_spacing(parser)
    parser.add_argument(
        "--tolerance",
        type=float,
        metavar="UM",
        help="micrometres that the surfaces may lie apart for the surface Dice; if not "
        "given, the longest edge of a voxel",
    )
    _add_outputs(parser)
    parser.set_defaults(run=run)


def _add_outputs(parser: Parser) -> None:
    add_json(parser)
    parser.add_argument(
        "--csv",
        type=Path,
        metavar="FILE",
        help="write a table with a row for every specimen and class",
    )
    parser.add_argument(
        "--figure",
        type=Path,
        metavar="FILE",
        help="draw a dot for every specimen, and the mean: .png, .pdf or .svg (pip "
        'install "napari-meunet[figures]")',
    )
    parser.add_argument(
        "--overwrite", action="store_true", help="replace older tables and figures"
    )
    parser.add_argument(
        "--record",
        metavar="WORDS",
        help="write the means of Dice and IoU on the card of --model, too, under these "
        "words, such as 'the scans of another laboratory', and how often it is wrong "
        "where it is unsure; a model that has learned from a specimen of the same name "
        "is refused",
    )


def run(options: argparse.Namespace) -> None:
    """Compare, print the figures, and write the files that were asked for."""
    _require_outputs(options)
    pairs, setting, predict = _work(options)
    specimens: dict[str, dict[int, Agreement]] = {}
    counts: list[NDArray[np.int64]] | None = [] if options.record else None
    show(_compared(pairs, predict, setting, specimens, counts), "evaluate")
    report = print_json if options.json else print_table
    report(specimens, setting, single=pairs[0].truth == options.truth)
    if options.csv:
        write_csv(specimens, setting, options.csv)
    if options.figure:
        save_figure(agreement_figure(specimens, setting), options.figure)
    if options.record:
        _record(options, specimens, counts)
    if setting.unit == "voxels":
        remark(
            "no file says how large a voxel is: distances count voxels; pass --spacing "
            "Z Y X in micrometres"
        )


def _record(
    options: argparse.Namespace,
    specimens: dict[str, dict[int, Agreement]],
    counts: list[NDArray[np.int64]] | None,
) -> None:
    from napari_meunet.measurement import record_on_card

    model, found = Path(options.model), list(specimens.values())
    measured = calibration(counts) if counts else None
    record_on_card(model, found, options.record, measured)


def _require_outputs(options: argparse.Namespace) -> None:
    """Find out before the work whether its results can be written."""
    if options.figure:
        require_drawable(options.figure)
    outputs = [path for path in (options.csv, options.figure) if path]
    for path in outputs:
        require_absent(path, overwrite=options.overwrite)
    if options.record and options.model:
        outputs.append(Path(options.model))
    for path in outputs:
        with writing(path), TemporaryFile(dir=path.parent):
            pass


def _work(options: argparse.Namespace) -> tuple[list[Pair], Setting, Predict]:
    """Return what to compare, how, and where the labels to judge come from."""
    if (options.predicted is None) == (options.model is None):
        raise MeUNetError(
            "the truth must be compared with PREDICTED or with what --model predicts, "
            f"got {'neither' if options.model is None else 'both'}; give one of them"
        )
    spacing = Spacing(tuple(options.spacing), GIVEN) if options.spacing else None
    if options.record and not str(options.model).endswith(MODEL_SUFFIX):
        raise MeUNetError(
            "figures are recorded on the card of a .safetensors file given with "
            f"--model, got {options.model!r}; leave out --record"
        )
    if options.record and options.average:
        raise MeUNetError(
            "figures on a model's card are those of the model asked once, got --record "
            "with --average; leave out one of them"
        )
    if options.predicted:
        pairs = paired_labels(options.truth, options.predicted)
        setting = common_setting(pairs, spacing, options.tolerance)
        return pairs, setting, lambda pair: opened_labels(pair.predicted)
    return _work_of_model(options, spacing)


def _work_of_model(
    options: argparse.Namespace, spacing: Spacing | None
) -> tuple[list[Pair], Setting, Predict]:
    from napari_meunet.inference.machine import inspect_machine
    from napari_meunet.inference.resolution import resolution_remark
    from napari_meunet.inference.segment import flips_averaged
    from napari_meunet.network.checkpoint import load_checkpoint
    from napari_meunet.training.specimens.provenance import learned_from, require_new

    config = SegmentationConfig.checked(
        device=options.device,
        resolution=options.resolution,
        average=options.average,
    )
    inspect_machine(config)  # refuses a device that is not there
    checkpoint = load_checkpoint(options.model)
    flips_averaged(checkpoint.card, config)  # refuses a model that learned no flips
    pairs = labelled_pairs(options.truth)
    names = [pair.name for pair in pairs]
    if options.record:
        require_new(names, checkpoint.card, and_unchosen=True)
    elif learned := learned_from(names, checkpoint.card):
        remark(
            f"the model has learned from {some_of(learned)}: their figures, and means "
            "with them, are better than those of new scans will be"
        )
    classes = checkpoint.card.classes
    setting = common_setting(pairs, spacing, options.tolerance, classes)
    if setting.unit == "um":
        for zyx in dict.fromkeys(setting.spacings.values()):
            remark(resolution_remark(zyx, checkpoint.card, config))

    def predict(pair: Pair) -> AbstractContextManager[OpenedLabels]:
        volume = open_volume(pair.predicted)
        if setting.unit == "um":
            volume = volume.with_spacing(setting.spacings[pair.name])
        return _segmented(volume, pair.name, checkpoint, config)

    return pairs, setting, predict


@contextmanager
def _segmented(
    volume: Volume, name: str, checkpoint: "Checkpoint", config: SegmentationConfig
) -> Iterator[OpenedLabels]:
    """Segment a scan into a temporary labels folder, for as long as the block runs."""
    from napari_meunet.inference.segment import segment

    classes = checkpoint.card.classes
    with temporary_labels(volume, classes) as store:
        show(segment(volume, checkpoint, config, store), f"segment {name}")
        yield OpenedLabels(store.labels, store.spacing, classes, store.confidence)


def _compared(
    pairs: Sequence[Pair],
    predict: Predict,
    setting: Setting,
    found: dict[str, dict[int, Agreement]],
    counts: list[NDArray[np.int64]] | None,
) -> Steps:
    """Compare pair after pair.

    The agreement of each goes into `found`, and how often the model was wrong where it
    was unsure into `counts`, if that is asked for.
    """
    for number, pair in enumerate(pairs):
        yield Progress(number, len(pairs), "specimens", pair.name)
        with opened_labels(pair.truth) as truth, predict(pair) as predicted:
            found[pair.name] = agreement(
                predicted.planes,
                truth.planes,
                setting.spacings[pair.name],
                setting.tolerance,
            )
            if counts is not None and predicted.confidence is not None:
                sure = np.asarray(predicted.confidence)
                counts.append(reliability(sure, predicted.planes, truth.planes))
                del sure
            del predicted  # Windows removes no file that is mapped
    yield Progress(len(pairs), len(pairs), "specimens")
