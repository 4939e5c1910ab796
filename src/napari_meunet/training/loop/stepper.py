"""One optimiser step after the other, on one device or on many."""

import math
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from napari_meunet.config import TrainingConfig
from napari_meunet.errors import MeUNetError
from napari_meunet.network.device import choose_device, computes_bf16
from napari_meunet.network.stage import freeze_statistics
from napari_meunet.training.loop.objectives import Objective
from napari_meunet.training.loop.state import TrainingState, Weights
from napari_meunet.training.patches.augmentation import Moved

POLYNOMIAL_POWER = 0.9
"""Of the polynomial schedule, as in nnU-Net (Isensee et al., Nature Methods 2021)."""


def make_fabric(config: TrainingConfig) -> Fabric:
    """Return what computes on one device or on many, in mixed precision.

    bf16 where the device computes it, fp16 on older CUDA devices, else fp32.

    Raises
    ------
    MeUNetError
        If `torchrun` began another number of processes: each would train alone, and
        all of them write the same files.
    """
    device = choose_device(config.device)
    n_devices = config.n_devices * config.n_nodes
    begun = int(os.environ.get("WORLD_SIZE", n_devices))
    if begun != n_devices:
        raise MeUNetError(
            f"every process must know of the others, got {begun} processes for "
            f"{n_devices} device(s); pass --devices and --nodes, or begin one process"
        )
    fallback: Any = "16-mixed" if device.type == "cuda" else "32-true"
    this_one = [device.index or 0] if device.type == "cuda" else 1
    return Fabric(
        accelerator=device.type,
        devices=this_one if n_devices == 1 else config.n_devices,
        num_nodes=config.n_nodes,
        strategy="auto" if n_devices == 1 else "ddp_find_unused_parameters_true",
        precision="bf16-mixed" if computes_bf16(device) else fallback,
    )


class Stepper:
    """Takes steps down the gradient of an objective, and averages the weights.

    Parameters
    ----------
    fabric
        Where it computes.
    objective
        What is minimised; its parameters that require a gradient change.
    config
        Learning rate, schedule, averaging.
    state
        Of the phase; what it holds is taken up.
    """

    def __init__(
        self,
        fabric: Fabric,
        objective: Objective,
        config: TrainingConfig,
        state: TrainingState,
    ) -> None:
        self._fabric = fabric
        self.objective = objective.train()
        if config.statistics == "frozen":
            freeze_statistics(objective)
        self._config = config
        fitted = [p for p in objective.parameters() if p.requires_grad]
        optimiser = torch.optim.Adam(fitted, config.learning_rate)
        self.average = AveragedModel(objective, multi_avg_fn=self._move_average)
        if state.averaged and state.optimiser:
            self.average.load_state_dict(state.averaged)
            optimiser.load_state_dict(state.optimiser)
        if state.loss_scale:
            fabric.strategy.precision.load_state_dict(state.loss_scale)
        wrapped: Any = fabric.setup(objective, optimiser)
        self._loss, self._optimiser = wrapped

    def step(self, batch: Moved, done: float) -> float:
        """Take one step and return the loss before it.

        Parameters
        ----------
        batch
            On the device.
        done
            Fraction of the phase that is done, for the schedule.

        Raises
        ------
        MeUNetError
            If the loss is not finite.
        MemoryError, RuntimeError
            If memory runs out. Unless it ran out for Adam's moments, of the size of
            the weights, nothing has changed then, and the step can be taken again.
        """
        for group in self._optimiser.param_groups:
            group["lr"] = self._config.learning_rate * _schedule(self._config, done)
        self._optimiser.zero_grad()
        with _statistics_restored_on_failure(self.objective):
            loss = self._loss(*batch)
            value = float(loss.item())
            if not math.isfinite(value):
                raise MeUNetError(
                    f"the loss must stay finite, got {value}; look for damaged scans, "
                    "or begin anew with a lower --learning-rate"
                )
            self._fabric.backward(loss)
        self._optimiser.step()
        self.average.update_parameters(self.objective)
        return value

    def store(self, state: TrainingState) -> None:
        """Put into the state what the next step depends on."""
        state.averaged = self.average.state_dict()
        state.optimiser = self._optimiser.state_dict()
        state.loss_scale = self._fabric.strategy.precision.state_dict()

    def finish(self, best: tuple[float, Weights] | None) -> None:
        """Give the objective the best weights if they are known, else the average."""
        weights = best[1] if best else self.average.module.state_dict()
        self.objective.load_state_dict(weights)

    def _move_average(
        self, averages: Sequence[Tensor], currents: Sequence[Tensor], n: Tensor | int
    ) -> None:
        """Move the averages; they follow more closely while they are young."""
        n_before = int(n)
        decay = min(self._config.averaging, (1 + n_before) / (10 + n_before))
        for average, current in zip(averages, currents, strict=True):
            average.lerp_(current, 1 - decay)


@contextmanager
def _statistics_restored_on_failure(module: nn.Module) -> Iterator[None]:
    """Give BatchNorm back what it knew, if the block does not come to its end."""
    buffers = list(module.buffers())
    before = [buffer.clone() for buffer in buffers]
    try:
        yield
    except (MemoryError, RuntimeError):
        for buffer, value in zip(buffers, before, strict=True):
            buffer.copy_(value)
        raise


def _schedule(config: TrainingConfig, done: float) -> float:
    """Return the learning rate as a fraction of its peak."""
    if config.schedule == "cosine":
        return (1 + math.cos(math.pi * done)) / 2
    if config.schedule == "polynomial":
        return float((1 - done) ** POLYNOMIAL_POWER)
    return 1.0
