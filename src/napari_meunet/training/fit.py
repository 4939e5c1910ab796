"""The training loop: a phase from its first step, or from where it stopped."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric
from numpy.typing import NDArray
from torch import Tensor

from napari_meunet.config import TrainingConfig
from napari_meunet.network.cascade import Cascade
from napari_meunet.progress import Progress, Steps
from napari_meunet.training.evaluation.validation import validation_dice
from napari_meunet.training.objectives import Objective, norms
from napari_meunet.training.patches.augmentation import Augmentation
from napari_meunet.training.patches.batches import Batches, read_ahead
from napari_meunet.training.patches.sampler import PatchSampler
from napari_meunet.training.patches.specimen import Specimen
from napari_meunet.training.state import TrainingState
from napari_meunet.training.stepper import Stepper

CALIBRATION_STEPS = 100
"""Batches over which the final BatchNorm statistics are averaged."""

AVERAGED_LOSSES = 50
"""Steps over which the reported loss is averaged, roughly."""

SECONDS_BETWEEN_SAVES = 60.0


@dataclass(frozen=True)
class TrainingData:
    """What a network learns from.

    Attributes
    ----------
    specimens, validation
        To train on, and to measure Dice on.
    names
        Of the classes, by value.
    """

    specimens: Sequence[Specimen]
    validation: Sequence[Specimen]
    names: Mapping[int, str]


class Fit:
    """Fits a cascade, phase by phase.

    Parameters
    ----------
    fabric
        Where it computes.
    cascade
        The network; it has the final weights of a phase when that ends.
    data
        What it learns from.
    config
        What the user asked for.
    state
        Where to begin. It is kept up to date, and saved every minute and when the
        work is closed.
    """

    def __init__(
        self,
        fabric: Fabric,
        cascade: Cascade,
        data: TrainingData,
        config: TrainingConfig,
        state: TrainingState,
    ) -> None:
        self._fabric = fabric
        self._cascade = fabric.to_device(cascade)
        self._cascade.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
        self._data = data
        self._config = config
        self._state = state
        self._sampler = PatchSampler(data.specimens, config.foreground)
        self._augmentation = Augmentation(
            config.deform, config.mirror, config.synthetic
        )
        self._saved = time.monotonic()

    def run(self, phase: int, objective: Objective, n_steps: int) -> Steps:
        """Fit one objective, from the step where it stopped.

        The BatchNorm statistics are measured before the steps with fixed ones, and at
        the end where there are none.
        """
        if phase != self._state.phase:
            self._state.begin(phase)
        stepper = Stepper(self._fabric, objective, self._config, self._state)
        try:
            yield from self._fit(stepper, objective, n_steps)
        except GeneratorExit:
            self._save(stepper)
            raise

    def _fit(self, stepper: Stepper, objective: Objective, n_steps: int) -> Steps:
        state = self._state
        n_free = round(n_steps * (1 - self._config.fixed_statistics))
        yield from self._take_steps(stepper, objective, n_steps, until=n_free)
        if state.step >= n_free < n_steps:
            if state.step == n_free:
                state.best, state.n_failures = None, 0
                yield from self._measure_statistics(objective, n_steps)
            for norm in norms(objective):
                norm.eval()
            yield from self._take_steps(stepper, objective, n_steps, until=n_steps)
        self._save(stepper)
        stepper.finish(state.best)
        if norms(objective):
            yield from self._measure_statistics(objective, n_steps)
        objective.eval()

    def _take_steps(
        self, stepper: Stepper, objective: Objective, n_steps: int, *, until: int
    ) -> Steps:
        """Take the steps up to `until` of the phase's `n_steps`."""
        state = self._state
        for image, labels in self._batches(range(state.step, until)):
            if state.n_failures == self._config.patience:
                break
            loss = stepper.step(image, labels, state.step / n_steps)
            state.step += 1
            state.loss += (loss - state.loss) / min(state.step, AVERAGED_LOSSES)
            scores = self._validate(stepper, n_steps)
            self._save_now_and_then(stepper)
            metrics = {"loss": state.loss, **scores}
            yield Progress(state.step, n_steps, "steps", objective.name, metrics)

    def _batches(self, steps: range) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield augmented batches on the device."""
        phase = self._state.phase
        key = (self._config.seed, phase, self._fabric.global_rank)
        batches = Batches(self._sampler, self._config.batch_size, key)
        size = self._config.expanded_size if phase == 0 else self._config.patch_size
        drawn = self._augmentation.drawn_size(size)
        for batch in read_ahead(lambda step: batches.draw(step, drawn), steps):
            image = self._fabric.to_device(batch.images)
            labels = self._fabric.to_device(batch.labels)
            image, labels = self._augmentation.apply(image, labels, size, batch.seed)
            yield image.contiguous(memory_format=torch.channels_last_3d), labels

    def _validate(self, stepper: Stepper, n_steps: int) -> dict[str, float]:
        """Return the Dice of the averaged weights when it is time; keep the best."""
        state = self._state
        due = state.step % self._config.validation_steps == 0 or state.step == n_steps
        if not (due and self._data.validation):
            return {}
        averaged: Any = stepper.average.module
        averaged.eval()

        def predict(image: NDArray[np.float32]) -> NDArray[Any]:
            patch = self._fabric.to_device(torch.from_numpy(image)[None, None])
            with torch.no_grad(), self._fabric.autocast():
                found: Tensor = averaged.logits(patch).argmax(dim=1)
            return found[0].cpu().numpy()

        size = self._config.expanded_size
        scores = validation_dice(predict, self._data.validation, size)
        if self._config.patience:
            mean = float(np.mean(list(scores.values())))
            if state.best is None or mean > state.best[0]:
                weights = {k: v.clone() for k, v in averaged.state_dict().items()}
                state.best, state.n_failures = (mean, weights), 0
            else:
                state.n_failures += 1
        return {f"Dice {self._data.names[k]}": value for k, value in scores.items()}

    def _save_now_and_then(self, stepper: Stepper) -> None:
        if time.monotonic() - self._saved > SECONDS_BETWEEN_SAVES:
            self._save(stepper)
            self._saved = time.monotonic()

    def _save(self, stepper: Stepper) -> None:
        if self._fabric.is_global_zero:
            stepper.store(self._state)
            self._state.cascade = self._cascade.state_dict()
            self._state.save()

    def _measure_statistics(self, objective: Objective, n_steps: int) -> Steps:
        """Replace the running statistics by plain averages at the present weights.

        With few patches a step the exponential average is noisy, and it lags behind.
        """
        gathering = norms(objective)
        momenta = [norm.momentum for norm in gathering]
        for norm in gathering:
            norm.reset_running_stats()
            norm.momentum = None  # averages all batches with equal weight
        steps = range(n_steps, n_steps + CALIBRATION_STEPS)
        message = f"{objective.name}, statistics"
        for done, (image, labels) in enumerate(self._batches(steps), start=1):
            with torch.no_grad(), self._fabric.autocast():
                objective(image, labels)
            yield Progress(done, len(steps), "batches", message)
        for norm, momentum in zip(gathering, momenta, strict=True):
            norm.momentum = momentum
