"""`meunet export`: write the labels of a folder as a file for other programs."""

import argparse
from pathlib import Path

from napari_meunet.cli.console.parser import Subparsers
from napari_meunet.cli.console.terminal import show
from napari_meunet.export.export import export_labels
from napari_meunet.labels.store import LabelStore


def add_parser(subparsers: Subparsers) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "export",
        help="write labels as TIFF, NIfTI or OME-Zarr",
        description="Write labels as .tif, .ome.tif, .nii, .nii.gz or .ome.zarr, with "
        "spacing and unit.",
    )
    parser.add_argument("folder", type=Path, help="labels folder, *.meunet")
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        required=True,
        metavar="FILE",
        help="what to write; its ending chooses the format",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace the output")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Export and print the path."""
    with LabelStore.open(options.folder, writable=False) as store:
        steps = export_labels(
            store.labels,
            options.output,
            store.spacing,
            classes=store.classes,
            overwrite=options.overwrite,
        )
        show(steps, "export")
    print(options.output)
