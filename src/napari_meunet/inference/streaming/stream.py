"""A cascade as a filter over planes: planes in, labels out, memory O(section).

`CascadeStream` gives, plane by plane, the labels that the network would give for the
whole volume at once. Every stage writes its planes into a ring, from which other
stages read them as long as they need them; the schedule says how long that is. A stage
works through the section in bands of rows, so that what lies between its two
convolutions stays small. Several cascades may see the same planes; the mean of their
logits then gives the labels.

All shapes are constant from the first push to the last, and planes and rows outside
the volume are zero wherever a convolution reads them: that is the zero padding of
every convolution of the network on the whole volume.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import torch
from torch import Tensor
from torch.nn import functional

from napari_meunet.errors import MeUNetError
from napari_meunet.inference.streaming.folded import FoldedCascade
from napari_meunet.inference.streaming.labelling import (
    Labelled,
    Labelling,
    Likeliest,
)
from napari_meunet.inference.streaming.schedule import (
    IMAGE,
    MARGIN,
    Schedule,
    Source,
    Stage,
    band_rows,
)

Reader = Callable[[int, slice, Tensor], None]
"""Fills a tensor ``(1, c, n, rows, x)`` from its first plane and its rows on."""


@dataclass(frozen=True, slots=True)
class Domain:
    """What a stream passes through.

    Attributes
    ----------
    depth, section
        Planes, and voxels along (y, x), all multiples of 16.
    start
        First plane that is pushed, a multiple of `slab`.
    slab
        Planes per push, a multiple of 16.
    band
        Most voxels times channels that a stage holds of its input or output at once.
    """

    depth: int
    section: tuple[int, int]
    start: int
    slab: int
    band: int


class Ring:
    """The latest planes that a stage has made, by their index in the volume."""

    def __init__(self, buffer: Tensor) -> None:  # 1 c planes y x
        self.buffer = buffer

    def spans(self, first: int, n: int) -> Iterator[tuple[slice, slice]]:
        """Return where planes ``first:first + n`` lie, and which of the n they are."""
        done = 0
        while done < n:
            slot = (first + done) % self.buffer.shape[2]
            here = min(n - done, self.buffer.shape[2] - slot)
            yield slice(slot, slot + here), slice(done, done + here)
            done += here

    def write(self, first: int, rows: slice, planes: Tensor) -> None:
        """Keep `planes`, ``(1, c, n, rows, x)``, which begin at plane `first`."""
        for slots, part in self.spans(first, planes.shape[2]):
            self.buffer[:, :, slots, rows] = planes[:, :, part]

    def read(self, first: int, rows: slice, out: Tensor) -> None:
        """Copy planes and rows into `out`, ``(1, c, n, rows, x)``."""
        for slots, part in self.spans(first, out.shape[2]):
            out[:, :, part] = self.buffer[:, :, slots, rows]

    def read_pooled(self, first: int, rows: slice, out: Tensor) -> None:
        """Fill `out` from the level above, whose pairs of planes never wrap around."""
        wide = slice(2 * rows.start, 2 * rows.stop)
        for slots, part in self.spans(2 * first, 2 * out.shape[2]):
            pooled = _pooled(self.buffer[:, :, slots, wide])
            out[:, :, part.start // 2 : part.stop // 2] = pooled

    def read_doubled(self, first: int, rows: slice, out: Tensor) -> None:
        """Fill `out` from the level beneath; `first` and `rows` are even."""
        narrow = slice(rows.start // 2, rows.stop // 2)
        for slots, part in self.spans(first // 2, out.shape[2] // 2):
            planes = out[:, :, 2 * part.start : 2 * part.stop]
            for z, y, x in product((0, 1), repeat=3):
                planes[:, :, z::2, y::2, x::2] = self.buffer[:, :, slots, narrow]


class StageStream:
    """One stage over a stream of planes, band by band.

    Attributes
    ----------
    bands
        The rows that are made at once, of all rows.
    """

    def __init__(
        self,
        stage: Stage,
        weights: FoldedCascade,
        rings: dict[str, Ring],
        domain: Domain,
    ) -> None:
        scale = stage.scale
        self._first, self._second = weights.stages[stage.module]
        self._readers = [
            (_reader(rings[source.name], source), channels)
            for source, channels in stage.channels()
        ]
        self._weights = weights
        self._n_in = stage.n_in
        self._slab, self._depth = domain.slab // scale, domain.depth // scale
        y, x = domain.section
        self._height, self._width = y // scale, x // scale
        rows = band_rows(stage, domain.slab, x, domain.band)
        starts = range(0, self._height, rows)
        self.bands = [slice(i, min(i + rows, self._height)) for i in starts]

    def features(self, first: int, rows: slice) -> Tensor:
        """Make a band of the planes from `first` on.

        Returns
        -------
        Tensor
            ``(1, n_out, k, rows, x)``; zero where the plane is outside the volume.
        """
        convolved = self._weights.convolved
        window = self._window(first - MARGIN, rows)  # 1 n_in k+4 rows+4 x
        between = convolved(window, self._first)  # 1 n_out k+2 rows+2 x
        clear_outside(between, 2, first - 1, self._depth)
        clear_outside(between, 3, rows.start - 1, self._height)
        features = convolved(between, self._second)  # 1 n_out k rows x
        clear_outside(features, 2, first, self._depth)
        return features

    def _window(self, first: int, rows: slice) -> Tensor:
        top, bottom = rows.start - MARGIN, rows.stop + MARGIN
        shape = (1, self._n_in, self._slab + 2 * MARGIN, bottom - top, self._width)
        window = self._weights.empty(shape)
        clear_outside(window, 3, top, self._height)
        inside = slice(max(top, 0), min(bottom, self._height))
        target = window[:, :, :, inside.start - top : inside.stop - top]
        for read, channels in self._readers:
            read(first, inside, target[:, channels])
        return window


class NetworkStream:
    """The stages of one cascade over a stream of planes.

    Parameters
    ----------
    schedule
        Of the cascade, or of its stage 1 alone.
    weights
        Of the cascade.
    domain
        What the stream passes through.
    image
        Its planes, which several cascades may share.

    Attributes
    ----------
    rings
        What stages read, by name; the image is one of them.
    """

    def __init__(
        self, schedule: Schedule, weights: FoldedCascade, domain: Domain, image: Ring
    ) -> None:
        self._domain, self._schedule, self._heads = domain, schedule, weights.heads
        _, *kept = schedule.kept()
        rings = {each[0]: _ring(schedule, weights, domain, *each) for each in kept}
        self.rings = {IMAGE: image} | rings
        self._streams = [
            StageStream(stage, weights, self.rings, domain) for stage in schedule.stages
        ]

    @property
    def bands(self) -> list[slice]:
        """The rows whose logits are made at once, of all rows."""
        return self._streams[-1].bands

    def advance(self, plane: int) -> None:
        """Make all that the logits need of the planes from `plane` on."""
        stages = zip(self._schedule.stages, self._streams, strict=True)
        for stage, stream in list(stages)[:-1]:
            first = plane // stage.scale - stage.delay
            for rows in stream.bands:
                planes = self._passed_on(stage, stream.features(first, rows), first)
                self.rings[stage.name].write(first, rows, planes)

    def logits(self, first: int, rows: slice) -> Tensor:
        """Return the logits ``(k, rows, x, n_classes)`` of planes from `first` on."""
        features = self._streams[-1].features(first, rows)
        return self._logits(self._schedule.stages[-1], features)[0]

    def _passed_on(self, stage: Stage, features: Tensor, first: int) -> Tensor:
        if not stage.head:
            return features
        probabilities = self._logits(stage, features).softmax(-1).movedim(-1, 1)
        clear_outside(probabilities, 2, first, self._domain.depth)
        return probabilities

    def _logits(self, stage: Stage, features: Tensor) -> Tensor:  # 1 k y x classes
        head = self._heads[stage.head]
        return functional.linear(features.movedim(1, -1), head.weight, head.bias)


class CascadeStream:
    """A cascade, or the mean of several, over a stream of planes.

    Parameters
    ----------
    schedule
        Of the cascades, or of their stage 1 alone.
    weights
        Of the cascades, the mean of whose logits gives the labels.
    domain
        What the stream passes through.
    labelling
        What makes labels from logits; None gives every voxel its likeliest class.

    Attributes
    ----------
    networks
        A stream for each of the cascades.
    """

    def __init__(
        self,
        schedule: Schedule,
        weights: Sequence[FoldedCascade],
        domain: Domain,
        labelling: Labelling | None = None,
    ) -> None:
        self._domain, self._schedule = domain, schedule
        shape = domain.slab, *domain.section
        self._labelling = labelling or Likeliest(shape, weights[0].device)
        self._plane = domain.start
        image, *_ = schedule.kept()
        self._image = _ring(schedule, weights[0], domain, *image)
        self.networks = [
            NetworkStream(schedule, each, domain, self._image) for each in weights
        ]

    @property
    def plane(self) -> int:
        """First plane of the labels that the next push returns.

        It is a multiple of `BLOCK`, and may be negative.
        """
        return self._plane - self.delay

    @property
    def delay(self) -> int:
        """Planes by which the labels trail the planes pushed."""
        return self._schedule.delay + self._labelling.delay

    def push(self, image: Tensor) -> Labelled:
        """Take `k` planes and return the labels of `k` planes further back.

        Parameters
        ----------
        image
            ``(1, 1, k, y, x)``; zero where the volume is padded or has ended.

        Returns
        -------
        Labelled
            Its first plane is the `plane` before the push.

        Raises
        ------
        MeUNetError
            If the network gives values that are not finite.
        """
        self._image.write(self._plane, slice(None), image)
        for network in self.networks:
            network.advance(self._plane)
        first = self._plane - self._schedule.delay
        labelled = self._labelling.labelled(first, self._logit_bands(first))
        self._plane += self._domain.slab
        return labelled

    def _logit_bands(self, first: int) -> Iterator[tuple[slice, Tensor]]:
        """Yield rows, and logits ``(k, rows, x, n_classes)`` of `k` planes of them."""
        total = torch.zeros((), device=self._image.buffer.device)
        for rows in self.networks[0].bands:
            logits = self._mean_logits(first, rows)
            total += logits.sum(dtype=torch.float32)
            yield rows, logits
        if not total.isfinite():
            dtype = self._image.buffer.dtype
            raise MeUNetError(
                f"the network must give finite values, but does not in {dtype}; "
                "choose precision fp32, or another checkpoint if it is fp32 already"
            )

    def _mean_logits(self, first: int, rows: slice) -> Tensor:
        one, *others = self.networks
        logits = one.logits(first, rows)
        if not others:
            return logits
        mean = logits.to(torch.promote_types(logits.dtype, torch.float32))
        for other in others:
            mean += other.logits(first, rows)
        return mean.div_(len(self.networks))


def _ring(
    schedule: Schedule,
    weights: FoldedCascade,
    domain: Domain,
    name: str,
    scale: int,
    channels: int,
) -> Ring:
    """Return room, all zero, for the planes of what a schedule keeps."""
    planes = schedule.ring_planes(name, domain.slab)
    y, x = (n // scale for n in domain.section)
    return Ring(weights.empty((1, channels, planes, y, x)).zero_())


def clear_outside(planes: Tensor, axis: int, first: int, size: int) -> None:
    """Zero what lies outside 0:size along `axis`, where `planes` begin at `first`."""
    n = planes.shape[axis]
    before = min(max(-first, 0), n)
    inside = min(max(size - first, 0), n)
    planes.narrow(axis, 0, before).zero_()
    planes.narrow(axis, inside, n - inside).zero_()


def _reader(ring: Ring, source: Source) -> Reader:
    readers = {
        "same": ring.read,
        "pooled": ring.read_pooled,
        "doubled": ring.read_doubled,
    }
    return readers[source.how]


def _pooled(planes: Tensor) -> Tensor:
    # Faster than max_pool3d on processors, and it keeps channels last everywhere.
    planes = torch.maximum(planes[:, :, ::2], planes[:, :, 1::2])
    planes = torch.maximum(planes[..., ::2, :], planes[..., 1::2, :])
    return torch.maximum(planes[..., ::2], planes[..., 1::2])
