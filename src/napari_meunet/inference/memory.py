"""The memory that a run takes, from the buffers that it will hold.

It follows the streams of `napari_meunet.inference.streaming` and the executors.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from napari_meunet.config import Shape
from napari_meunet.inference.pipeline import READ_AHEAD, WRITE_BEHIND
from napari_meunet.inference.streaming.schedule import (
    BLOCK,
    MARGIN,
    OVERLAP,
    Schedule,
    Stage,
    band_rows,
)
from napari_meunet.inference.tiles import PAPER_WINDOW, Column, Grid

Section = tuple[int, int]

CONFIDENCE = 4 / 32 + 4 / 64
"""Bytes of a voxel: float32 for half a block of 4 x 4 x 4 voxels, and for a block."""

ANSWER = 3 * 1 + 3 * 4
"""Bytes of a voxel in a band: its label, whether another class is likelier and which;
its greatest logit, the distance of another one, and a sum, in float32."""


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes on the host and on the device, beside the program itself."""

    host: int
    device: int


@dataclass(frozen=True, slots=True)
class Push:
    """What goes through a stream at once.

    Attributes
    ----------
    slab, band
        See `napari_meunet.inference.streaming.domain.Domain`.
    itemsize, image_itemsize
        Bytes of a number on the device, and of one of the image.
    transposes
        See `napari_meunet.inference.streaming.folded.FoldedCascade`.
    n_networks
        Cascades that see it, whose mean gives the labels.
    """

    slab: int
    band: int
    itemsize: int
    image_itemsize: int
    transposes: bool
    n_networks: int = 1


def exact_memory(
    schedule: Schedule,
    columns: Sequence[Column],
    push: Push,
    dtype: np.dtype[Any],
    grid: Grid,
) -> Memory:
    """Return what the exact preset takes: the widest column and slabs in the pipeline.

    Parameters
    ----------
    schedule
        Of the cascade.
    columns
        Done one after the other.
    push
        What goes through the stream at once.
    dtype
        Of the volume.
    grid
        The scan that is labelled.
    """
    section = max((column.section for column in columns), key=np.prod)
    slab = push.slab * section[0] * section[1]
    # where air is left out, more is labelled than is read
    core = push.slab * max(prod(b - a for a, b in column.core) for column in columns)
    core *= prod(grid.factors[1:])
    slabs = slab * read_itemsize(dtype) * (READ_AHEAD + 2) + core * (WRITE_BEHIND + 2)
    device = stream_bytes(schedule, section, push) + image_bytes(slab, push)
    if grid.is_reduced:
        device += enlarging_bytes(schedule.n_classes, section, push.slab, grid.factors)
    return Memory(slabs, device)


def paper_memory(
    schedule: Schedule, shape: Shape, push: Push, dtype: np.dtype[Any]
) -> Memory:
    """Return what the paper's preset takes: one window, and votes for a row of them.

    Parameters
    ----------
    schedule
        Of stage 1.
    shape
        Of the volume.
    push
        What goes through the stream at once.
    dtype
        Of the volume.
    """
    window = PAPER_WINDOW, PAPER_WINDOW
    row = PAPER_WINDOW * shape[1] * shape[2]
    host = row * (schedule.n_classes + read_itemsize(dtype) + 1) + PAPER_WINDOW**3
    slab = push.slab * PAPER_WINDOW**2
    return Memory(host, stream_bytes(schedule, window, push) + image_bytes(slab, push))


def read_itemsize(dtype: np.dtype[Any]) -> int:
    """Return the bytes of a voxel as `Images.read` gives it."""
    return 1 if dtype == np.uint8 else 4


def image_bytes(voxels: int, push: Push) -> int:
    """Return what scaling takes: voxels as read, scaled in float32, and the image."""
    return voxels * (2 * 4 + push.image_itemsize)


def stream_bytes(schedule: Schedule, section: Section, push: Push) -> int:
    """Return what a `CascadeStream` takes: weights, what it keeps, a band, labels.

    Parameters
    ----------
    schedule
        Of the cascade.
    section
        Voxels along (y, x), multiples of 16.
    push
        What goes through it at once.
    """
    y, x = section
    weights = sum(_weight_bytes(stage, push) for stage in schedule.stages)
    bands = (
        _band_bytes(stage, section, push, schedule.n_classes)
        for stage in schedule.stages
    )
    given = push.slab * y * x * (1 + CONFIDENCE)
    kept = kept_bytes(schedule, section, push)
    return kept + push.n_networks * weights + max(bands) + round(given)


def kept_bytes(schedule: Schedule, section: Section, push: Push) -> int:
    """Return what a `CascadeStream` keeps from push to push, see `stream_bytes`."""
    y, x = section
    image, *rings = (
        schedule.ring_planes(name, push.slab) * channels * (y // scale) * (x // scale)
        for name, scale, channels in schedule.kept()
    )
    again = (_kept_numbers(stage, section, push) for stage in schedule.stages)
    features = push.n_networks * (sum(rings) + sum(again))
    return image * push.image_itemsize + features * push.itemsize


def enlarging_bytes(n_classes: int, section: Section, slab: int, factors: Shape) -> int:
    """Return what an `Enlarging` takes beside the stream.

    Parameters
    ----------
    n_classes
        With the background.
    section
        Large voxels along (y, x).
    slab
        Planes of them.
    factors
        Voxels of the scan in a large one.
    """
    y, x = section
    plane, larger = y * x, y * x * factors[1] * factors[2]
    numbers = 4 * (n_classes + 1)
    known = numbers * plane * (slab + 2 * BLOCK + 2)  # and those that wait, twice
    band = 2 * numbers * plane * slab  # probabilities of a band, at most of all
    given = slab * factors[0] * larger * (1 + CONFIDENCE)
    made = numbers * (larger + 4 * plane) + larger * (4 + 1 + 1 + 1)
    return round(known + max(band, given + made))


def _weight_bytes(stage: Stage, push: Push) -> int:
    """Return what the weights of a stage take at most, but for heads and biases."""
    numbers = stage.n_weights
    if push.transposes:  # 64 for 27
        numbers += 37 * stage.n_doubled * stage.n_out
    return numbers * (push.image_itemsize if stage.sees_image else push.itemsize)


def _kept_numbers(stage: Stage, section: Section, push: Push) -> int:
    """Return what a stage keeps between its convolutions: last planes, last rows."""
    height, width = (n // stage.scale for n in section)
    rows = height + OVERLAP + push.slab // stage.scale
    return OVERLAP * rows * width * stage.n_out


def _band_bytes(stage: Stage, section: Section, push: Push, n_classes: int) -> int:
    """Return the bytes that are held while a stage makes one band."""
    height, width = (n // stage.scale for n in section)
    rows = min(band_rows(stage, push.slab, section[1], push.band), height)
    planes = push.slab // stage.scale
    n_in = stage.n_in
    if push.transposes:  # one is seen of 8 voxels that are doubled
        n_in -= stage.n_doubled * 7 // 8
    window = (planes + OVERLAP) * (rows + 2 * MARGIN) * width * n_in
    new = planes * (rows + OVERLAP) * width * stage.n_out
    between = (planes + OVERLAP) * (rows + OVERLAP) * width * stage.n_out
    itemsize = push.itemsize
    seen = push.image_itemsize if stage.sees_image else itemsize
    made = new * seen + max(window * seen, between * itemsize)
    if any(source.how == "pooled" for source in stage.sources):
        # pooling halves z, y and x in turn: 4 and 2 windows, before there is more
        made = max(made, 7 * window * itemsize)
    if not stage.head:
        return made
    voxels = planes * rows * width
    logits = 4 * n_classes
    mean = logits if push.n_networks > 1 else 0
    # the logits of the band before, and their maximum, until there are others
    waiting = logits + 4 + mean
    asked = (stage.n_out + n_classes) * itemsize + logits + waiting
    return max(made + voxels * waiting, voxels * max(asked, logits + mean + ANSWER))
