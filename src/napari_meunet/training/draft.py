"""What a model says of itself before it is trained."""

from collections.abc import Sequence
from pathlib import Path

from napari_meunet.config import LabelClass, TrainingConfig
from napari_meunet.network.card import Card, IntensityRule, NetworkConfig
from napari_meunet.network.cascade import REFINEMENT_FEATURES
from napari_meunet.network.checkpoint import Checkpoint
from napari_meunet.network.meunet import FEATURES
from napari_meunet.training.scans import spacing_range
from napari_meunet.volume.volume import Volume


def new_network(n_classes: int, config: TrainingConfig) -> NetworkConfig:
    """Return the architecture that `config` asks for."""
    return NetworkConfig(
        n_classes=n_classes,
        features=FEATURES,
        refinement_features=REFINEMENT_FEATURES,
        fusion=config.fusion,
    )


def draft_card(
    output: Path,
    classes: tuple[LabelClass, ...],
    config: TrainingConfig,
    scans: Sequence[Volume],
    *,
    command: str,
    initial: Checkpoint | None = None,
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
        intensity=intensity if config.normalise else None,
        data=description or f"labelled scans: {len(scans)}",
        licence=licence or "unknown",
        command=commands,
    )
