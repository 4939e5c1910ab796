"""What a run will do and take, decided before it begins.

`plan_segmentation` is a pure function of the volume, the network, what the user asks
for and what the machine offers.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import TYPE_CHECKING

from napari_meunet.config import SegmentationConfig, Shape
from napari_meunet.errors import MeUNetError
from napari_meunet.inference.memory import Memory, Push, exact_memory, paper_memory
from napari_meunet.inference.resolution import reduction_in_words
from napari_meunet.inference.streaming.schedule import (
    ALIGNMENT,
    Schedule,
    schedule_of,
    sparing,
)
from napari_meunet.inference.tiles import (
    PAPER_WINDOW,
    Box,
    Column,
    Grid,
    Tiling,
    aligned,
    cut,
)
from napari_meunet.network.card import NetworkConfig
from napari_meunet.network.free_memory import HOST_SHARE, share_of
from napari_meunet.network.orientations import Axes
from napari_meunet.words import size_in_words, time_in_words

if TYPE_CHECKING:
    from napari_meunet.inference.machine import Machine
    from napari_meunet.volume.volume import Volume

APPROXIMATE_HALO = 48
"""Voxels around a column if exactness is not asked for: about half the reach."""

PAPER_SLAB = 48
"""Planes per push within a window of 240."""

MOST_PARTS = 16
"""Columns along an axis; more would read and compute little but halo."""

ENLARGING_WORK = 700
"""Operations for a class of a voxel whose labels are enlarged: what the network does in
the time that it takes, measured as 5 ns on one core that computed 138 GFLOP/s."""

ITEMSIZE = {"fp32": 4, "bf16": 2, "fp16": 2}

IMAGE_ITEMSIZE = {"fp32": 4, "bf16": 4, "fp16": 2}
"""See `napari_meunet.inference.streaming.folded.FoldedCascade.image_dtype`."""


@dataclass(frozen=True, slots=True)
class Appetite:
    """What a kind of device does best at once.

    Attributes
    ----------
    slabs
        Planes per push, best first: long slabs are fewer to start.
    slab_bytes
        Bytes of one channel that no slab but the shortest exceeds.
    band
        See `napari_meunet.inference.streaming.domain.Domain`.
    """

    slabs: tuple[int, ...]
    slab_bytes: int
    band: int


PROCESSOR = Appetite((16,), 0, 2**22)
"""Small enough for caches, and for the allocator to use the same pages again: glibc
gives back to the system what has 32 MiB, or twice as much at the end of its heap."""

CUDA = Appetite((64, 48, 32, 16), 2**27, 2**26)
"""Large enough to hide the cost of starting kernels."""


@dataclass(frozen=True)
class Plan:
    """How a volume will be segmented.

    Attributes
    ----------
    preset, device, precision
        As in `SegmentationConfig`, but decided.
    schedule
        The stages that run. In fp32 stage 1's first one runs twice, to save memory.
    grid
        The scan, and how many of its voxels the network sees as one.
    box
        What is computed, in voxels that the network sees; beyond is air.
    columns
        Parts of the section that the network sees, done one after the other.
    slab, band
        See `napari_meunet.inference.streaming.domain.Domain`.
    flips
        Axes along which the scan is flipped each time that the network is asked; the
        mean of its answers gives the labels.
    exact
        Whether the labels are the same however the section is cut.
    host_bytes, device_bytes
        Memory that the run takes, beside the program itself.
    seconds
        How long it may take.
    """

    preset: str
    device: str
    precision: str
    schedule: Schedule
    grid: Grid
    box: Box
    columns: tuple[Column, ...]
    slab: int
    band: int
    flips: tuple[Axes, ...]
    exact: bool
    host_bytes: int
    device_bytes: int
    seconds: float

    @property
    def parts(self) -> tuple[int, int]:
        """Columns along (y, x)."""
        along_y, along_x = zip(*(column.core for column in self.columns), strict=True)
        return len(set(along_y)), len(set(along_x))

    @property
    def averages(self) -> bool:
        """Whether the network is asked several times."""
        return len(self.flips) > 1

    def __str__(self) -> str:
        """Return one line for people."""
        n = len(self.columns)
        way = "the paper's windows" if self.preset == "paper" else "whole planes"
        parts = [
            f"{n} columns" if n > 1 else way,
            f"{self.precision} on {self.device}",
            size_in_words(self.host_bytes + self.device_bytes),
            f"about {time_in_words(self.seconds)}",
        ]
        if not self.exact:
            parts.append(f"approximate: columns overlap by {APPROXIMATE_HALO} voxels")
        if self.grid.is_reduced:
            parts.append(reduction_in_words(self.grid))
        if self.averages:
            parts.append(f"the mean of the scan and {len(self.flips) - 1} flipped ones")
        box = self.grid.full(self.box)
        if box != tuple((0, size) for size in self.grid.shape):
            axes = zip(("planes", "rows", "columns"), box, strict=True)
            spans = (f"{name} {start} to {stop}" for name, (start, stop) in axes)
            parts.append(f"approximate: {', '.join(spans)}, beyond which there is air")
        return ", ".join(parts)


def plan_segmentation(
    volume: "Volume",
    network: NetworkConfig,
    config: SegmentationConfig,
    machine: "Machine",
    box: Box | None = None,
    grid: Grid | None = None,
    flips: tuple[Axes, ...] = ((),),
) -> Plan:
    """Return the plan with the fewest columns that fits the memory allowed.

    Parameters
    ----------
    volume
        What the network sees; no voxel is read.
    network
        The cascade.
    config
        What the user asks for.
    machine
        What there is.
    grid
        The scan that is segmented; None if it is the volume.
    box
        Beyond it there is air, which is not to be computed; None if all is. It is made
        larger to begin at multiples of 16.
    flips
        See `Plan`.

    Raises
    ------
    MeUNetError
        If not even the narrowest columns fit.
    """
    grid = grid or Grid(volume.shape)
    task = _Task(volume, network, config, machine, box, grid, flips)
    plans = task.paper_plans() if config.preset == "paper" else task.exact_plans()
    for plan in plans:
        if _fits(plan, config, machine):
            return plan
    raise _too_large(plan, config, machine)


@dataclass(frozen=True)
class _Task:
    """All that a plan depends on."""

    volume: "Volume"
    network: NetworkConfig
    config: SegmentationConfig
    machine: "Machine"
    asked: Box | None
    grid: Grid
    flips: tuple[Axes, ...]

    @property
    def shape(self) -> Shape:
        return self.volume.shape

    @property
    def box(self) -> Box:
        """What is computed, from multiples of 16 to such or to the volume's ends."""
        z, y, x = (
            (start // ALIGNMENT * ALIGNMENT, min(aligned(stop), size))
            for (start, stop), size in zip(
                self.asked or tuple((0, size) for size in self.shape),
                self.shape,
                strict=True,
            )
        )
        return z, y, x

    @property
    def appetite(self) -> Appetite:
        return PROCESSOR if self.machine.shares_memory else CUDA

    def exact_plans(self) -> Iterator[Plan]:
        """Return plans with ever more columns."""
        (first, last), *section = self.box
        schedule = schedule_of(self.network)
        if self.machine.precision == "fp32":
            schedule = sparing(schedule)
        reach = aligned(schedule.reach())
        if self.grid.factors[1:] != (1, 1):
            reach += ALIGNMENT  # labels lie between a voxel and the next
        halo = reach if self.config.exact_halo else APPROXIMATE_HALO
        for parts in self._grids():
            columns = cut(self.shape[1:], parts, halo, (section[0], section[1]))
            area = sum(prod(column.section) for column in columns)
            for slab in self._slabs(columns):
                push = self._push(slab)
                yield self._plan(
                    schedule,
                    columns,
                    push,
                    exact_memory(schedule, columns, push, self.volume.dtype, self.grid),
                    area,
                    aligned(last - first),
                )

    def paper_plans(self) -> Iterator[Plan]:
        """Return the only plan there is for the paper's windows."""
        schedule = schedule_of(self.network.model_copy(update={"fusion": "none"}))
        area = PAPER_WINDOW**2 * prod(Tiling(size).n for size in self.shape)
        push = self._push(PAPER_SLAB)
        yield self._plan(
            schedule,
            cut(self.shape[1:], (1, 1), 0),
            push,
            paper_memory(schedule, self.shape, push, self.volume.dtype),
            area,
            PAPER_WINDOW,
        )

    def _grids(self) -> list[tuple[int, int]]:
        """Return columns along (y, x), the fewest first, then the squarest."""
        height, width = (stop - start for start, stop in self.box[1:])
        most = aligned(height) // ALIGNMENT, aligned(width) // ALIGNMENT
        asked = self.config.columns
        if asked and (asked[0] > most[0] or asked[1] > most[1]):
            raise MeUNetError(
                f"columns must be 16 voxels wide or more as the network sees them, at "
                f"most {most} along (y, x), got {asked}; ask for fewer"
            )
        if asked:
            return [asked]
        along_y, along_x = (range(1, min(n, MOST_PARTS) + 1) for n in most)
        return sorted(
            product(along_y, along_x),
            key=lambda n: (n[0] * n[1], max(height / n[0], width / n[1])),
        )

    def _slabs(self, columns: Sequence[Column]) -> tuple[int, ...]:
        """Return planes per push that are worth trying, best first."""
        if self.config.slab:
            return (self.config.slab,)
        plane = max(prod(column.section) for column in columns)
        plane *= max(ITEMSIZE[self.machine.precision], prod(self.grid.factors))
        slabs = self.appetite.slabs
        small = [slab for slab in slabs if slab * plane <= self.appetite.slab_bytes]
        return tuple(small) or slabs[-1:]

    def _push(self, slab: int) -> Push:
        precision = self.machine.precision
        return Push(
            slab,
            self.appetite.band,
            ITEMSIZE[precision],
            IMAGE_ITEMSIZE[precision],
            transposes=self.machine.transposes,
            n_networks=len(self.flips),
        )

    def _plan(
        self,
        schedule: Schedule,
        columns: tuple[Column, ...],
        push: Push,
        memory: Memory,
        area: int,
        depth: int,
    ) -> Plan:
        """Return the plan of streams through `area` voxels of `depth` planes."""
        work = len(self.flips) * schedule.flops(depth, push.slab)
        work += depth * self._enlarging_work()
        sections = {column.section for column in columns}
        return Plan(
            preset=self.config.preset,
            device=self.machine.device,
            precision=self.machine.precision,
            schedule=schedule,
            grid=self.grid,
            box=self.box,
            columns=columns,
            slab=push.slab,
            band=push.band,
            flips=self.flips,
            exact=self.config.exact_halo or len(columns) == 1,
            host_bytes=memory.host + max(map(self.volume.kept_bytes, sections)),
            device_bytes=memory.device,
            seconds=area * work / self.machine.rate,
        )

    def _enlarging_work(self) -> float:
        """Return the work to label the voxels within one that the network sees."""
        if not self.grid.is_reduced:
            return 0
        return prod(self.grid.factors) * ENLARGING_WORK * self.network.n_classes


def _allowed(config: SegmentationConfig, machine: "Machine") -> int:
    return config.memory or int(share_of(machine.device) * machine.device_free)


def _fits(plan: Plan, config: SegmentationConfig, machine: "Machine") -> bool:
    allowed = _allowed(config, machine)
    if machine.shares_memory:
        return plan.host_bytes + plan.device_bytes <= allowed
    host = int(HOST_SHARE * machine.host_free)
    return plan.device_bytes <= allowed and plan.host_bytes <= host


def _too_large(
    plan: Plan, config: SegmentationConfig, machine: "Machine"
) -> MeUNetError:
    remedy = "allow more memory, choose precision fp16 or bf16, or close other programs"
    if plan.preset == "paper":
        remedy = "choose the preset 'exact', which needs far less, or allow more memory"
    if plan.averages:
        remedy = f"segment without averaging, {remedy}"
    return MeUNetError(
        f"a run must fit the memory allowed, {_allowed(config, machine) / 1e9:.2f} GB "
        f"on {machine.device}, got {plan.device_bytes / 1e9:.2f} GB there and "
        f"{plan.host_bytes / 1e9:.2f} GB on the host with {len(plan.columns)} columns; "
        f"{remedy}"
    )
