"""Which stages a training computes twice so that its steps fit the memory.

`plan_step` is a pure function: the widget and the command line can ask it what a
training would take. The plan decides what a step takes and how long it lasts, and
never what is learnt.
"""

from dataclasses import dataclass
from functools import cached_property

from napari_meunet.config import TrainingConfig
from napari_meunet.errors import MeUNetError
from napari_meunet.network.card import NetworkConfig
from napari_meunet.training.memory.peak import peak_bytes, spared_bytes
from napari_meunet.training.memory.step import Phase, StageRun, Step, step_of
from napari_meunet.words import size_in_words

LEAST_GAIN = 0.9
"""A plan that follows one which took too much takes at most this part of it."""

FLOPS_OF_A_STEP = 3
"""Times those of a forward pass: the gradient takes two more (Chen et al. 2016)."""


@dataclass(frozen=True)
class Budget:
    """What a training may take, and how it counts.

    Attributes
    ----------
    device
        For people: ``"cpu"``, ``"cuda:0"``.
    n_bytes
        On the device.
    itemsize
        Bytes of a number in the convolutions: 2 in mixed precision, else 4.
    """

    device: str
    n_bytes: int
    itemsize: int


@dataclass(frozen=True)
class StepPlan:
    """How the steps of a phase fit the memory.

    Attributes
    ----------
    step
        What a step runs through.
    budget
        What it had to fit.
    recomputed
        Names of the stages that are computed again for the gradient.
    """

    step: Step
    budget: Budget
    recomputed: tuple[str, ...]

    @cached_property
    def n_bytes(self) -> int:
        """Memory that a step takes on the device, beside the program itself."""
        return peak_bytes(self.step, self.recomputed, self.budget.itemsize)

    @property
    def more_operations(self) -> float:
        """Operations that are done twice, as a fraction of a step's."""
        stages = [run for run in self.step.runs if isinstance(run, StageRun)]
        again = sum(run.flops for run in stages if _is_repeated(run, self.recomputed))
        forward = sum(run.flops for run in stages)
        learnt = sum(run.flops for run in stages if not run.is_frozen)
        return again / (forward + (FLOPS_OF_A_STEP - 1) * learnt)

    def __str__(self) -> str:
        """Return a few words for people."""
        words = f"{size_in_words(self.n_bytes)} a step on {self.budget.device}"
        if not self.recomputed:
            return words
        return (
            f"{words}, {len(self.recomputed)} of {len(self.step.stages)} stages "
            f"computed twice ({self.more_operations:.0%} more work)"
        )

    def smaller(self) -> "StepPlan | None":
        """Return a plan that takes less, after this one took too much, if any does."""
        plans = _plans(self.step, self.budget)
        for plan in plans:
            if plan.n_bytes <= LEAST_GAIN * self.n_bytes:
                return plan
        least = min(plans, key=lambda plan: plan.n_bytes)
        return least if least.n_bytes < self.n_bytes else None


def plan_step(
    phase: Phase, network: NetworkConfig, config: TrainingConfig, budget: Budget
) -> StepPlan:
    """Return the plan with the fewest stages computed twice that fits the budget.

    Those go first that spare the most bytes for an operation.

    Parameters
    ----------
    phase
        Name of the objective.
    network
        The cascade.
    config
        Sizes of patches and batch.
    budget
        What it may take.

    Raises
    ------
    MeUNetError
        If a step does not fit even if all stages are computed twice. The batch is
        never cut: BatchNorm would normalise its parts one by one, and another network
        would be learnt.
    """
    plans = _plans(step_of(phase, network, config), budget)
    for plan in plans:
        if plan.n_bytes <= budget.n_bytes:
            return plan
    least = min(plans, key=lambda plan: plan.n_bytes)
    raise MeUNetError(
        f"a training step must fit the memory allowed, {size_in_words(budget.n_bytes)} "
        f"on {budget.device}, got {size_in_words(least.n_bytes)} for {phase} with "
        f"every stage computed twice; choose a smaller --batch-size, --expanded-size "
        "or --patch-size, or allow more --memory"
    )


def _plans(step: Step, budget: Budget) -> list[StepPlan]:
    """Return plans with ever more stages computed twice, from none to all."""
    gains = {
        name: sum(spared_bytes(run, budget.itemsize) for run in runs)
        / sum(run.flops for run in runs)
        for name, runs in step.stages.items()
    }
    order = sorted(gains, key=lambda name: -gains[name])
    return [StepPlan(step, budget, tuple(order[:n])) for n in range(len(order) + 1)]


def _is_repeated(run: StageRun, recomputed: tuple[str, ...]) -> bool:
    return run.name in recomputed and not run.is_frozen
