"""Training: stage 1, then stage 2 on the frozen stage 1 if asked, then both."""

import hashlib
import json
import os
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from lightning_fabric import Fabric

from napari_meunet.config import TrainingConfig
from napari_meunet.errors import MeUNetError
from napari_meunet.network.card import Card
from napari_meunet.network.cascade import Cascade
from napari_meunet.network.checkpoint import Checkpoint, save_checkpoint
from napari_meunet.progress import Progress, Steps, now_and_then
from napari_meunet.training.loop.allocator import freed_memory_kept
from napari_meunet.training.loop.fit import Fit, TrainingData
from napari_meunet.training.loop.losses import Loss, class_weights, segmentation_loss
from napari_meunet.training.loop.objectives import (
    JointObjective,
    Objective,
    Stage1Objective,
    Stage2Objective,
)
from napari_meunet.training.loop.preview import Preview, Show
from napari_meunet.training.loop.state import TrainingState
from napari_meunet.training.loop.stepper import make_fabric
from napari_meunet.training.output import state_path
from napari_meunet.training.patches.classes import numbered
from napari_meunet.training.patches.specimen import Specimen
from napari_meunet.training.patches.windows import ROULETTE_SEED, kept_windows
from napari_meunet.training.specimens.provenance import (
    require_apart,
    specimen_name,
    training_record,
)
from napari_meunet.training.specimens.requirements import (
    require_alike,
    require_images,
    require_learnable,
    require_trainable,
)
from napari_meunet.training.specimens.scans import Pair
from napari_meunet.training.specimens.spacings import spacing_remarks
from napari_meunet.volume.volume import Volume

Scans = Sequence[tuple[Volume, Volume]]
"""Scans and their labels."""


def train(
    pairs: Sequence[Pair],
    config: TrainingConfig,
    card: Card,
    output: Path,
    *,
    initial: Checkpoint | None = None,
    validation: Scans = (),
    turns: Sequence[int] | None = None,
    show: Show | None = None,
) -> Steps:
    """Train a cascade and write it to `output` as a checkpoint.

    A training that was stopped goes on where it stood when it is started again with
    the same arguments, and ends with the same weights; on CUDA, whose sums have no
    fixed order, up to rounding. Its state lies beside `output` until it is complete,
    see `state_path`.

    Parameters
    ----------
    pairs
        Scans and their labels. The scan may be None where all images are made up.
    config
        Sizes, steps, seed.
    card
        What the checkpoint shall say of itself, its architecture included; the values
        in the labels are those of its classes. The record of this training is added.
    output
        A ``.safetensors`` file; written when training ends, and not before.
    initial
        Where to begin instead of random weights; its architecture must be that of
        `card`.
    validation
        Scans and labels of other specimens, to measure Dice on meanwhile.
    turns
        Numbers of pairs in the order in which patches are drawn from them; one may
        come more than once. If not given, each comes once. Windows are drawn by chance.
    show
        Gets a plane as the network labels it, now and then: of the first validation
        scan, or of the first scan that is trained on if there is none. Where there are
        labels alone, an image is made up from them.

    Yields
    ------
    Progress
        Planes of the labels, where reading them takes long. What a person should know
        of the scans, if there is something, in the unit ``"scans"``. Then after every
        step, with the loss averaged over the last steps; and the Dice of the
        validation scans where they were just measured.

    Raises
    ------
    MeUNetError
        If there is nothing to train on, labels or `initial` do not fit, a stage
        would stay random, statistics are to be frozen that nobody has measured, or the
        loss is no longer finite.
    """
    require_trainable(card.network, config, initial, n_pairs=len(pairs))
    require_images(pairs, config, card, initial)
    require_apart(pairs, validation, initial.card if initial else None)
    fabric = make_fabric(config)
    fabric.launch()
    data = yield from _data(pairs, validation, card, config)
    yield from _remarks(pairs, data, config, card.voxel_size)
    data = replace(data, turns=turns)
    if show:
        size = config.expanded_size
        preview = Preview(data.specimens, data.validation, size, show)
        data = replace(data, preview=preview)
    torch.manual_seed(config.seed)
    cascade = initial.build() if initial else Cascade(**card.network.model_dump())
    state = _state(fabric, state_path(output), _key(config, card, data, initial))
    if state.cascade:
        cascade.load_state_dict(state.cascade)
    fit = Fit(fabric, cascade, data, config, state)
    handover = _handover(config, initial)
    for phase, (objective, n_steps) in enumerate(_phases(cascade, config, data)):
        if n_steps and phase >= state.phase:
            # for a phase at a time, since the next one plans with what is free
            with freed_memory_kept():
                takes_over = phase == handover
                yield from fit.run(phase, objective(), n_steps, takes_over=takes_over)
    if fabric.is_global_zero:
        weights = {name: tensor.cpu() for name, tensor in cascade.state_dict().items()}
        record = training_record(pairs, validation, config, fabric, fit.seconds)
        earlier = initial.card.training if initial else ()
        card = card.model_copy(update={"training": (*earlier, record)})
        save_checkpoint(Checkpoint(weights, card), output)
        state.path.unlink(missing_ok=True)


def is_first_process() -> bool:
    """Return whether this process trains alone, or is the first of those that do.

    torchrun, Slurm and Lightning Fabric number them in the environment.
    """
    names = ("RANK", "LOCAL_RANK", "NODE_RANK", "SLURM_PROCID")
    return all(os.environ.get(name, "0") == "0" for name in names)


def _data(
    pairs: Sequence[Pair], validation: Scans, card: Card, config: TrainingConfig
) -> Generator[Progress, None, TrainingData]:
    """Read the labels once, or twice to choose windows."""
    rng, n_classes = np.random.default_rng(config.seed), card.network.n_classes
    specimens: list[Specimen] = []
    held_out: list[Specimen] = []
    for part, found in ((pairs, specimens), (validation, held_out)):
        for pair in part:
            found.append((yield from _indexed(pair, card, n_classes, rng)))
    with_names = list(zip(map(specimen_name, pairs), specimens, strict=True))
    require_learnable(with_names, held_out, config)
    require_alike(with_names, config)
    names = {i: label.name for i, label in enumerate(card.classes)}
    data = TrainingData(specimens, held_out, names)
    if config.sampling == "balanced":
        return data
    roulette, size = np.random.default_rng(ROULETTE_SEED), config.patch_size
    windows = [kept_windows(s.labels, n_classes, size, roulette) for s in specimens]
    return replace(data, windows=windows)


def _indexed(
    pair: Pair, card: Card, n_classes: int, rng: np.random.Generator
) -> Generator[Progress, None, Specimen]:
    """Read the labels of a pair; errors say whose they are."""
    image, labels = pair
    labels = numbered(labels, card.classes)
    steps = Specimen.indexing(image, labels, n_classes, rng, card.intensity)
    try:
        return (yield from now_and_then(steps))
    except MeUNetError as error:
        raise MeUNetError(f"{specimen_name(pair)}: {error}") from error


def _remarks(
    pairs: Sequence[Pair],
    data: TrainingData,
    config: TrainingConfig,
    voxel_size: float | None,
) -> Iterator[Progress]:
    """Say what a person may not expect; training goes on with what is there."""
    lacking = {
        name: [
            specimen_name(pair)
            for pair, specimen in zip(pairs, data.specimens, strict=True)
            if value not in specimen.voxels
        ]
        for value, name in data.names.items()
        if value
    }
    where = " at this voxel size" if voxel_size else ""
    parts = [
        f"no {name} in {_in_words(names, pairs)}{where}"
        for name, names in lacking.items()
        if names
    ]
    if config.patience and not data.validation:
        parts.append("no validation scans to end early by")
    scans = [image or labels for image, labels in pairs]
    parts.extend(spacing_remarks(scans, turned=config.turn == "any"))
    if parts:
        message = f"{'; '.join(parts)}: training goes on with what is there"
        yield Progress(len(pairs), len(pairs), "scans", message)


def _in_words(names: Sequence[str], pairs: Sequence[Pair]) -> str:
    if 1 < len(pairs) == len(names):
        return "any scan, so that it cannot be learned (is its name or value right?)"
    return ", ".join(names)


def _state(fabric: Fabric, path: Path, key: str) -> TrainingState:
    """Return where the first process stands: it alone writes it."""
    state = TrainingState(path, key)
    if fabric.is_global_zero:
        state = TrainingState.load(path, key)
    return fabric.broadcast(state)


def _loss(data: TrainingData, config: TrainingConfig) -> Loss:
    """Return the loss; what weights it is what the network will be shown."""
    if config.cross_entropy == "plain":
        return partial(segmentation_loss, dice=config.dice)
    shown = data.windows or data.specimens
    counts = np.sum([part.counts for part in shown], axis=0)
    weights = class_weights(counts)
    return partial(segmentation_loss, weights=weights, dice=config.dice)


def _phases(
    cascade: Cascade, config: TrainingConfig, data: TrainingData
) -> list[tuple[Callable[[], Objective], int]]:
    """Return the objective of each phase, still to be made, and its steps."""
    size, loss = config.patch_size, _loss(data, config)
    return [
        (lambda: Stage1Objective(cascade, size, loss), config.stage1_steps),
        (lambda: Stage2Objective(cascade, loss), config.stage2_steps),
        (lambda: JointObjective(cascade, loss), config.joint_steps),
    ]


def _handover(config: TrainingConfig, initial: Checkpoint | None) -> int | None:
    """Return the phase in which a new stage 2 begins with what stage 1 has learnt."""
    if initial or config.fusion != "post" or not config.stage1_steps:
        return None
    return 1 if config.stage2_steps else 2


def _key(
    config: TrainingConfig,
    card: Card,
    data: TrainingData,
    initial: Checkpoint | None,
) -> str:
    """Return what must agree for a stopped training to go on."""
    parts = {
        "config": config.model_dump(exclude={"device", "memory"}),
        "network": card.network.model_dump(),
        "classes": [label.value for label in card.classes],
        "scans": [(s.shape, s.detail, s.intensity) for s in data.specimens],
        "validation": [(s.shape, s.intensity) for s in data.validation],
        "initial": initial.digest() if initial else None,
    }
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
