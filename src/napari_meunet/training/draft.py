"""Before a training: what fits the model to begin from, and what the new one says."""

from collections.abc import Sequence
from pathlib import Path

from napari_meunet.config import LabelClass, TrainingConfig
from napari_meunet.network.card import Card, IntensityRule, NetworkConfig
from napari_meunet.network.cascade import REFINEMENT_FEATURES
from napari_meunet.network.checkpoint import Checkpoint
from napari_meunet.network.meunet import FEATURES
from napari_meunet.training.specimens.scans import spacing_range
from napari_meunet.volume.volume import Volume


def new_network(n_classes: int, config: TrainingConfig) -> NetworkConfig:
    """Return the architecture that `config` asks for."""
    return NetworkConfig(
        n_classes=n_classes,
        features=FEATURES,
        refinement_features=REFINEMENT_FEATURES,
        fusion=config.fusion,
    )


def suited_to(initial: Checkpoint, config: TrainingConfig) -> TrainingConfig:
    """Return the config with stages and grey values of the model to begin from."""
    fusion = initial.card.network.fusion
    changes: dict[str, object] = {"fusion": fusion}
    if fusion == "none":
        n_steps = config.stage1_steps + config.stage2_steps + config.joint_steps
        changes |= {"stage1_steps": n_steps, "stage2_steps": 0, "joint_steps": 0}
    if initial.card.intensity is None:
        changes |= {"normalise": False, "synthetic": 0.0}
        if config.augmentation == "full":
            changes["augmentation"] = "affine"
    return TrainingConfig.checked(**config.model_dump() | changes)


def draft_card(
    output: Path,
    classes: tuple[LabelClass, ...],
    config: TrainingConfig,
    scans: Sequence[Volume],
    *,
    command: str,
    initial: Checkpoint | None = None,
    voxel_size: float | None = None,
    description: str = "",
    licence: str = "",
) -> Card:
    """Return the card of a model that is to be trained.

    Parameters
    ----------
    output
        Where the model goes, and what it is called.
    classes
        The background first.
    config
        Says the architecture, and whether grey values are scaled.
    scans
        To learn from.
    command
        How the training is started.
    initial
        The model to begin from: widths and percentiles stay its own. What does not
        fit is for the engine to refuse.
    voxel_size
        That the scans were brought to, see `napari_meunet.network.card.Card`.
    description, licence
        What the data are, and whose the model is; if empty, what can be said of both.
    """
    network = new_network(len(classes), config)
    intensity = IntensityRule()
    commands: tuple[str, ...] = (command,)
    if initial:
        before, widths = initial.card, {"features", "refinement_features"}
        kept = before.network.model_dump(include=widths)
        network = network.model_copy(update=kept)
        intensity = before.intensity or intensity
        commands = (*before.command, command)
    return Card(
        name=output.stem,
        version="1",
        network=network,
        classes=classes,
        spacing=spacing_range(scans),
        voxel_size=voxel_size,
        intensity=intensity if config.normalise else None,
        data=description or f"labelled scans: {len(scans)}",
        licence=licence or "unknown",
        command=commands,
    )
