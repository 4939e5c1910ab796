"""When every stage of a cascade gets its planes: the shape of plane streaming.

A cascade is made of stages, each two 3x3x3 convolutions, that read what other stages
have made, as it is, pooled by 2 or upsampled by 2. All of that is local, so it can be
done plane by plane: whenever `k` planes more have been read, every stage makes
``k / 2**level`` planes more, a constant *delay* behind the planes read. Two
convolutions need 2 planes beyond their output, so a stage trails its sources by 2
planes; pooling halves a delay (rounded up, for it needs whole pairs of planes) and
upsampling doubles it. Where branches meet, planes of the early one wait in a ring for
the late one. For stage 1 the sum is 94 planes, and labels wait for two more, so that
they come in whole blocks.

Nothing here needs torch: the plan computes memory and work from the same schedule
that the streams are built from.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from napari_meunet.config import CONFIDENCE_EDGE
from napari_meunet.network.card import NetworkConfig

ALIGNMENT = 16
"""Voxels that stage 1 pools into one; depth, section and slabs are multiples of it."""

BLOCK = CONFIDENCE_EDGE
"""Planes, rows and columns that labels come in: whole blocks of confidence."""

MARGIN = 2
"""Voxels that two 3x3x3 convolutions need on either side of their output."""

OVERLAP = 2
"""Planes or rows of its input that a 3x3x3 convolution reads again for the next."""

IMAGE = "image"
"""The source that is no stage."""

AGAIN = " again"
"""Ends the name of a stage that runs twice."""

Interval = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Source:
    """What a stage reads: the planes of `name`, `how` they are brought to its level.

    `lag` holds the stage back by so many planes more than it has to wait.
    """

    name: str
    how: Literal["same", "pooled", "doubled"]
    channels: int
    lag: int = 0


@dataclass(frozen=True, slots=True)
class Stage:
    """Two 3x3x3 convolutions and what follows them.

    Attributes
    ----------
    name
        Of the module in the cascade; with `AGAIN` if it runs a second time.
    level
        0 is full resolution; every level halves it.
    sources
        What it reads; channels are concatenated in this order.
    n_out
        Channels of both convolutions.
    delay
        Planes of this level by which the output trails the planes read.
    head
        Name of the 1x1x1 convolution that turns the features into classes; empty if
        the features themselves are passed on.
    """

    name: str
    level: int
    sources: tuple[Source, ...]
    n_out: int
    delay: int
    head: str = ""

    @property
    def module(self) -> str:
        """Name of the module in the cascade."""
        return self.name.removesuffix(AGAIN)

    @property
    def scale(self) -> int:
        """Voxels of the image along one voxel of this level."""
        return 1 << self.level

    @property
    def n_in(self) -> int:
        """Channels of all sources."""
        return sum(source.channels for source in self.sources)

    @property
    def n_doubled(self) -> int:
        """Channels of the source that is doubled, the last one if there is any."""
        last = self.sources[-1]
        return last.channels if last.how == "doubled" else 0

    @property
    def sees_image(self) -> bool:
        """Whether the image is among its sources."""
        return any(source.name == IMAGE for source in self.sources)

    @property
    def n_weights(self) -> int:
        """Weights of both convolutions: multiplications for a voxel, as published."""
        return 27 * (self.n_in + self.n_out) * self.n_out


@dataclass(frozen=True, slots=True)
class Schedule:
    """A whole cascade: the stages in the order in which they run.

    The last one gives the labels.
    """

    stages: tuple[Stage, ...]
    n_classes: int

    @property
    def delay(self) -> int:
        """Planes by which the labels trail the planes read."""
        return self.stages[-1].delay

    def kept(self) -> Iterator[tuple[str, int, int]]:
        """Return name, scale and channels of all that stages read."""
        yield IMAGE, 1, 1
        for stage in self.stages[:-1]:
            yield stage.name, stage.scale, self.n_classes if stage.head else stage.n_out

    def ring_planes(self, name: str, slab: int) -> int:
        """Return how many planes of `name` must be kept, at its own level.

        Parameters
        ----------
        name
            A stage, or the image.
        slab
            Planes per push at full resolution.
        """
        scale, delay = 1, 0
        for stage in self.stages:
            if stage.name == name:
                scale, delay = stage.scale, stage.delay
        kept = max(
            _planes_back(stage, source)
            for stage in self.stages
            for source in stage.sources
            if source.name == name
        )
        planes = kept - delay + slab // scale
        return planes + planes % 2  # pairs of planes never wrap around

    def flops_per_voxel(self) -> float:
        """Return the work for one voxel, two operations a multiplication."""
        return sum(map(self._flops, self.stages))

    def flops(self, depth: int, slab: int) -> float:
        """Return the work of a stream for one voxel of the section.

        Parameters
        ----------
        depth
            Planes that pass through it.
        slab
            Planes per push. Stages make whole slabs, so they work a little longer.
        """
        return slab * sum(
            _pushes(stage, depth, slab) * self._flops(stage) for stage in self.stages
        )

    def _flops(self, stage: Stage) -> float:
        """Return the work of a stage for one voxel of the image."""
        head = stage.n_out * self.n_classes * bool(stage.head)
        return 2 * (stage.n_weights + head) / stage.scale**3

    def reach(self) -> int:
        """Return how many voxels beyond an aligned block of 16 its labels depend on.

        It is the same along every axis: 94 for stage 1 and for post-concatenation,
        126 for ``fusion="pre"``, where the stages work one after the other.
        """
        needed = {self.stages[-1].name: (0, ALIGNMENT)}
        for stage in reversed(self.stages):
            start, stop = needed[stage.name]
            for source in stage.sources:
                more = _brought(source, (start - MARGIN, stop + MARGIN))
                before = needed.get(source.name, more)
                needed[source.name] = min(before[0], more[0]), max(before[1], more[1])
        start, stop = needed[IMAGE]
        return max(-start, stop - ALIGNMENT)


def band_rows(stage: Stage, slab: int, width: int, band: int) -> int:
    """Return how many rows of its level a stage makes at once.

    Parameters
    ----------
    stage
        Whose channels are counted, but for those that are doubled.
    slab, width
        Planes and voxels along x at full resolution.
    band
        See `napari_meunet.inference.streaming.domain.Domain`.
    """
    planes = slab // stage.scale + OVERLAP
    row = (
        max(stage.n_in - stage.n_doubled, stage.n_out) * planes * (width // stage.scale)
    )
    return max(band // row // 2 * 2 - 2 * MARGIN, 2)  # even: upsampling makes pairs


def _pushes(stage: Stage, depth: int, slab: int) -> int:
    """Return how many pushes a stage makes planes in, see `StageStream.bands`."""
    delay = stage.delay * stage.scale
    first = -(-max(delay - slab, 0) // slab) * slab
    return len(range(first, delay + depth, slab))


def schedule_of(network: NetworkConfig) -> Schedule:
    """Return the schedule of a cascade, see `napari_meunet.network.cascade`."""
    n_classes, refinement = network.n_classes, network.refinement_features
    image = Source(IMAGE, "same", 1)
    if network.fusion == "none":
        return _in_blocks(Schedule(stage1_of(network), n_classes))
    if network.fusion == "pre":
        stage1 = stage1_of(network)
        last = stage1[-1]
        probabilities = Source(last.name, "same", n_classes)
        sources = (image, probabilities)
        delays = {IMAGE: 0, last.name: last.delay}
        stage2 = _unet("stage2", sources, refinement, delays, "conv_out")
        return _in_blocks(Schedule((*stage1, *stage2), n_classes))
    stage1 = _unet("stage1", (image,), network.features, {IMAGE: 0}, "")
    ahead = _unet("stage2", (image,), refinement, {IMAGE: 0}, "")
    # Stage 2 has the shorter way: one channel of image waits rather than features.
    late = Source(IMAGE, "same", 1, lag=stage1[-1].delay - ahead[-1].delay)
    stage2 = _unet("stage2", (late,), refinement, {IMAGE: 0}, "")
    joined = tuple(
        Source(last.name, "same", last.n_out) for last in (stage1[-1], stage2[-1])
    )
    delay = stage1[-1].delay + MARGIN
    fuse = Stage("fuse", 0, joined, network.features[0], delay, "conv_out")
    return _in_blocks(Schedule((*stage1, *stage2, fuse), n_classes))


def _in_blocks(schedule: Schedule) -> Schedule:
    """Return a schedule whose labels wait until they begin with a whole block."""
    *before, last = schedule.stages
    last = replace(last, delay=-(-last.delay // BLOCK) * BLOCK)
    return replace(schedule, stages=(*before, last))


def sparing(schedule: Schedule) -> Schedule:
    """Return a schedule that takes up to a third less memory for a tenth more work.

    The first stage's features at full resolution wait for `stage1.dec1`, which is most
    of what a stream holds. Here they are made a second time when they are needed, from
    the image, which has one channel.
    """
    first = schedule.stages[0]
    place, join = next(
        (place, stage)
        for place, stage in enumerate(schedule.stages)
        if stage.name == "stage1.dec1"
    )
    again = replace(
        first,
        name=first.name + AGAIN,
        sources=(Source(IMAGE, "same", 1, lag=join.delay - first.delay - MARGIN),),
        delay=join.delay - MARGIN,
    )
    skip, deep = join.sources
    join = replace(join, sources=(replace(skip, name=again.name), deep))
    before, after = schedule.stages[:place], schedule.stages[place + 1 :]
    return replace(schedule, stages=(*before, again, join, *after))


def stage1_of(network: NetworkConfig) -> tuple[Stage, ...]:
    """Return the stages of stage 1 with its own head."""
    image = (Source(IMAGE, "same", 1),)
    return _unet("stage1", image, network.features, {IMAGE: 0}, "stage1.conv_out")


def _unet(
    unet: str,
    sources: tuple[Source, ...],
    features: Sequence[int],
    delays: dict[str, int],
    head: str,
) -> tuple[Stage, ...]:
    """Return the stages of a U-net: down the encoder, then up the decoder.

    The decoder stage of a level has the channels of the encoder stage above it.
    """
    delays = dict(delays)
    stages = []

    def add(name: str, level: int, sources: tuple[Source, ...], n_out: int) -> Source:
        ready = max(_arrival(delays[source.name], source) for source in sources)
        name = f"{unet}.{name}"
        delays[name] = ready + MARGIN
        ends = name == f"{unet}.dec1"
        stages.append(
            Stage(name, level, sources, n_out, delays[name], head if ends else "")
        )
        return Source(name, "same", n_out)

    skips = [add("enc1", 0, sources, features[0])]
    for level in range(1, len(features)):
        above = Source(skips[-1].name, "pooled", skips[-1].channels)
        skips.append(add(f"enc{level + 1}", level, (above,), features[level]))
    deep = skips.pop()
    for level, skip in reversed(list(enumerate(skips))):
        beneath = Source(deep.name, "doubled", deep.channels)
        n_out = features[max(level - 1, 0)]
        deep = add(f"dec{level + 1}", level, (skip, beneath), n_out)
    return tuple(stages)


def _arrival(delay: int, source: Source) -> int:
    """Return the delay of a source at the level of the stage that reads it."""
    if source.how == "pooled":
        return -(-delay // 2) + source.lag
    return (2 * delay if source.how == "doubled" else delay) + source.lag


def _planes_back(stage: Stage, source: Source) -> int:
    """Return how far back `stage` reads, at the level of the source."""
    if source.how == "pooled":
        return 2 * stage.delay
    return stage.delay // 2 if source.how == "doubled" else stage.delay


def _brought(source: Source, interval: Interval) -> Interval:
    """Return the voxels of a source behind an interval of the stage that reads it."""
    start, stop = interval
    if source.how == "pooled":
        return 2 * start, 2 * stop
    return (start // 2, -(-stop // 2)) if source.how == "doubled" else interval
