"""`meunet evaluate`: compare labels with a reference."""

import argparse
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from napari_meunet.cli.parser import Subparsers
from napari_meunet.cli.terminal import add_json, remark
from napari_meunet.labels.folder import is_labels_folder
from napari_meunet.labels.store import LabelStore
from napari_meunet.training.evaluation.agreement import Agreement, agreement
from napari_meunet.volume.open import open_volume
from napari_meunet.volume.volume import GIVEN, Planes, Spacing

COLUMNS = {
    "dice": "Dice",
    "iou": "IoU",
    "volume_error": "volume",
    "hd95": "HD95",
    "surface_dice": "surface Dice",
}


def add_parser(subparsers: Subparsers) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "evaluate",
        help="compare labels with a reference",
        description="Print for every class Dice and IoU, the relative error of its "
        "volume, the 95th percentile of the distance between the surfaces (HD95) and "
        "the fraction of the surfaces that lie within a tolerance (surface Dice); from "
        "a labels folder or any label volume.",
    )
    parser.add_argument("labels", type=Path, help="labels folder (*.meunet) or file")
    parser.add_argument(
        "reference", type=Path, help="the true labels of the same scan, likewise"
    )
    parser.add_argument(
        "--spacing",
        nargs=3,
        type=float,
        metavar=("Z", "Y", "X"),
        help="micrometres per voxel, where neither of them says or both are wrong",
    )
    parser.add_argument(
        "--tolerance",
        type=float,
        metavar="UM",
        help="micrometres that the surfaces may lie apart for the surface Dice; if not "
        "given, the longest edge of a voxel",
    )
    add_json(parser)
    parser.set_defaults(run=run)


@dataclass(frozen=True)
class _Opened:
    """Labels, with their spacing and the names of their classes where known."""

    planes: Planes
    spacing: Spacing | None
    names: dict[int, str]


def run(options: argparse.Namespace) -> None:
    """Print a row for every class."""
    with _opened(options.labels) as labels, _opened(options.reference) as reference:
        given = Spacing(tuple(options.spacing), GIVEN) if options.spacing else None
        spacing = given or labels.spacing or reference.spacing
        zyx = spacing.zyx if spacing else (1.0, 1.0, 1.0)
        tolerance = max(zyx) if options.tolerance is None else options.tolerance
        rows = agreement(labels.planes, reference.planes, zyx, tolerance)
    names = reference.names | labels.names
    if options.json:
        scores = {
            value: {"name": names.get(value), **asdict(row)}
            for value, row in rows.items()
        }
        print(json.dumps(scores))
    else:
        _print_table({names.get(v, str(v)): row for v, row in rows.items()})
        unit = "um" if spacing else "voxels"
        print(f"HD95 in {unit}; surface Dice within {tolerance:.4g} {unit}")
    if spacing is None:
        remark(
            "neither of them says how large a voxel is: distances count voxels; pass "
            "--spacing Z Y X in micrometres"
        )


def _print_table(rows: dict[str, Agreement]) -> None:
    width = max(map(len, ["class", *rows]))
    titles = "  ".join(f"{title:>7}" for title in COLUMNS.values())
    print(f"{'class':{width}}  {titles}")
    for name, row in rows.items():
        cells = (
            f"{_figure(column, getattr(row, column)):>{max(7, len(title))}}"
            for column, title in COLUMNS.items()
        )
        print(f"{name:{width}}  {'  '.join(cells)}")


def _figure(column: str, value: float | None) -> str:
    if value is None:
        return "absent"
    formats = {"volume_error": "+.1%", "hd95": ".4g"}
    return format(value, formats.get(column, ".4f"))


@contextmanager
def _opened(path: Path) -> Iterator[_Opened]:
    if is_labels_folder(path):
        with LabelStore.open(path, writable=False) as store:
            names = {label.value: label.name for label in store.classes}
            yield _Opened(store.labels, store.spacing, names)
    else:
        volume = open_volume(path)
        yield _Opened(volume.planes, volume.spacing, {})
