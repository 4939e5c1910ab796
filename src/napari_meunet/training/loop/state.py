"""The state of an unfinished training, so that it can go on where it stopped."""

from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, Self

import torch

from napari_meunet.atomic import replacing, writing
from napari_meunet.errors import MeUNetError

Weights = dict[str, Any]


@dataclass
class TrainingState:
    """Where a training stands, and all that its next step depends on.

    Attributes
    ----------
    path
        File that it is saved to.
    key
        What is being trained; a state serves no other training.
    phase
        Number of the phase.
    step
        Steps of the phase that are done.
    validated
        The step after which it was last validated.
    loss
        Its running mean.
    cascade
        The weights.
    averaged, optimiser
        State of the phase's moving average and of its optimiser; None before the
        first step.
    loss_scale
        What fp16 multiplies the loss by, and since when; empty in other precisions.
    best
        Best mean Dice of the phase so far, and the averaged weights that reached it.
    n_failures
        Validations since then.
    seconds
        How long it has taken, all phases together.
    """

    path: Path
    key: str
    phase: int = 0
    step: int = 0
    validated: int = 0
    loss: float = 0.0
    cascade: Weights | None = None
    averaged: Weights | None = None
    optimiser: Weights | None = None
    loss_scale: dict[str, Any] = field(default_factory=dict)
    best: tuple[float, Weights] | None = None
    n_failures: int = 0
    seconds: float = 0.0

    @classmethod
    def load(cls, path: Path, key: str) -> Self:
        """Return the state in a file, or a new one if there is none.

        Raises
        ------
        MeUNetError
            If the file is damaged or of another training.
        """
        if not path.exists():
            return cls(path, key)
        try:
            content = torch.load(path, map_location="cpu", weights_only=True)
            state = cls(path, **content)
        except (OSError, EOFError, RuntimeError, TypeError, UnpicklingError) as error:
            raise MeUNetError(
                f"an unfinished training must be readable, got a damaged {path.name}; "
                "delete it to begin anew"
            ) from error
        if state.key != key:
            raise MeUNetError(
                "an unfinished training goes on with the same scans and settings, got "
                f"others than those of {path.name}; give the same command again, or "
                "delete it to begin anew"
            )
        return state

    def begin(self, phase: int) -> None:
        """Put the state before the first step of a phase; weights and time stay."""
        new = TrainingState(self.path, self.key, phase)
        new.cascade, new.seconds = self.cascade, self.seconds
        vars(self).update(vars(new))

    def save(self) -> None:
        """Write the file; it appears whole or not at all.

        Raises
        ------
        MeUNetError
            If it cannot be written, or the weights are no longer finite; what lay
            there stays.
        """
        if self.cascade and not all(t.isfinite().all() for t in self.cascade.values()):
            raise MeUNetError(
                "weights must be finite to be kept, got others after "
                f"{self.step} steps; look for damaged scans, or begin anew with a "
                "lower --learning-rate"
            )
        content = {name: value for name, value in vars(self).items() if name != "path"}
        # torch's own file writer does not say what a full disk answered.
        buffer = BytesIO()
        torch.save(content, buffer)
        with writing(self.path), replacing(self.path) as temporary:
            temporary.write_bytes(buffer.getbuffer())
