"""The most memory that a training step takes at once, from the tensors that it holds.

A stage run is two convolutions, each with BatchNorm and ReLU in place. Autograd keeps
what goes into each convolution and each BatchNorm and what comes out of each ReLU: the
joined input, and four times the stage's channels. A stage that is computed again keeps
only what comes out. The working space of the convolution library is not in here.
"""

from collections.abc import Collection
from dataclasses import dataclass, field
from itertools import groupby

from napari_meunet.training.memory.step import LossRun, StageRun, Step

INDEX = 8
"""Bytes of the int64 that says where a maximum was."""

LOSS_KEPT, LOSS_PASSING = 3 * 4, 4 * 4
"""Bytes for each class of a voxel: softmax, its logarithm and the truth in float32;
then the truth in int64 and two products in float32."""

LABEL_KEPT = 8 + 1
"""Bytes of a voxel: its label in int64, and whether there is one."""

RESIDENT = 5 * 4
"""Bytes of a weight: float32 for itself, its gradient, Adam's two moments, and the
moving average."""


@dataclass
class _Ledger:
    """Bytes held now, and the most so far."""

    held: float = 0
    peak: float = 0
    pending: dict[int, float] = field(default_factory=dict)

    def hold(self, n_bytes: float) -> None:
        self.held += n_bytes
        self.pass_by(0)

    def pass_by(self, n_bytes: float) -> None:
        """Hold for a moment, beside the gradients that wait for their skip."""
        self.peak = max(self.peak, self.held + sum(self.pending.values()) + n_bytes)


def peak_bytes(step: Step, recomputed: Collection[str], itemsize: int) -> int:
    """Return the bytes that a step takes on the device that trains.

    Parameters
    ----------
    step
        What it runs through.
    recomputed
        Names of the stages that are computed again for the gradient.
    itemsize
        Bytes of a number in the convolutions.
    """
    ledger = _Ledger()
    ledger.hold(step.n_weights * (RESIDENT + itemsize) + step.voxels * (4 + 1))
    for is_frozen, runs in groupby(step.runs, key=_is_frozen):
        if is_frozen:
            _pass_frozen(ledger, [r for r in runs if isinstance(r, StageRun)], itemsize)
            continue
        for run in runs:
            ledger.pass_by(_passing(run, itemsize))
            ledger.hold(_kept(run, recomputed, itemsize))
    for run in reversed(step.runs):
        if not _is_frozen(run):
            _go_back(ledger, run, recomputed, itemsize)
    return round(ledger.peak)


def spared_bytes(run: StageRun, itemsize: int) -> int:
    """Return what is not kept of a run that is computed again."""
    return itemsize * run.voxels * (_joined(run) + 3 * run.n_out)


def _is_frozen(run: StageRun | LossRun) -> bool:
    return isinstance(run, StageRun) and run.is_frozen


def _joined(run: StageRun) -> int:
    return run.n_in if run.joins else 0


def _pass_frozen(ledger: _Ledger, runs: list[StageRun], itemsize: int) -> None:
    """Run a part without gradient; its last features stay."""
    before = ledger.held
    for run in runs:
        ledger.pass_by(_passing(run, itemsize))
        ledger.hold(itemsize * run.voxels * run.n_out)
        last = itemsize * run.voxels * run.n_out
        if run.is_pooled:
            ledger.pass_by((itemsize + INDEX) * run.voxels * run.n_out / 8)
            last = last // 8
    ledger.held = before + last


def _kept(run: StageRun | LossRun, recomputed: Collection[str], itemsize: int) -> float:
    """Return the bytes that are kept of a run until the gradient has passed it."""
    if isinstance(run, LossRun):
        return run.voxels * (LOSS_KEPT * run.n_classes + LABEL_KEPT)
    kept = itemsize * run.voxels * run.n_out
    if run.is_pooled:
        kept += (itemsize + INDEX) * run.voxels * run.n_out // 8
    return kept if run.name in recomputed else kept + spared_bytes(run, itemsize)


def _passing(run: StageRun | LossRun, itemsize: int) -> int:
    """Return the bytes that a forward pass holds for a moment."""
    if isinstance(run, StageRun):
        channels = max(_joined(run) + 2 * run.n_out, 3 * run.n_out)
        return itemsize * run.voxels * channels
    numbers = LOSS_KEPT + LOSS_PASSING + itemsize
    return run.voxels * (numbers * run.n_classes + LABEL_KEPT)


def _go_back(
    ledger: _Ledger,
    run: StageRun | LossRun,
    recomputed: Collection[str],
    itemsize: int,
) -> None:
    """Take the gradient of a run: what it kept is then free."""
    if isinstance(run, StageRun):
        again = spared_bytes(run, itemsize) if run.name in recomputed else 0
        ledger.pass_by(again + 2 * itemsize * run.voxels * run.n_out)
        if run.is_pooled:
            ledger.pending.pop(run.voxels, None)
        elif run.joins:  # the gradient of both inputs lies in one piece
            waiting = ledger.pending.get(run.voxels, 0)
            ledger.pending[run.voxels] = waiting + itemsize * run.voxels * run.n_in
    ledger.held -= _kept(run, recomputed, itemsize)
