"""`meunet correct`: take over what somebody else has corrected."""

import argparse
import json
from contextlib import closing
from pathlib import Path

from napari_meunet.cli.console.parser import Subparsers
from napari_meunet.cli.console.terminal import show
from napari_meunet.config import Shape
from napari_meunet.labels.box import box_at
from napari_meunet.labels.reviewed import PLACE_EDGE
from napari_meunet.labels.store import LabelStore


def add_parser(subparsers: Subparsers) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "correct",
        help="take over corrections from another labels folder, or its journal",
        description="Set the voxels that another person has set, in labels of the "
        "same scan. Where both have set a voxel, and differently, yours stays, and the "
        "place is listed. All of it is one stroke, which napari can undo.",
    )
    parser.add_argument("folder", type=Path, help="labels folder to change, *.meunet")
    parser.add_argument(
        "--replay",
        type=Path,
        required=True,
        metavar="LABELS",
        help="the other labels folder, or the file journal of one, which remembers its "
        "last thousand strokes",
    )
    parser.add_argument(
        "--theirs",
        action="store_true",
        help="take over what is listed, too: the other person is right",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Take over corrections, and list where both differ."""
    from napari_meunet.labels.replay import corrections_of

    with (
        LabelStore.open(options.folder) as store,
        corrections_of(options.replay, store, theirs_win=options.theirs) as tool,
    ):
        last = store.journal.history.done[-1:]
        with closing(store.use(tool, box_at((0, 0, 0), store.shape))) as steps:
            show(steps, "correct")
        new = store.journal.history.done[-1:]
        n_voxels = new[0].n_voxels if new != last else 0
    conflicts = sorted(tool.conflicts.items())
    if options.json:
        print(_as_json(n_voxels, conflicts))
        return
    print(f"{n_voxels:,} voxels taken over")
    if conflicts:
        outcome = "theirs counts" if options.theirs else "yours stays"
        n = sum(tool.conflicts.values())
        print(f"{n:,} voxels set differently by both; {outcome}:")
    for place, count in conflicts:
        print(f"  {count:7,} at {_in_words(place)}")


def _in_words(place: Shape) -> str:
    """Return where a place lies: ``"z 32-63, y 0-31, x 96-127"``."""
    spans = (
        f"{axis} {i * PLACE_EDGE}-{(i + 1) * PLACE_EDGE - 1}"
        for axis, i in zip("zyx", place, strict=True)
    )
    return ", ".join(spans)


def _as_json(n_voxels: int, conflicts: list[tuple[Shape, int]]) -> str:
    places = [
        {"start": [i * PLACE_EDGE for i in place], "voxels": count}
        for place, count in conflicts
    ]
    return json.dumps({"voxels": n_voxels, "conflicts": places}, indent=1)
