"""Our loop for any network: what `napari_meunet.training.loop.fit` does for ours.

Optimiser, schedule, moving average of the weights, mixed precision, patches, their
augmentation and their order are those of our stage 1, so that the networks alone
differ. Batch normalisation is treated as ours is: its statistics are measured at the
end.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from benchmarks.accuracy.task import Task
from napari_meunet.config import TrainingConfig
from napari_meunet.network.card import IntensityRule
from napari_meunet.network.stage import norms
from napari_meunet.training.loop.fit import CALIBRATION_STEPS
from napari_meunet.training.loop.losses import segmentation_loss
from napari_meunet.training.loop.state import TrainingState
from napari_meunet.training.loop.statistics import statistics_measured
from napari_meunet.training.loop.stepper import Stepper, make_fabric
from napari_meunet.training.patches.augmentation import Augmentation, Moved
from napari_meunet.training.patches.batches import Batches, read_ahead
from napari_meunet.training.patches.sampler import PatchSampler
from napari_meunet.training.patches.specimen import Specimen

RULE = IntensityRule()
"""How intensities are scaled: as ours are."""


class Objective(nn.Module):
    """Dice plus cross-entropy of a network's logits.

    Logits of deep supervision count, too, at the resolution at which they are made:
    the i-th with the weight ``2 ** -i``, all weights adding up to one, as in nnU-Net.

    Parameters
    ----------
    network
        Gives logits ``(n, n_classes, z, y, x)``, or, if deeply supervised in
        training, ``(n, i, n_classes, z, y, x)`` with the coarser ones enlarged.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor, labels: Tensor, _: Tensor | None) -> Tensor:
        """Return the loss of images ``(n, 1, z, y, x)`` and labels ``(n, z, y, x)``."""
        logits = self.network(image)
        if logits.ndim == labels.ndim + 1:
            return segmentation_loss(logits, labels)
        loss, total = image.new_zeros(()), 0.0
        for i, each in enumerate(logits.unbind(dim=1)):
            every = (..., *(slice(None, None, 2**i),) * 3)  # undoes the enlarging
            loss = loss + 2**-i * segmentation_loss(each[every], labels[every])
            total += 2**-i
        return loss / total


def fit(network: nn.Module, task: Task) -> None:
    """Train a network as long as ours in all phases; it ends with the average."""
    loop = _Loop.of(network, task)
    n_steps = task.config.stage1_steps + task.config.joint_steps
    loop.take_steps(range(n_steps), n_steps)
    loop.stepper.finish(None)
    if norms(loop.objective) and task.config.statistics == "measured":
        loop.measure_statistics(n_steps)


@dataclass(frozen=True)
class _Loop:
    fabric: Fabric
    objective: Objective
    stepper: Stepper
    sampler: PatchSampler
    config: TrainingConfig

    @classmethod
    def of(cls, network: nn.Module, task: Task) -> "_Loop":
        config, n_classes = task.config, len(task.classes) + 1
        rng = np.random.default_rng(config.seed)
        specimens = [Specimen.index(*pair, n_classes, rng, RULE) for pair in task.pairs]
        fabric = make_fabric(config)
        objective = Objective(fabric.to_device(network))
        stepper = Stepper(fabric, objective, config, TrainingState(Path(), ""))
        shift = Augmentation.of(config).greatest_shift(config.patch_size)
        sampler = PatchSampler(specimens, config.foreground, shift)
        return cls(fabric, objective, stepper, sampler, config)

    def take_steps(self, steps: range, n_steps: int) -> None:
        for step, batch in zip(steps, self._batches(steps), strict=True):
            self.stepper.step(batch, step / n_steps)

    def measure_statistics(self, n_steps: int) -> None:
        """Replace BatchNorm's running statistics by those of the present weights."""
        steps = range(n_steps, n_steps + CALIBRATION_STEPS)
        with statistics_measured(self.objective), torch.no_grad():
            for batch in self._batches(steps):
                with self.fabric.autocast():
                    self.objective(*batch)

    def _batches(self, steps: range) -> Iterator[Moved]:
        config = self.config
        augmentation = Augmentation.of(config)
        batches = Batches(self.sampler, config.batch_size, (config.seed, 0, 0))
        drawn = augmentation.drawn_size(config.patch_size)
        for batch in read_ahead(lambda step: batches.draw(step, drawn), steps):
            image = self.fabric.to_device(batch.images)
            labels = self.fabric.to_device(batch.labels)
            yield augmentation.apply(image, labels, config.patch_size, batch.seed)
