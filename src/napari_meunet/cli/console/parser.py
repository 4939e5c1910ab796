"""An argument parser that answers a mistake with one line, and shared arguments."""

import argparse
import sys
from pathlib import Path
from typing import NoReturn, TypeAlias

from napari_meunet.volume.open import open_volume
from napari_meunet.volume.volume import Volume

Subparsers: TypeAlias = "argparse._SubParsersAction[Parser]"


class Parser(argparse.ArgumentParser):
    """Says what is wrong and where help is; the usage stays in ``--help``."""

    def error(self, message: str) -> NoReturn:
        """Write one line to standard error and leave with exit code 2."""
        sys.stderr.write(f"{self.prog}: {message}; see '{self.prog} --help'\n")
        raise SystemExit(2)


def add_volume(parser: argparse.ArgumentParser, name: str = "image") -> None:
    """Add a scan and what its file may not say."""
    parser.add_argument(name, type=Path, help="TIFF, OME-Zarr, NIfTI or slice folder")
    add_spacing(parser)
    add_choices(parser)


def add_spacing(parser: argparse.ArgumentParser) -> None:
    """Add the size of a voxel."""
    parser.add_argument(
        "--spacing",
        nargs=3,
        type=float,
        metavar=("Z", "Y", "X"),
        help="micrometres per voxel, where a file does not say or is wrong",
    )


def add_choices(parser: argparse.ArgumentParser) -> None:
    """Add which of several volumes in a file is meant."""
    parser.add_argument(
        "--channel", type=int, metavar="N", help="which channel of several, from 0"
    )
    parser.add_argument(
        "--time", type=int, metavar="N", help="which time point of several, from 0"
    )


def add_device(parser: argparse.ArgumentParser) -> None:
    """Add where to compute."""
    parser.add_argument(
        "--device",
        default="auto",
        help="where to compute: cpu, cuda, cuda:1 or mps; auto is the first graphics "
        "card, else the processor (default %(default)s)",
    )


def add_resolution(parser: argparse.ArgumentParser) -> None:
    """Add what a model is shown."""
    parser.add_argument(
        "--resolution",
        choices=("model", "scan"),
        default="model",
        help="model: a scan that is finer than those the model was trained on is shown "
        "to it at their resolution, and the labels are enlarged; scan: every voxel is "
        "shown (default %(default)s)",
    )


def add_average(parser: argparse.ArgumentParser) -> None:
    """Add whether a model is asked several times."""
    parser.add_argument(
        "--average",
        action="store_true",
        help="average what the model says of the scan and of the same flipped, in all "
        "ways that it learned to label alike: up to 8 times the work and memory",
    )


def opened(options: argparse.Namespace) -> Volume:
    """Open the scan that `add_volume` asked for."""
    volume = open_volume(options.image, channel=options.channel, time=options.time)
    if options.spacing is None:
        return volume
    z, y, x = options.spacing
    return volume.with_spacing((z, y, x))


def natural(text: str) -> int:
    """Return a whole number that is not negative."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(
            f"must be a whole number that is not negative, got {text!r}"
        )
    return int(text)
