"""What a training step runs through, in order, with the sizes that decide its memory.

It follows `napari_meunet.training.loop.objectives` and the networks stage by stage.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from napari_meunet.config import TrainingConfig
from napari_meunet.network.card import NetworkConfig

Phase = Literal["stage 1", "stage 2", "both stages"]


@dataclass(frozen=True, slots=True)
class StageRun:
    """One run of a convolution stage.

    Attributes
    ----------
    name
        Of its module in the cascade.
    voxels
        Of what comes out, in all patches of the batch.
    n_in, n_out
        Channels.
    joins
        Whether it joins two inputs.
    is_pooled
        Whether what comes out is also pooled.
    is_frozen
        Whether it runs without gradient.
    """

    name: str
    voxels: int
    n_in: int
    n_out: int
    joins: bool = False
    is_pooled: bool = False
    is_frozen: bool = False

    @property
    def n_weights(self) -> int:
        """Weights of its two convolutions."""
        return 27 * (self.n_in + self.n_out) * self.n_out

    @property
    def flops(self) -> int:
        """Operations of its two convolutions."""
        return 2 * self.voxels * self.n_weights


@dataclass(frozen=True, slots=True)
class LossRun:
    """One head with its loss.

    Attributes
    ----------
    voxels
        Of the logits, in all patches of the batch.
    n_classes
        Channels of the logits.
    """

    voxels: int
    n_classes: int


@dataclass(frozen=True)
class Step:
    """A training step.

    Attributes
    ----------
    runs
        In the order of the forward pass.
    voxels
        Of the patches that come in.
    n_weights
        Of the whole cascade.
    """

    runs: tuple[StageRun | LossRun, ...]
    voxels: int
    n_weights: int

    @property
    def stages(self) -> dict[str, list[StageRun]]:
        """The runs of every stage that learns, by its name."""
        found: dict[str, list[StageRun]] = {}
        for run in self.runs:
            if isinstance(run, StageRun) and not run.is_frozen:
                found.setdefault(run.name, []).append(run)
        return found


def step_of(phase: Phase, network: NetworkConfig, config: TrainingConfig) -> Step:
    """Return the training step of a phase.

    Parameters
    ----------
    phase
        Name of the objective.
    network
        The cascade.
    config
        Sizes of patches and batch.
    """
    local = config.batch_size * config.patch_size**3
    expanded = config.batch_size * config.expanded_size**3
    stage1, stage2 = _stage1(network, local), _stage2(network, local)
    loss, half = (LossRun(n, network.n_classes) for n in (local, local // 8))
    runs: list[StageRun | LossRun] = [*stage1, loss, half, *stage2, loss]
    if phase == "stage 1" and expanded == local:
        runs = [*stage1, loss, half]
    elif phase == "stage 1":
        runs = [*_expanded(network, expanded), *stage1, loss]
    elif phase == "stage 2":
        runs = [*(replace(run, is_frozen=True) for run in stage1), *stage2, loss]
    weights = sum(run.n_weights for run in (*stage1, *stage2))
    return Step(tuple(runs), expanded if phase == "stage 1" else local, weights)


def _expanded(network: NetworkConfig, voxels: int) -> list[StageRun | LossRun]:
    """Return what `MeUNet.expanded_logits` and its loss do."""
    enc1, *half, _ = _stage1(network, voxels)
    loss = LossRun(half[-1].voxels, network.n_classes)
    return [replace(enc1, is_frozen=True), *half, loss]


def _stage1(network: NetworkConfig, voxels: int) -> list[StageRun]:
    return _unet("stage1", 1, network.features, voxels)


def _stage2(network: NetworkConfig, voxels: int) -> list[StageRun]:
    """Return stage 2 and what joins it to stage 1."""
    features = network.refinement_features
    if network.fusion == "none":
        return []
    if network.fusion == "pre":
        first, *others = _unet("stage2", 1 + network.n_classes, features, voxels)
        return [replace(first, joins=True), *others]
    n_in, n_out = network.features[0] + features[0], network.features[0]
    fuse = StageRun("fuse", voxels, n_in, n_out, joins=True)
    return [*_unet("stage2", 1, features, voxels), fuse]


def _unet(name: str, n_in: int, features: Sequence[int], voxels: int) -> list[StageRun]:
    """Return the encoder and the decoder of a U-net."""
    runs, levels = [], len(features)
    for level, n_out in enumerate(features):
        stage, size = f"{name}.enc{level + 1}", voxels >> 3 * level
        is_pooled = level < levels - 1
        runs.append(StageRun(stage, size, n_in, n_out, is_pooled=is_pooled))
        n_in = n_out
    for level in reversed(range(levels - 1)):
        stage, size = f"{name}.dec{level + 1}", voxels >> 3 * level
        n_out = features[max(level - 1, 0)]
        runs.append(StageRun(stage, size, features[level] + n_in, n_out, joins=True))
        n_in = n_out
    return runs
