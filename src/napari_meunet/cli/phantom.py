"""`meunet phantom`: synthetic fly scans with their true labels."""

import argparse
from pathlib import Path
from typing import get_args

from napari_meunet.atomic import writing
from napari_meunet.cli.console.parser import Parser, Subparsers, natural
from napari_meunet.cli.console.terminal import show
from napari_meunet.export.export import export_labels, require_absent
from napari_meunet.training.phantoms.appearance import Stain
from napari_meunet.training.phantoms.phantom import make_phantom
from napari_meunet.training.phantoms.textures import FAMILIES
from napari_meunet.training.specimens.scans import LABELS_SUFFIX
from napari_meunet.volume.volume import Spacing


def add_parser(subparsers: Subparsers) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "phantom",
        help="make synthetic fly scans with true labels",
        description="Write phantom_SEED.tif and phantom_SEED_labels.tif.",
    )
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="DIR", help="their folder"
    )
    parser.add_argument(
        "--shape",
        nargs=3,
        type=int,
        default=(256, 112, 112),
        metavar=("Z", "Y", "X"),
        help="size of a scan in voxels, at least 32 along each axis; the fly fills it, "
        "so that fewer voxels are larger ones (default 256 112 112)",
    )
    _add_numbers(parser)
    _add_organs(parser)
    parser.add_argument("--overwrite", action="store_true", help="replace old ones")
    parser.set_defaults(run=run)


def _add_numbers(parser: Parser) -> None:
    parser.add_argument(
        "--seed",
        type=natural,
        default=0,
        metavar="N",
        help="number of the first phantom; the same number gives the same phantom "
        "(default %(default)s)",
    )
    parser.add_argument(
        "--count",
        type=natural,
        default=1,
        metavar="N",
        help="how many phantoms, numbered from --seed on (default %(default)s)",
    )
    parser.add_argument(
        "--scanner",
        type=natural,
        metavar="N",
        help="all of them look like scans of one laboratory, another number of another "
        "one; if not given, each phantom has a contrast and artefacts of its own",
    )
    parser.add_argument(
        "--texture",
        choices=FAMILIES,
        default="noise",
        help="what tissues are made of; nothing else of a phantom changes, so that a "
        "model trained on one can be tested on the other (default %(default)s)",
    )
    parser.add_argument(
        "--stain",
        choices=get_args(Stain),
        default="usual",
        help="any gives tissues any grey value, for models that are to know organs in "
        "whatever contrast (default %(default)s)",
    )


def _add_organs(parser: Parser) -> None:
    parser.add_argument(
        "--organs",
        type=Path,
        metavar="DIR",
        help="folder with gut/*.obj.gz and ovary/*.obj.gz: use these real organs",
    )
    parser.add_argument(
        "--split",
        choices=("train", "validation", "test"),
        default="train",
        help="which of the flies in --organs (default %(default)s)",
    )


def run(options: argparse.Namespace) -> None:
    """Write the phantoms and print their paths."""
    with writing(options.output):
        options.output.mkdir(parents=True, exist_ok=True)
    seeds = range(options.seed, options.seed + options.count)
    for path in (path for seed in seeds for path in _paths(options.output, seed)):
        require_absent(path, overwrite=options.overwrite)
    for seed in seeds:
        phantom = make_phantom(
            tuple(options.shape),
            seed,
            organs=options.organs,
            split=options.split,
            scanner=options.scanner,
            texture=options.texture,
            stain=options.stain,
        )
        spacing = Spacing(phantom.spacing, "phantom")
        arrays = phantom.image, phantom.labels
        for array, path in zip(arrays, _paths(options.output, seed), strict=True):
            show(export_labels(array, path, spacing, overwrite=True), path.name)
            print(path)


def _paths(folder: Path, seed: int) -> tuple[Path, Path]:
    """Return where the scan and the labels of a phantom go."""
    name = f"phantom_{seed:04d}"
    return folder / f"{name}.tif", folder / f"{name}{LABELS_SUFFIX}.tif"
