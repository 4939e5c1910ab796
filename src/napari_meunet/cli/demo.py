"""`meunet demo`: the main job from end to end, on a phantom."""

import argparse
import shutil
from pathlib import Path

from napari_meunet.atomic import writing
from napari_meunet.cli.console.parser import Subparsers
from napari_meunet.cli.console.terminal import show
from napari_meunet.cli.segment import segment_scan
from napari_meunet.config import SegmentationConfig
from napari_meunet.errors import MeUNetError
from napari_meunet.export.export import export_labels
from napari_meunet.export.picture import save_picture
from napari_meunet.labels.folder import labels_folder
from napari_meunet.labels.store import LabelStore
from napari_meunet.network.card import BUNDLED
from napari_meunet.training.evaluation.metrics import overlap
from napari_meunet.training.phantoms.phantom import make_phantom
from napari_meunet.volume.open import open_volume
from napari_meunet.volume.volume import Spacing
from napari_meunet.words import size_in_words

SEED = 2022
"""Of the phantom; the seeds of the bundled model's training data lie below 1000."""

MADE = {"fly.tif", "fly.meunet", "mask.tif", "picture.png"}
"""What a demo leaves in its folder, and the next one there replaces."""


def add_parser(subparsers: Subparsers) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "demo",
        help="segment a phantom, to see that all works",
        description="Make a phantom that the bundled model has not seen, segment it, "
        "compare with the truth, export a mask and a picture.",
    )
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="DIR",
        default=Path("meunet-demo"),
        help="folder for all that the demo makes (default %(default)s)",
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Do the job and print what came out."""
    _require_own_folder(options.output)
    scan = options.output / "fly.tif"
    phantom = make_phantom(seed=SEED)
    spacing = Spacing(phantom.spacing, "phantom")
    show(export_labels(phantom.image, scan, spacing, overwrite=True), "phantom")
    volume = open_volume(scan)
    folder = labels_folder(scan)
    shutil.rmtree(folder, ignore_errors=True)  # of an earlier demo
    summary = segment_scan(volume, BUNDLED, SegmentationConfig(), folder)
    mask, picture = options.output / "mask.tif", options.output / "picture.png"
    with LabelStore.open(folder, writable=False) as store:
        values = [label.value for label in store.classes]
        rows = overlap(store.labels, phantom.labels, values)
        steps = export_labels(
            store.labels, mask, spacing, classes=store.classes, overwrite=True
        )
        show(steps, "export")
        save_picture(volume, store.labels, store.classes, picture, overwrite=True)
        dice = {
            label.name: rows[label.value].dice or 0.0 for label in store.classes[1:]
        }
    print(f"voxels       {summary.voxels:,}")
    print(f"seconds      {summary.seconds:.1f}")
    print(f"peak memory  {size_in_words(summary.peak_memory)}")
    for name, value in dice.items():
        print(f"Dice {name:7} {value:.4f}")
    print(f"mask         {mask}")
    print(f"picture      {picture}")


def _require_own_folder(folder: Path) -> None:
    """Make the folder, or refuse one that holds anything but an earlier demo."""
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    strangers = sorted({path.name for path in folder.iterdir()} - MADE)
    if strangers:
        raise MeUNetError(
            f"the folder of the demo must be empty or of an earlier demo, got {folder} "
            f"with {strangers[0]} in it; choose another folder with -o"
        )
