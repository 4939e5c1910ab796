"""`meunet info`: what a scan, a labels folder or a model says of itself."""

import argparse
import json
from pathlib import Path
from typing import Any

from napari_meunet.cli.parser import Subparsers
from napari_meunet.cli.terminal import add_json
from napari_meunet.errors import ChoiceError
from napari_meunet.labels.folder import is_labels_folder
from napari_meunet.labels.store import LabelStore
from napari_meunet.network.card import BUNDLED, checkpoint_path, read_card
from napari_meunet.volume.open import open_volume
from napari_meunet.volume.volume import Spacing, Volume
from napari_meunet.words import shape_in_words, size_in_words


def add_parser(subparsers: Subparsers) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "info",
        help="say what a scan, a labels folder or a model is",
        description="Say what a scan, a labels folder or a model is, without reading "
        "its voxels or weights.",
    )
    parser.add_argument("path", type=Path, help=f"file, folder or {BUNDLED!r}")
    parser.add_argument("--channel", type=int, help="which channel of several")
    parser.add_argument("--time", type=int, help="which time point of several")
    add_json(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Print what is at the path."""
    facts = _facts(options)
    if options.json:
        print(json.dumps(facts))
        return
    width = max(map(len, facts))
    for name, value in facts.items():
        print(f"{name.replace('_', ' '):{width}}  {_shown(name, value)}")


def _facts(options: argparse.Namespace) -> dict[str, Any]:
    path: Path = options.path
    if str(path) == BUNDLED or path.suffix == ".safetensors":
        return read_card(checkpoint_path(path)).model_dump(mode="json")
    if is_labels_folder(path):
        return _labels_facts(path)
    volume, choices = _opened(path, {"channel": options.channel, "time": options.time})
    return {
        "path": str(path),
        "format": volume.source.format,
        **choices,
        "shape": list(volume.shape),
        "dtype": str(volume.dtype),
        "bytes_on_disk": volume.source.n_bytes,
        **_spacing_facts(volume.spacing),
    }


def _opened(path: Path, chosen: dict[str, int | None]) -> tuple[Volume, dict[str, int]]:
    """Open the first of several channels or times, and say how many there are."""
    choices: dict[str, int] = {}
    while True:
        try:
            return open_volume(path, **chosen), choices
        except ChoiceError as error:
            choices[f"{error.name}s"] = error.size
            chosen = {**chosen, error.name: 0}


def _labels_facts(folder: Path) -> dict[str, Any]:
    with LabelStore.open(folder, writable=False) as store:
        return {
            "path": str(folder),
            "format": "labels folder",
            "shape": list(store.shape),
            "dtype": str(store.labels.dtype),
            "classes": [label.name for label in store.classes],
            **_spacing_facts(store.spacing),
        }


def _spacing_facts(spacing: Spacing | None) -> dict[str, Any]:
    if spacing is None:
        return {"spacing_um": None, "spacing_from": None}
    return {"spacing_um": list(spacing.zyx), "spacing_from": spacing.origin}


def _shown(name: str, value: Any) -> str:
    if value is None:
        return "unknown"
    if name == "bytes_on_disk":
        return size_in_words(value)
    if name == "shape":
        return shape_in_words(value)
    if isinstance(value, list | tuple):
        return ", ".join(str(part) for part in value)
    return str(value)
