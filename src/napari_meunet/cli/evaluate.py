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
    parser.add_argument("labels", type=Path)
    parser.add_argument("reference", type=Path)
    add_json(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Print a row for every class."""
    with _planes(options.labels) as labels, _planes(options.reference) as reference:
        rows = overlap(labels, reference)
    if options.json:
        scores = {
            value: {"dice": row.dice, "iou": row.iou} for value, row in rows.items()
        }
        print(json.dumps(scores))
        return
    print("class    Dice     IoU")
    for value, row in rows.items():
        print(f"{value:5}  {_figure(row.dice)}  {_figure(row.iou)}")


def _figure(value: float | None) -> str:
    return "absent" if value is None else f"{value:6.4f}"


@contextmanager
def _planes(path: Path) -> Iterator[Planes]:
    if is_labels_folder(path):
        with LabelStore.open(path, writable=False) as store:
            yield store.labels
    else:
        yield open_volume(path).planes
