"""Segmenting a volume: from a plan to labels on disk."""

from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import Protocol, Self

import numpy as np
import torch
from numpy.typing import NDArray

from napari_meunet.config import LabelClass, SegmentationConfig
from napari_meunet.errors import MeUNetError
from napari_meunet.inference.exact import ExactExecutor
from napari_meunet.inference.images import Images, Limits
from napari_meunet.inference.ledger import Ledger
from napari_meunet.inference.machine import (
    DTYPES,
    Machine,
    inspect_machine,
)
from napari_meunet.inference.pipeline import WRITE_BEHIND, overlapped
from napari_meunet.inference.plan import Plan, plan_segmentation
from napari_meunet.inference.resolution import as_seen, grid_of
from napari_meunet.inference.streaming.folded import FoldedCascade
from napari_meunet.inference.streaming.schedule import BLOCK
from napari_meunet.inference.target import LabelTarget, RunRecord
from napari_meunet.inference.tiles import Block, Column, Grid
from napari_meunet.inference.windows import PaperExecutor
from napari_meunet.network.card import Card
from napari_meunet.network.checkpoint import Checkpoint
from napari_meunet.network.device import is_out_of_memory
from napari_meunet.network.orientations import Axes, flips_alike
from napari_meunet.progress import Progress, Steps
from napari_meunet.volume.intensity import intensity_range
from napari_meunet.volume.volume import Volume


class Executor(Protocol):
    """A way to label a volume."""

    def blocks(self, column: Column, first: int) -> Generator[Block, None, None]:
        """Return the labels of a column from plane `first` on, block by block."""
        ...


def segment(
    volume: Volume,
    checkpoint: Checkpoint,
    config: SegmentationConfig,
    labels: LabelTarget,
    *,
    whole: Volume | None = None,
) -> Steps:
    """Label `volume` plane by plane; closing the iterator stops, and a rerun goes on.

    What is finished stays finished: when the iterator is closed, when the process dies,
    and when the device runs out of memory, after which a smaller plan goes on. The
    labels of a run that was taken up again are those of a run in one go, bit by bit,
    as long as the plan stays the same. A complete run does nothing more, unless it is
    to overwrite corrections and there are new ones.

    Parameters
    ----------
    volume
        What to segment.
    checkpoint
        The model.
    config
        How.
    labels
        Where the labels go; of the volume's shape.
    whole
        The scan that the volume is a part of, if it is: intensities are scaled as
        there.

    Yields
    ------
    Progress
        Planes written, summed over columns. The first message is the plan.

    Raises
    ------
    MeUNetError
        If volume, model, labels and machine do not go together.
    """
    _require_same_shape(volume, labels)
    run = _Run.of(volume, checkpoint, config, labels, whole or volume)
    plan = run.first_plan()
    before: tuple[Column, ...] = ()
    message = str(plan)
    while True:
        run.begin(plan, before)
        try:
            with closing(run.steps(plan, message)) as steps:
                yield from steps
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
        else:
            return
        before, plan = plan.columns, run.smaller(plan)
        message = f"{plan.device} ran out of memory; going on with {plan}"


def next_run(
    volume: Volume,
    checkpoint: Checkpoint,
    config: SegmentationConfig,
    labels: LabelTarget,
) -> tuple[Plan, int]:
    """Return the plan that `segment` would begin with, and how much of it is finished.

    Returns
    -------
    Plan
        That of the run that was interrupted, or a new one.
    int
        Planes that are on disk, summed over columns.
    """
    run = _Run.of(volume, checkpoint, config, labels, volume)
    plan = run.first_plan()
    return plan, run.taken_up(plan)


@dataclass(frozen=True)
class _Run:
    """One call of `segment`."""

    seen: Volume
    grid: Grid
    checkpoint: Checkpoint
    config: SegmentationConfig
    labels: LabelTarget
    limits: Limits

    @classmethod
    def of(
        cls,
        volume: Volume,
        checkpoint: Checkpoint,
        config: SegmentationConfig,
        labels: LabelTarget,
        whole: Volume,
    ) -> Self:
        """Look at the scan as the network will see it."""
        card = checkpoint.card
        seen, grid = as_seen(volume, card, config), grid_of(volume, card, config)
        limits = limits_for(whole, card, config)
        return cls(seen, grid, checkpoint, config, labels, limits)

    def first_plan(self) -> Plan:
        """Return the plan of the run that was interrupted, or a new one.

        With a little less memory free than then there might be more columns, and what
        is finished would have to be done again.
        """
        machine = inspect_machine(self.config)
        last = RunRecord.last(self.labels)
        if last:
            layout = {
                "columns": self.config.columns or last.columns,
                "slab": self.config.slab or last.slab,
            }
            try:
                plan = self._plan(self.config.model_copy(update=layout), machine)
            except MeUNetError:
                pass  # it does not fit any more
            else:
                if self._record(plan).key == last.key:
                    return plan
        return self._plan(self.config, machine)

    def taken_up(self, plan: Plan) -> int:
        """Return the planes that a run by `plan` would find finished."""
        last = RunRecord.last(self.labels)
        if not last or last.key != self._record(plan).key or self._is_outdated(plan):
            return 0
        return self._progress(plan).done

    def _is_outdated(self, plan: Plan) -> bool:
        """Tell whether corrections came after a complete run that overwrites them."""
        step = self._progress(plan)
        return (
            self.config.overwrite_corrected
            and step.done == step.total
            and self.labels.has_corrections
        )

    def smaller(self, plan: Plan) -> Plan:
        """Return a plan that takes half the memory of one that took too much."""
        taken = plan.device_bytes
        if plan.device.startswith("cuda"):
            torch.cuda.empty_cache()
        else:
            taken += plan.host_bytes  # it is the same memory
        config = self.config.model_copy(update={"memory": taken // 2})
        try:
            return self._plan(config, inspect_machine(config))
        except MeUNetError as error:
            raise MeUNetError(
                f"{plan.device} ran out of memory, and {error}"
            ) from error

    def begin(self, plan: Plan, before: tuple[Column, ...]) -> None:
        """Begin a run, or take up the last one.

        What is finished in the columns `before`, of a larger plan, stays finished.
        """
        finished = {column: self._finished(column) for column in before}
        if self._is_outdated(plan):
            self.labels.forget_run()
        record = self._record(plan)
        self.labels.begin_run(record.key, record.model_dump(mode="json"))
        if plan.preset == "paper":  # whose votes say little of how sure it is
            self.labels.forget_confidence()
        for column in plan.columns if before else ():
            planes = min(finished[other] for other in before if column.touches(other))
            if planes:
                self.labels.mark_finished(column.name, planes)

    def steps(self, plan: Plan, message: str) -> Steps:
        """Label what is not finished yet."""
        ledger = Ledger(self.labels)
        yield self._progress(plan, message, ledger)
        blocks = self._blocks(plan)
        written = overlapped(partial(self._write, ledger), blocks, WRITE_BEHIND)
        try:
            with closing(blocks), closing(written):
                for _ in written:
                    yield self._progress(plan, ledger=ledger)
        finally:
            ledger.settle()

    def _blocks(self, plan: Plan) -> Generator[tuple[Column, Block], None, None]:
        executor = self._executor(plan)
        for column in plan.columns:
            first = self._finished(column)
            if first == self.grid.shape[0]:
                continue
            with closing(executor.blocks(column, first)) as blocks:
                for block in blocks:
                    yield column, block

    def _write(self, ledger: Ledger, item: tuple[Column, Block]) -> None:
        column, block = item
        if not len(block.labels):
            return
        labels = _with_values(block.labels, self.checkpoint.card.classes)
        overwrite = self.config.overwrite_corrected
        self.labels.write(block.start, labels, overwrite_corrected=overwrite)
        if block.confidence.size:
            z, y, x = (first // BLOCK for first in block.start)
            self.labels.write_confidence((z, y, x), block.confidence)
        ledger.note(column.name, block.start[0], block.start[0] + len(labels))

    def _finished(self, column: Column) -> int:
        return self.labels.finished_planes(column.name)

    def _progress(
        self, plan: Plan, message: str = "", ledger: Ledger | None = None
    ) -> Progress:
        ledger = ledger or Ledger(self.labels)
        done = sum(ledger.planes(column.name) for column in plan.columns)
        total = len(plan.columns) * self.grid.shape[0]
        return Progress(done, total, "planes", message)

    def _plan(self, config: SegmentationConfig, machine: Machine) -> Plan:
        return _planned(self.seen, self.grid, self.checkpoint.card, config, machine)

    def _record(self, plan: Plan) -> RunRecord:
        return RunRecord(
            model=self.checkpoint.card.name,
            checkpoint=self.checkpoint.digest(),
            model_source=self.checkpoint.source,
            preset=plan.preset,
            device=plan.device,
            precision=plan.precision,
            limits=self.limits,
            factors=plan.grid.factors,
            box=plan.box,
            exact_halo=self.config.exact_halo,
            columns=plan.parts,
            slab=plan.slab,
            band=plan.band,
            flips=plan.flips,
            overwrite_corrected=self.config.overwrite_corrected,
            # it was measured without averaging
            calibration=None if plan.averages else self.checkpoint.card.calibration,
        )

    def _executor(self, plan: Plan) -> Executor:
        device, dtype = torch.device(plan.device), DTYPES[plan.precision]
        cascade = self.checkpoint.build()
        schedule, slab, band = plan.schedule, plan.slab, plan.band
        weights = tuple(
            FoldedCascade(cascade, schedule, device, dtype, flips)
            for flips in plan.flips
        )
        images = Images(self.seen, self.limits, plan.box[0])
        if plan.preset == "paper":
            return PaperExecutor(images, schedule, weights[0], slab, band)
        return ExactExecutor(images, schedule, weights, slab, band, plan.grid)


def _with_values(
    labels: NDArray[np.uint8], classes: tuple[LabelClass, ...]
) -> NDArray[np.uint8]:
    """Return the values of classes that are numbered from 0.

    Not ``values[labels]``: that takes eight bytes a voxel on its way.
    """
    values = bytes(label.value for label in classes)
    named = labels.tobytes().translate(values.ljust(256, b"\0"))
    return np.frombuffer(named, np.uint8).reshape(labels.shape)


def plan_for(
    volume: Volume, card: Card, config: SegmentationConfig, machine: Machine
) -> Plan:
    """Return the plan of a new run, see `plan_segmentation`.

    Raises
    ------
    MeUNetError
        If the run does not fit the memory allowed, or would be refused as by
        `limits_for` or `flips_averaged`.
    """
    flips_averaged(card, config)  # refuses before a voxel is read
    limits_for(volume, card, config)
    seen = as_seen(volume, card, config)
    return _planned(seen, grid_of(volume, card, config), card, config, machine)


def _planned(
    seen: Volume, grid: Grid, card: Card, config: SegmentationConfig, machine: Machine
) -> Plan:
    flips, box = flips_averaged(card, config), None
    if config.skip_air:
        from napari_meunet.volume.air import box_without_air  # brings SciPy

        box = box_without_air(seen)
    return plan_segmentation(seen, card.network, config, machine, box, grid, flips)


def flips_averaged(card: Card, config: SegmentationConfig) -> tuple[Axes, ...]:
    """Return the axes to flip each time that the network is asked.

    Raises
    ------
    MeUNetError
        If the mean is asked for and, as far as its card says, the model did not learn
        to label flipped scans alike.
    """
    flips = flips_alike(card) if config.average else ((),)
    if config.average and len(flips) == 1:
        why = "learned none" if card.training else "does not say how it was trained"
        raise MeUNetError(
            "labels are averaged over flipped scans that a model learned to label "
            f"alike, got {card.name!r}, which {why}; segment without averaging"
        )
    return flips


def replaced_in_words(
    labels: LabelTarget, checkpoint: Checkpoint, config: SegmentationConfig
) -> str:
    """Return which labels a run takes the place of; empty if not another model's."""
    last = RunRecord.last(labels)
    if last is None or last.checkpoint == checkpoint.digest():
        return ""
    kept = "" if config.overwrite_corrected else ", but for corrected voxels"
    return f"what another model, {last.model!r}, has labelled is replaced{kept}"


def averages_as_before(labels: LabelTarget, card: Card) -> bool:
    """Tell whether the last run took the mean over flipped scans, and a model can."""
    last = RunRecord.last(labels)
    return last is not None and len(last.flips) > 1 and len(flips_alike(card)) > 1


def _require_same_shape(volume: Volume, labels: LabelTarget) -> None:
    if volume.shape != labels.shape:
        raise MeUNetError(
            f"labels must have the shape of the volume, {volume.shape}, got "
            f"{labels.shape}; choose another labels folder"
        )


def limits_for(volume: Volume, card: Card, config: SegmentationConfig) -> Limits:
    """Return the intensities that become 0 and 1, as the model's card wants them.

    They are those of the scan as the network sees it.

    Raises
    ------
    MeUNetError
        If the volume has no contrast, or not the data type that the model takes.
    """
    rule = card.intensity
    if rule:
        return intensity_range(as_seen(volume, card, config), rule.low, rule.high)
    if volume.dtype != np.uint8:
        raise MeUNetError(
            f"the model {card.name!r} takes raw grey values of 8 bits, got "
            f"{volume.dtype}; save the volume as uint8, or choose a model that scales "
            "intensities"
        )
    return None
