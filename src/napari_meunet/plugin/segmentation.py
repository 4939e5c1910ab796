"""Segmenting for the Segment dock: what runs in worker threads, as plain functions."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from napari.layers import Layer

from napari_meunet.config import SegmentationConfig
from napari_meunet.network.card import Card
from napari_meunet.plugin.layers import labels_layer
from napari_meunet.plugin.torch_import import import_torch
from napari_meunet.progress import Progress, Steps

if TYPE_CHECKING:
    from napari_meunet.inference.plan import Plan
    from napari_meunet.labels.store import LabelStore
    from napari_meunet.volume.volume import Volume


@dataclass(frozen=True)
class Task:
    """What a person asks for.

    Attributes
    ----------
    volume
        What is segmented.
    model
        Name of a bundled checkpoint, or path.
    card
        Of the model.
    config
        How.
    folder
        Where the labels are.
    """

    volume: "Volume"
    model: str
    card: Card
    config: SegmentationConfig
    folder: Path


@dataclass(frozen=True)
class Forecast:
    """What a run would take, and what is done already.

    Attributes
    ----------
    plan
        What the engine decided.
    finished
        Fraction of the labels that an interrupted run of the same kind has left.
    remark
        What a person should know before the run; empty if nothing.
    """

    plan: "Plan"
    finished: float
    remark: str

    @property
    def summary(self) -> str:
        """The plan in words."""
        return f"{self.plan}." + (f"\nBeware: {self.remark}." if self.remark else "")

    @property
    def action(self) -> str:
        """What the button does."""
        return f"Resume at {self.finished:.0%}" if 0 < self.finished < 1 else "Run"

    @property
    def nothing_left(self) -> str:
        """Why a run would change nothing, else empty."""
        if self.finished < 1:
            return ""
        return (
            "These labels are complete. Choose another model or options to run again."
        )


@dataclass(frozen=True)
class Run:
    """A run that is ready to start.

    Attributes
    ----------
    store
        Where its labels go, open for writing.
    steps
        The run.
    layer
        What shows the labels, if no layer does yet.
    """

    store: "LabelStore"
    steps: Steps
    layer: Layer | None = None


def forecast(task: Task) -> Forecast:
    """Return what the run will take, and what an earlier one has left.

    Raises
    ------
    MeUNetError
        If the device is not there, the budget is too small, or the labels in the
        folder belong to another scan.
    """
    import_torch()
    from napari_meunet.inference.resolution import resolution_remark

    spacing = task.volume.spacing
    remark = resolution_remark(spacing and spacing.zyx, task.card, task.config)
    if not task.folder.exists():
        return Forecast(_new_plan(task), 0.0, remark)
    from napari_meunet.inference.segment import next_run, replaced_in_words
    from napari_meunet.labels.store import LabelStore
    from napari_meunet.network.checkpoint import load_checkpoint

    with LabelStore.open(task.folder, writable=False) as store:
        store.require_scan(task.volume)
        checkpoint = load_checkpoint(task.model)
        plan, n_finished = next_run(task.volume, checkpoint, task.config, store)
        replaced = replaced_in_words(store, checkpoint, task.config)
    n_planes = len(plan.columns) * task.volume.shape[0]
    remarks = "; ".join(each for each in (replaced, remark) if each)
    return Forecast(plan, n_finished / n_planes, remarks)


def _new_plan(task: Task) -> "Plan":
    from napari_meunet.inference.machine import inspect_machine
    from napari_meunet.inference.segment import plan_for

    return plan_for(task.volume, task.card, task.config, inspect_machine(task.config))


def prepare(task: Task, store: "LabelStore | None") -> Run:
    """Load the model, open the labels and return the run.

    Parameters
    ----------
    task
        What to do.
    store
        The labels, if a layer shows them already.

    Raises
    ------
    MeUNetError
        If the model or the labels cannot be opened or do not belong together.
    """
    import_torch()
    from napari_meunet.inference.segment import segment
    from napari_meunet.labels.store import LabelStore
    from napari_meunet.network.checkpoint import load_checkpoint

    checkpoint = load_checkpoint(task.model)
    classes = checkpoint.card.classes
    layer = None
    if store is None:
        store = LabelStore.open_or_create(task.folder, task.volume, classes)
        layer = Layer.create(*labels_layer(store))
    else:
        store.require_scan(task.volume)
        store.rename_classes(classes)
    return Run(store, segment(task.volume, checkpoint, task.config, store), layer)


def finished_now(before: Progress | None, now: Progress, depth: int) -> range:
    """Return the planes that were labelled between two steps of a run.

    A run goes through the planes of one column after the other.
    """
    done = before.done if before else 0
    first, n_new = done % depth, now.done - done
    return range(first, first + n_new) if first + n_new <= depth else range(depth)
