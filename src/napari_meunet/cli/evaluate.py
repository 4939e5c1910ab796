"""`meunet evaluate`: compare labels with a reference."""

import argparse
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from napari_meunet.cli.parser import Subparsers
from napari_meunet.cli.terminal import add_json
from napari_meunet.labels.folder import is_labels_folder
from napari_meunet.labels.store import LabelStore
from napari_meunet.training.metrics import overlap
from napari_meunet.volume.open import open_volume
from napari_meunet.volume.volume import Planes


def add_parser(subparsers: Subparsers) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "evaluate",
        help="compare labels with a reference",
        description="Print Dice and IoU for every class, from a labels folder or any "
        "label volume.",
    )
    parser.add_argument("labels", type=Path, help="labels folder (*.meunet) or file")
    parser.add_argument(
        "reference", type=Path, help="the true labels of the same scan, likewise"
    )
    add_json(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Print a row for every class."""
    with (
        _opened(options.labels) as (labels, names),
        _opened(options.reference) as (reference, names_of_reference),
    ):
        rows = overlap(labels, reference)
    names = names_of_reference | names
    if options.json:
        scores = {
            value: {"name": names.get(value), "dice": row.dice, "iou": row.iou}
            for value, row in rows.items()
        }
        print(json.dumps(scores))
        return
    shown = {value: names.get(value, str(value)) for value in rows}
    width = max(map(len, ["class", *shown.values()]))
    print(f"{'class':{width}}  Dice    IoU")
    for value, row in rows.items():
        print(f"{shown[value]:{width}}  {_figure(row.dice)}  {_figure(row.iou)}")


def _figure(value: float | None) -> str:
    return "absent" if value is None else f"{value:6.4f}"


@contextmanager
def _opened(path: Path) -> Iterator[tuple[Planes, dict[int, str]]]:
    """Open labels, with the names of their classes where they are known."""
    if is_labels_folder(path):
        with LabelStore.open(path, writable=False) as store:
            yield store.labels, {label.value: label.name for label in store.classes}
    else:
        yield open_volume(path).planes, {}
