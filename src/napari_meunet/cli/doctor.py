"""`meunet doctor`: what this computer can do, and what to do about the rest."""

import argparse
import importlib.util
import platform
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version

from napari_meunet.cli.console.parser import Subparsers
from napari_meunet.errors import MeUNetError

PACKAGES = ("napari-meunet", "napari", "torch", "numpy", "tifffile", "zarr", "dask")
QT_BINDINGS = ("PyQt6", "PySide6", "PyQt5", "PySide2")


def add_parser(subparsers: Subparsers) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "doctor",
        help="check this computer",
        description="Print versions, devices and findings; exit code 1 if something "
        "needs mending.",
    )
    parser.set_defaults(run=run)


def run(_: argparse.Namespace) -> int:
    """Print facts, then findings with their remedies."""
    print(f"Python         {platform.python_version()} on {platform.platform()}")
    for package in PACKAGES:
        print(f"{package:14} {_version(package)}")
    findings = [*_device_findings(), *_qt_findings()]
    for finding in findings:
        print(f"!  {finding}")
    if not findings:
        print("all is well")
    return 1 if findings else 0


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _device_findings() -> Iterator[str]:
    from napari_meunet.config import SegmentationConfig
    from napari_meunet.inference.machine import inspect_machine

    try:
        machine = inspect_machine(SegmentationConfig())
    except MeUNetError as error:
        yield str(error)
        return
    print(f"{'device':14} {machine}")


def _qt_findings() -> Iterator[str]:
    found = [name for name in QT_BINDINGS if importlib.util.find_spec(name)]
    print(f"{'Qt':14} {', '.join(found) or 'none'}")
    if not found:
        yield "napari's window needs a Qt binding: pip install 'napari-meunet[qt]'"
