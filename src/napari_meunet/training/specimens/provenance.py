"""Which specimens a model learned from, which it did not, and how."""

import platform
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import torch
from lightning_fabric import Fabric

from napari_meunet import __version__
from napari_meunet.config import TrainingConfig
from napari_meunet.errors import MeUNetError
from napari_meunet.labels.folder import scan_name
from napari_meunet.network.card import Card, TrainingRecord
from napari_meunet.training.specimens.scans import LABELS_SUFFIX, Pair
from napari_meunet.volume.fingerprint import fingerprint
from napari_meunet.volume.volume import Volume

UNNAMED = "unnamed"
"""Stands for specimens that are not in files."""


def specimen_name(pair: Pair) -> str:
    """Return the file name of the scan, or of the labels, without its suffixes.

    ``fly.ome.tif`` and ``fly_labels.tif`` are of the specimen ``fly``.
    """
    image, labels = pair
    path = (image or labels).source.path
    return scan_name(Path(path)).removesuffix(LABELS_SUFFIX) if path else UNNAMED


def hold_out(
    pairs: Sequence[Pair], n: int, seed: int
) -> tuple[list[Pair], list[tuple[Volume, Volume]]]:
    """Return the pairs to train on, and `n` others with scans to validate on.

    The specimens are put in the order of their names and shuffled, so that the seed
    alone decides, and not the order in which they were given.

    Raises
    ------
    MeUNetError
        If there are not `n` pairs with scans, or nothing would be left to train on.
    """
    candidates = sorted(
        (i for i, pair in enumerate(pairs) if pair[0] is not None),
        key=lambda i: specimen_name(pairs[i]),
    )
    if n and n > min(len(candidates), len(pairs) - 1):
        raise MeUNetError(
            f"specimens to hold out must have scans and leave others to train on, got "
            f"{n} of {len(pairs)}, {len(candidates)} of them with scans; hold out fewer"
        )
    held = set(np.random.default_rng(seed).permutation(candidates)[:n].tolist())
    return (
        [pair for i, pair in enumerate(pairs) if i not in held],
        [(a, b) for i, (a, b) in enumerate(pairs) if i in held and a is not None],
    )


def require_apart(
    pairs: Sequence[Pair], validation: Sequence[Pair], initial: Card | None = None
) -> None:
    """Refuse a specimen that is trained on and validated on.

    Raises
    ------
    MeUNetError
        If a scan is on both sides, in the same file or in a copy, or a name is; or if
        the model to begin from has learned from one of its name.
    """
    if not validation:
        return
    if initial:
        require_new(map(specimen_name, validation), initial)
    names = {specimen_name(pair) for pair in pairs} - {UNNAMED}
    scans = {fingerprint(pair[0]): specimen_name(pair) for pair in pairs if pair[0]}
    for pair in validation:
        name = specimen_name(pair)
        other = scans.get(fingerprint(pair[0])) if pair[0] else None
        if name in names or other:
            raise MeUNetError(
                "a specimen must be for training or for validation, not for both, got "
                f"{name} for validation and {other or name} for training; take it away "
                "from one side, or rename it if only the names are the same"
            )


def learned_from(names: Iterable[str], model: Card) -> list[str]:
    """Return the specimens of these names that a model was trained on, sorted."""
    known = {name for each in model.training for name in each.specimens}
    return sorted((known - {UNNAMED}).intersection(names))


def require_new(
    names: Iterable[str], model: Card, *, and_unchosen: bool = False
) -> None:
    """Refuse specimens to measure on that a model has learned from.

    Parameters
    ----------
    names
        Of the specimens.
    model
        Its card says what it was trained on.
    and_unchosen
        Refuse those, too, whose Dice chose the weights of a training.

    Raises
    ------
    MeUNetError
        If one of the names is among them.
    """
    names = set(names)
    known = set(learned_from(names, model))
    for each in model.training:
        if and_unchosen and each.config.get("patience"):
            known |= names.intersection(each.validation) - {UNNAMED}
    for name in sorted(known):
        raise MeUNetError(
            f"a specimen to measure on must be new to the model, got {name}, which "
            f"{model.name!r} knows from training; measure on others, or rename it if "
            "only the names are the same"
        )


def chosen_by_validation(model: Card) -> bool:
    """Tell whether the last training kept the weights best on its validation scans."""
    return bool(model.training and model.training[-1].config.get("patience"))


def training_record(
    pairs: Sequence[Pair],
    validation: Sequence[Pair],
    config: TrainingConfig,
    fabric: Fabric,
    seconds: float,
) -> TrainingRecord:
    """Return what the card says of a training that took so many seconds."""
    device = fabric.device
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    return TrainingRecord(
        specimens=tuple(map(specimen_name, pairs)),
        validation=tuple(map(specimen_name, validation)),
        config=config.model_dump(mode="json"),
        versions={
            "napari-meunet": __version__,
            "torch": str(torch.__version__),
            "numpy": np.__version__,
            "python": platform.python_version(),
        },
        device=f"{fabric.world_size} x {name}" if fabric.world_size > 1 else name,
        seconds=round(seconds, 1),
    )
