"""The training loop: a phase from its first step, or from where it stopped."""

import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric
from numpy.typing import NDArray
from torch import Tensor

from napari_meunet.config import TrainingConfig
from napari_meunet.errors import MeUNetError
from napari_meunet.network.cascade import Cascade
from napari_meunet.network.device import is_out_of_memory
from napari_meunet.network.stage import recompute
from napari_meunet.progress import Progress, Steps
from napari_meunet.training.evaluation.validation import Predict, validation_dice
from napari_meunet.training.loop.handover import hand_over
from napari_meunet.training.loop.objectives import Objective
from napari_meunet.training.loop.preview import Preview
from napari_meunet.training.loop.state import TrainingState
from napari_meunet.training.loop.statistics import statistics_measured
from napari_meunet.training.loop.stepper import Stepper
from napari_meunet.training.memory.budget import memory_budget
from napari_meunet.training.memory.plan import StepPlan, plan_step
from napari_meunet.training.patches.augmentation import Augmentation, Moved
from napari_meunet.training.patches.batches import Batches, read_ahead
from napari_meunet.training.patches.sampler import PatchSampler, Sampler
from napari_meunet.training.patches.specimen import Specimen
from napari_meunet.training.patches.windows import Windows, WindowSampler

CALIBRATION_STEPS = 100
"""Batches over which the final BatchNorm statistics are averaged."""

INTERIM_STEPS = 20
"""The same for a look at the network while it is in training."""

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
        Of the classes, by output of the network.
    windows
        Of each specimen, if it is windows that are trained on.
    turns
        See `PatchSampler`.
    preview
        What is looked at meanwhile, if anything.
    """

    specimens: Sequence[Specimen]
    validation: Sequence[Specimen]
    names: Mapping[int, str]
    windows: Sequence[Windows] = ()
    turns: Sequence[int] | None = None
    preview: Preview | None = None


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
        self._cascade = cascade
        fabric.to_device(cascade).to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
        self._data = data
        self._config = config
        self._state = state
        self._augmentation = Augmentation.of(config)
        self._saved = time.monotonic()

    def run(
        self,
        phase: int,
        objective: Objective,
        n_steps: int,
        *,
        takes_over: bool = False,
    ) -> Steps:
        """Fit one objective, from the step where it stopped.

        If it `takes_over`, stage 2 begins with what stage 1 gives.
        """
        if phase != self._state.phase:
            self._state.begin(phase)
        self._apply(self._planned(objective))
        with self._memory_explained():
            if takes_over and not self._state.step:
                self._hand_over()
            # of several processes, all take the weights of the first here
            stepper = Stepper(self._fabric, objective, self._config, self._state)
            yield from self._kept(stepper, objective, n_steps)

    @contextmanager
    def _memory_explained(self) -> Iterator[None]:
        """Say what to do if memory runs out."""
        try:
            yield
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            raise MeUNetError(
                f"memory must have room for {self._plan}, got "
                f"{type(error).__name__}; close other programs and give the same "
                "command again, it goes on where it stopped; or begin anew with a "
                "smaller --batch-size, --expanded-size or --patch-size"
            ) from error

    def _hand_over(self) -> None:
        """Let stage 2 begin with what stage 1 gives, see `hand_over`."""
        batches = self._batches(range(INTERIM_STEPS))
        with self._fabric.autocast():
            hand_over(self._cascade, (batch.images for batch in batches))

    def _kept(self, stepper: Stepper, objective: Objective, n_steps: int) -> Steps:
        """Fit; where it ends early, save what was learnt."""
        try:
            if self._plan.recomputed:
                message = f"{objective.name}: {self._plan}"
                yield Progress(self._state.step, n_steps, "steps", message)
            yield from self._fit(stepper, objective, n_steps)
        except MeUNetError:
            with suppress(MeUNetError):  # of what is no number, nothing is kept
                self._save(stepper)
            raise
        except (GeneratorExit, MemoryError, RuntimeError) as error:
            if isinstance(error, GeneratorExit) or is_out_of_memory(error):
                self._save(stepper)
            raise

    def _fit(self, stepper: Stepper, objective: Objective, n_steps: int) -> Steps:
        yield from self._take_steps(stepper, objective, n_steps)
        self._save(stepper)
        stepper.finish(self._state.best)
        if self._config.statistics == "measured":
            yield from self._measure_statistics(objective, n_steps)
        objective.eval()

    def _take_steps(
        self, stepper: Stepper, objective: Objective, n_steps: int
    ) -> Steps:
        """Take the steps of the phase that are left."""
        state = self._state
        if self._is_due(n_steps):  # it was stopped while that was measured
            yield from self._after_step(stepper, objective, n_steps)
        for batch in self._batches(range(state.step, n_steps)):
            if state.n_failures == self._config.patience:
                break
            loss = yield from self._step(stepper, batch, n_steps)
            state.step += 1
            state.loss += (loss - state.loss) / min(state.step, AVERAGED_LOSSES)
            yield from self._after_step(stepper, objective, n_steps)

    def _after_step(
        self, stepper: Stepper, objective: Objective, n_steps: int
    ) -> Steps:
        """Say where the training stands after a step."""
        predict = self._predictor(stepper, n_steps)
        scores: dict[str, float] = {}
        if self._is_due(n_steps):
            message = f"{objective.name}, measuring"
            scores = yield from self._validate(predict, stepper, message)
        if self._data.preview:
            self._data.preview.look_when_due(predict)
        self._save_now_and_then(stepper)
        metrics = {"loss": self._state.loss, **scores}
        yield Progress(self._state.step, n_steps, "steps", objective.name, metrics)

    def _step(
        self, stepper: Stepper, batch: Moved, n_steps: int
    ) -> Generator[Progress, None, float]:
        """Take a step and return its loss; with a smaller plan if memory runs out."""
        done = self._state.step
        while True:
            try:
                return stepper.step(batch, done / n_steps)
            except (MemoryError, RuntimeError) as error:
                smaller = self._plan.smaller()
                # Several processes would no longer wait for each other.
                alone = self._fabric.world_size == 1
                if not (is_out_of_memory(error) and smaller and alone):
                    raise
            # Only now has the error let go of the tensors of the step.
            self._apply(smaller)
            message = (
                f"{self._fabric.device} ran out of memory; going on with {smaller}"
            )
            yield Progress(done, n_steps, "steps", message)

    def _planned(self, objective: Objective) -> StepPlan:
        precision = self._fabric.strategy.precision.precision
        itemsize = 4 if precision == "32-true" else 2
        budget = memory_budget(self._config, self._fabric.device, itemsize)
        return plan_step(objective.name, self._cascade.network, self._config, budget)

    def _apply(self, plan: StepPlan) -> None:
        self._plan = plan
        recompute(self._cascade, plan.recomputed)
        if self._fabric.device.type == "cuda":
            torch.cuda.empty_cache()

    def _batches(self, steps: range) -> Iterator[Moved]:
        """Yield the augmented batches of this process."""
        phase = self._state.phase
        key = (self._config.seed, phase, self._fabric.global_rank)
        processes = self._fabric.global_rank, self._fabric.world_size
        batches = Batches(self._sampler(), self._config.batch_size, key, *processes)
        size = self._config.expanded_size if phase == 0 else self._config.patch_size
        drawn = self._augmentation.drawn_size(size)
        for batch in read_ahead(lambda step: batches.draw(step, drawn), steps):
            image = self._fabric.to_device(batch.images)
            labels = self._fabric.to_device(batch.labels)
            moved = self._augmentation.apply(image, labels, size, batch.seed)
            images = moved.images.contiguous(memory_format=torch.channels_last_3d)
            yield moved._replace(images=images)

    def _sampler(self) -> Sampler:
        data, config = self._data, self._config
        if config.sampling == "balanced":
            shift = self._augmentation.greatest_shift(config.patch_size)
            return PatchSampler(data.specimens, config.foreground, shift, data.turns)
        return WindowSampler(data.specimens, data.windows, config.seed)

    def _is_due(self, n_steps: int) -> bool:
        """Return whether the present weights are still to be validated."""
        step = self._state.step
        due = step % self._config.validation_steps == 0 or step == n_steps
        return due and step != self._state.validated and bool(self._data.validation)

    def _validate(
        self, predict: Predict, stepper: Stepper, message: str
    ) -> Generator[Progress, None, dict[str, float]]:
        """Measure the Dice of the averaged weights; keep the best."""
        state, size = self._state, self._config.expanded_size
        scores = yield from validation_dice(
            predict, self._data.validation, size, message
        )
        # The first process decides, so that all of them end a phase at the same step.
        scores = self._fabric.broadcast(scores)
        state.validated = state.step
        if self._config.patience:
            mean = float(np.mean(list(scores.values())))
            if state.best is None or mean > state.best[0]:
                averaged = stepper.average.module.state_dict()
                weights = {k: v.clone() for k, v in averaged.items()}
                state.best, state.n_failures = (mean, weights), 0
            else:
                state.n_failures += 1
        return {f"Dice {self._data.names[k]}": value for k, value in scores.items()}

    def _predictor(self, stepper: Stepper, n_steps: int) -> Predict:
        """Return the network with the averaged weights, as it would be used."""

        @cache
        def averaged() -> Any:
            return self._averaged(stepper, n_steps)

        def predict(image: NDArray[np.float32]) -> NDArray[Any]:
            patch = self._fabric.to_device(torch.from_numpy(image)[None, None])
            with torch.no_grad(), self._fabric.autocast():
                found: Tensor = averaged().logits(patch).argmax(dim=1)
            return found[0].cpu().numpy()

        return predict

    def _averaged(self, stepper: Stepper, n_steps: int) -> Any:
        """Return the averaged objective, with statistics of its own if so asked."""
        averaged: Any = stepper.average.module
        if self._config.statistics == "measured":
            steps = range(n_steps, n_steps + INTERIM_STEPS)
            with statistics_measured(averaged.train()):
                for batch in self._batches(steps):
                    self._pass(averaged, batch)
        return averaged.eval()

    def _save_now_and_then(self, stepper: Stepper) -> None:
        if time.monotonic() - self._saved > SECONDS_BETWEEN_SAVES:
            self._save(stepper)

    @property
    def seconds(self) -> float:
        """How long the training has taken, all phases and interrupted runs together."""
        return self._state.seconds + time.monotonic() - self._saved

    def _save(self, stepper: Stepper) -> None:
        self._state.seconds, self._saved = self.seconds, time.monotonic()
        if self._fabric.is_global_zero:
            stepper.store(self._state)
            self._state.cascade = self._cascade.state_dict()
            self._state.save()

    def _measure_statistics(self, objective: Objective, n_steps: int) -> Steps:
        """Replace the running statistics by plain averages at the present weights."""
        steps = range(n_steps, n_steps + CALIBRATION_STEPS)
        message = f"{objective.name}, statistics"
        with statistics_measured(objective):
            for done, batch in enumerate(self._batches(steps), start=1):
                self._pass(objective, batch)
                yield Progress(done, len(steps), "batches", message)

    def _pass(self, objective: Objective, batch: Moved) -> None:
        with torch.no_grad(), self._fabric.autocast():
            objective(*batch)
