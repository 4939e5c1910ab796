"""`meunet info`: what a scan, a labels folder or a model says of itself."""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from napari_meunet.cli.console.parser import Subparsers, add_choices
from napari_meunet.cli.console.terminal import add_json
from napari_meunet.config import TrainingConfig
from napari_meunet.errors import ChoiceError
from napari_meunet.labels.folder import is_labels_folder
from napari_meunet.labels.store import LabelStore
from napari_meunet.network.card import (
    AUTHORS_SUFFIXES,
    BUNDLED,
    Card,
    TrainingRecord,
    checkpoint_path,
    read_card,
)
from napari_meunet.network.spacing import range_in_words
from napari_meunet.training.output import MODEL_SUFFIX
from napari_meunet.volume.open import open_volume
from napari_meunet.volume.volume import Spacing, Volume
from napari_meunet.words import (
    shape_in_words,
    size_in_words,
    spacing_in_words,
    time_in_words,
)

MODEL_SUFFIXES = (MODEL_SUFFIX, *AUTHORS_SUFFIXES)


def add_parser(subparsers: Subparsers) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "info",
        help="say what a scan, a labels folder or a model is",
        description="Say what a scan, a labels folder or a model is, without reading "
        "its voxels or weights (but those of a .pt file, which has no card).",
    )
    parser.add_argument("path", type=Path, help=f"file, folder or {BUNDLED!r}")
    add_choices(parser)
    add_json(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Print what is at the path."""
    path: Path = options.path
    if str(path) == BUNDLED or path.suffix in MODEL_SUFFIXES:
        card = _card(path)
        facts, lines = card.model_dump(mode="json"), _lines_of_card(card)
    else:
        facts = _labels_facts(path) if is_labels_folder(path) else _scan_facts(options)
        lines = {name: [_shown(name, value)] for name, value in facts.items()}
    if options.json:
        print(json.dumps(facts))
        return
    width = max(map(len, lines))
    for name, (first, *others) in lines.items():
        print(f"{name.removesuffix('_um').replace('_', ' '):{width}}  {first}")
        for line in others:
            print(f"{'':{width}}  {line}")


def _card(path: Path) -> Card:
    """Return the card of a model; a file of the authors' form gets one when read."""
    if path.suffix in AUTHORS_SUFFIXES:
        from napari_meunet.network.checkpoint import load_checkpoint

        return load_checkpoint(path).card
    return read_card(checkpoint_path(path))


def _lines_of_card(card: Card) -> dict[str, list[str]]:
    """Return what a card says, for people."""
    network, rule = card.network, card.intensity
    sizes = (network.features, network.refinement_features)
    stage1, stage2 = (" ".join(map(str, features)) for features in sizes)
    width = max(len(label.name) for label in card.classes)
    return {
        "name": [card.name],
        "version": [card.version],
        "network": [f"fusion {network.fusion}, features {stage1}, refinement {stage2}"],
        "classes": [
            f"{label.value}  {label.name:{width}}  {label.color}"
            for label in card.classes
        ],
        "spacing": [
            range_in_words(card.spacing) if card.spacing else "unknown",
            *([f"brought to {card.voxel_size:g} um"] if card.voxel_size else []),
        ],
        "intensity": [
            f"percentiles {rule.low:g} to {rule.high:g} become 0 to 1"
            if rule
            else "raw grey values"
        ],
        "data": [card.data],
        "metrics": _lines_of_metrics(card) or ["none"],
        "licence": [card.licence],
        "commands": list(card.command) or ["none"],
        "training": [
            line for record in card.training for line in _lines_of_training(record)
        ]
        or ["unknown"],
    }


def _lines_of_metrics(card: Card) -> list[str]:
    lines = [f"{value:.4f}  {name}" for name, value in card.metrics.items()]
    if card.calibration:
        lines.append(f"calibrated on {card.calibration.n_scans} scans")
    return lines


def _lines_of_training(record: TrainingRecord) -> list[str]:
    """Return how a model was trained; of the settings, those that are not defaults."""
    usual = TrainingConfig().model_dump(mode="json")
    others = [
        f"{name} {value}"
        for name, value in record.config.items()
        if value != usual.get(name, value) and name != "seed"
    ]
    took = [] if record.seconds is None else [time_in_words(record.seconds)]
    versions = [f"{name} {value}" for name, value in record.versions.items()]
    return [
        f"on {_counted(record.specimens)}",
        f"held out {_counted(record.validation)}",
        f"seed {record.config.get('seed', 'unknown')}; settings: "
        f"{', '.join(others) or 'default'}",
        f"{' '.join([*took, 'on', record.device])}; "
        f"{', '.join(versions) or 'versions unknown'}",
    ]


def _counted(names: Sequence[str]) -> str:
    return f"{len(names)}: {', '.join(names)}" if names else "none"


def _scan_facts(options: argparse.Namespace) -> dict[str, Any]:
    path: Path = options.path
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
    if name == "spacing_um":
        return spacing_in_words(value)
    if name == "shape":
        return shape_in_words(value)
    if isinstance(value, list | tuple):
        return ", ".join(str(part) for part in value)
    return str(value)
