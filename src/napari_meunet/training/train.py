"""Training: stage 1, then stage 2 on the frozen stage 1, then both if asked."""

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch

from napari_meunet.config import TrainingConfig
from napari_meunet.errors import MeUNetError
from napari_meunet.network.card import Card, NetworkConfig
from napari_meunet.network.cascade import REFINEMENT_FEATURES, Cascade
from napari_meunet.network.checkpoint import Checkpoint, save_checkpoint
from napari_meunet.network.meunet import FEATURES
from napari_meunet.progress import Steps
from napari_meunet.training.allocator import freed_memory_kept
from napari_meunet.training.fit import Fit, TrainingData
from napari_meunet.training.objectives import (
    JointObjective,
    Objective,
    Stage1Objective,
    Stage2Objective,
)
from napari_meunet.training.patches.specimen import Specimen
from napari_meunet.training.state import TrainingState
from napari_meunet.training.stepper import make_fabric
from napari_meunet.volume.volume import Volume

Pairs = Sequence[tuple[Volume, Volume]]
"""Scans and their labels."""


def train(
    pairs: Pairs,
    config: TrainingConfig,
    card: Card,
    output: Path,
    *,
    initial: Checkpoint | None = None,
    validation: Pairs = (),
) -> Steps:
    """Train a cascade and write it to `output` as a checkpoint.

    A training that was stopped goes on where it stood when it is started again with
    the same arguments, and ends with the same weights. Its state lies beside `output`
    until it is complete, see `state_path`.

    Parameters
    ----------
    pairs
        Scans and their labels.
    config
        Sizes, steps, seed.
    card
        What the checkpoint shall say of itself, its architecture included.
    output
        A ``.safetensors`` file; written when training ends, and not before.
    initial
        Where to begin instead of random weights; its architecture must be that of
        `card`.
    validation
        Scans and labels to measure Dice on meanwhile.

    Yields
    ------
    Progress
        After every step, with the loss averaged over the last steps; and the Dice of
        the validation scans where they were just measured.

    Raises
    ------
    MeUNetError
        If there is nothing to train on, labels or `initial` do not fit, a stage
        would stay random, or the loss is no longer finite.
    """
    _require_trainable(card.network, config, initial, n_pairs=len(pairs))
    fabric = make_fabric(config)
    fabric.launch()
    data = _data(pairs, validation, card, config.seed)
    torch.manual_seed(config.seed)
    cascade = initial.build() if initial else Cascade(**card.network.model_dump())
    key = _key(config, card, data.specimens, initial)
    state = TrainingState.load(state_path(output), key)
    if state.cascade:
        cascade.load_state_dict(state.cascade)
    fit = Fit(fabric, cascade, data, config, state)
    with freed_memory_kept():
        for phase, (objective, n_steps) in enumerate(_phases(cascade, config)):
            if n_steps and phase >= state.phase:
                yield from fit.run(phase, objective(), n_steps)
    if fabric.is_global_zero:
        weights = {name: tensor.cpu() for name, tensor in cascade.state_dict().items()}
        save_checkpoint(Checkpoint(weights, card), output)
        state.path.unlink(missing_ok=True)


def is_first_process() -> bool:
    """Return whether this process trains alone, or is the first of those that do.

    torchrun, Slurm and Lightning Fabric number them in the environment.
    """
    names = ("RANK", "LOCAL_RANK", "NODE_RANK", "SLURM_PROCID")
    return all(os.environ.get(name, "0") == "0" for name in names)


def state_path(output: Path) -> Path:
    """Return where the state of an unfinished training lies."""
    return output.with_suffix(".unfinished.pt")


def new_network(n_classes: int, config: TrainingConfig) -> NetworkConfig:
    """Return the architecture that `config` asks for."""
    return NetworkConfig(
        n_classes=n_classes,
        features=FEATURES,
        refinement_features=REFINEMENT_FEATURES,
        fusion=config.fusion,
    )


def _data(pairs: Pairs, validation: Pairs, card: Card, seed: int) -> TrainingData:
    """Read the labels once."""
    rng = np.random.default_rng(seed)
    specimens, held_out = (
        [Specimen.index(*pair, card.network.n_classes, rng) for pair in part]
        for part in (pairs, validation)
    )
    names = {label.value: label.name for label in card.classes}
    return TrainingData(specimens, held_out, names)


def _phases(
    cascade: Cascade, config: TrainingConfig
) -> list[tuple[Callable[[], Objective], int]]:
    """Return the objective of each phase, still to be made, and its steps."""
    return [
        (lambda: Stage1Objective(cascade, config.patch_size), config.stage1_steps),
        (lambda: Stage2Objective(cascade), config.stage2_steps),
        (lambda: JointObjective(cascade), config.joint_steps),
    ]


def _require_trainable(
    network: NetworkConfig,
    config: TrainingConfig,
    initial: Checkpoint | None,
    *,
    n_pairs: int,
) -> None:
    """Refuse what cannot become a model, before anything is read."""
    if not n_pairs:
        raise MeUNetError("training needs at least one scan with labels, got none")
    if initial and initial.card.network != network:
        raise MeUNetError(
            f"the initial checkpoint must have the network {network}, got "
            f"{initial.card.network}; use the same classes and fusion"
        )
    random_stage2 = config.fusion != "none" and not config.stage2_steps
    untrained = random_stage2 or not config.stage1_steps
    if not initial and untrained and not config.joint_steps:
        raise MeUNetError(
            "without an initial checkpoint every stage must be trained, got "
            f"{config.stage1_steps} and {config.stage2_steps} steps; give both stages "
            "steps, or a checkpoint to begin from"
        )


def _key(
    config: TrainingConfig,
    card: Card,
    specimens: Sequence[Specimen],
    initial: Checkpoint | None,
) -> str:
    """Return what must agree for a stopped training to go on."""
    parts = {
        "config": config.model_dump(exclude={"device"}),
        "network": card.network.model_dump(),
        "scans": [(s.image.shape, s.intensity) for s in specimens],
        "initial": initial.digest() if initial else None,
    }
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
