"""What is compared: our cascade in its variants, and MONAI's networks."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.accuracy.peers import PEERS
from benchmarks.accuracy.task import Network, Predict, Task, Way
from benchmarks.accuracy.windows import by_windows
from napari_meunet.config import PRESETS, SegmentationConfig, TrainingConfig
from napari_meunet.inference.segment import segment
from napari_meunet.labels.temporary import temporary_labels
from napari_meunet.network.checkpoint import Checkpoint, load_checkpoint
from napari_meunet.network.classes import named_classes
from napari_meunet.training.draft import draft_card
from napari_meunet.training.loop.stepper import make_fabric
from napari_meunet.training.train import train
from napari_meunet.volume.volume import Volume


@dataclass(frozen=True)
class Variant:
    """Our cascade, trained and used as the package does it.

    Attributes
    ----------
    title
        For people.
    recipe
        Values of `TrainingConfig` that differ from the budget.
    expansion
        How much longer the edge of the expanded patch is than that of the patch.
    is_joint
        Whether both stages learn together after stage 1 alone, or stage 2 alone.
    """

    title: str
    recipe: Mapping[str, object] = field(default_factory=dict)
    expansion: float = 1.0
    is_joint: bool = True

    def learn(self, task: Task, folder: Path) -> int:
        """Train as `config` says, and leave one model of all stages."""
        config = self.config(task.config)
        output, scans = self._weights(folder), [image for image, _ in task.pairs]
        classes = named_classes(task.classes)
        card = draft_card(output, classes, config, scans, command="a benchmark")
        deque(train(task.pairs, config, card, output), maxlen=0)
        cascade = load_checkpoint(output).build()
        return sum(weight.numel() for weight in cascade.parameters())

    def config(self, budget: TrainingConfig) -> TrainingConfig:
        """Return the recipe within the budget; without stage 2, stage 1 gets all."""
        values: dict[str, Any] = budget.model_dump() | dict(self.recipe)
        values["expanded_size"] = int(budget.patch_size * self.expansion)
        if values["fusion"] == "none":
            values["stage1_steps"] = budget.stage1_steps + budget.joint_steps
            values["joint_steps"] = 0
        if not self.is_joint:
            values |= {"stage2_steps": budget.joint_steps, "joint_steps": 0}
        return TrainingConfig.checked(**values)

    @property
    def ways(self) -> tuple[Way, ...]:
        """By windows, to be compared; and streamed, as the package does it."""
        return "windows", "streamed"

    def predictor(self, task: Task, folder: Path, way: Way) -> Predict:
        """Return windows or the engine, with what `learn` left."""
        checkpoint = load_checkpoint(self._weights(folder))
        if way == "streamed":
            return self._streamed(checkpoint, task.config.device, folder)
        fabric = make_fabric(task.config)
        cascade = fabric.to_device(checkpoint.build())
        cascade.to(memory_format=torch.channels_last_3d)
        rule = checkpoint.card.intensity
        return by_windows(cascade, fabric, task.config.patch_size, rule)

    def _streamed(self, checkpoint: Checkpoint, device: str, folder: Path) -> Predict:
        """Return the engine: planes are streamed through the cascade."""
        config = SegmentationConfig(device=device)

        def predict(volume: Volume) -> NDArray[np.uint8]:
            with temporary_labels(volume, checkpoint.card.classes, folder) as store:
                deque(segment(volume, checkpoint, config, store), maxlen=0)
                return np.array(store.labels[:])

        return predict

    def _weights(self, folder: Path) -> Path:
        return folder / "model.safetensors"


BUDGET = (
    "patch_size",
    "expanded_size",
    "batch_size",
    "stage1_steps",
    "stage2_steps",
    "joint_steps",
    "patience",
    "validation_steps",
)
"""What a recipe does not decide here."""


def recipe(preset: str) -> dict[str, object]:
    """Return the values of a preset, less what the budget decides."""
    return {k: value for k, value in PRESETS[preset].items() if k not in BUDGET}


AFFINE: Mapping[str, object] = {
    name: PRESETS["paper"][name] for name in ("augmentation", "deform")
}

VARIANTS: dict[str, Variant] = {
    "stage1": Variant("ours, stage 1 alone", {"fusion": "none"}),
    "pre": Variant("ours, pre-concatenation", {"fusion": "pre"}),
    "post": Variant("ours, post-concatenation"),
    "expanded": Variant("ours, post, with expanded patches", expansion=1.5),
    "paper": Variant("ours, published recipe", recipe("paper"), expansion=1.5),
    "undeformed": Variant("no patch bent", {"deform": 0.0}),
    "affine": Variant("published augmentation", AFFINE),
    "raw": Variant("the same, raw grey values", {**AFFINE, "normalise": False}),
    "windows": Variant("published windows", {"sampling": "windows"}),
    "foreground": Variant("a third around classes", {"foreground": 1 / 3}),
    "weighted": Variant("weighted cross-entropy", {"cross_entropy": "weighted"}),
    "frozen": Variant("stage 2 on a frozen stage 1", is_joint=False),
    "constant": Variant("constant rate", {"schedule": "constant"}),
    "faster": Variant("rate 0.002", {"learning_rate": 0.002}),
    "last": Variant("last weights", {"averaging": 0.0}),
    "running": Variant("running statistics", {"statistics": "running"}),
}

NETWORKS: dict[str, Network] = {**VARIANTS, **PEERS}
