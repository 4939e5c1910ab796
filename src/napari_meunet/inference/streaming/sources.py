"""What a convolution sees of what it reads."""

from collections.abc import Callable, Iterable, Mapping, Sequence

import torch
from torch import Tensor

from napari_meunet.config import Shape
from napari_meunet.inference.streaming.ring import Ring
from napari_meunet.inference.streaming.schedule import Source

Reader = Callable[[int, slice, Tensor], None]
"""Fills a tensor ``(1, c, n, rows, x)`` from its first plane and its rows on."""


class Sources:
    """What a convolution sees of what it reads, as one tensor.

    Parameters
    ----------
    sources
        What it reads, in the order of the channels.
    rings
        Where it lies, by name.
    empty
        Makes room for planes of a shape and a type.
    size
        Planes that are seen at once, and rows and voxels along x of the section.
    dtype
        In which they are seen.
    """

    def __init__(
        self,
        sources: Iterable[Source],
        rings: Mapping[str, Ring],
        empty: Callable[[Sequence[int], torch.dtype], Tensor],
        size: Shape,
        dtype: torch.dtype,
    ) -> None:
        self._empty, self._size, self._dtype = empty, size, dtype
        self._readers: list[tuple[Reader, slice]] = []
        self._n_channels = 0
        for source in sources:
            start = self._n_channels
            self._n_channels += source.channels
            channels = slice(start, self._n_channels)
            self._readers.append((_reader(rings[source.name], source), channels))

    def window(self, first: int, rows: slice) -> Tensor:
        """Return planes from `first` on, ``(1, channels, planes, rows, x)``.

        Rows outside the section are zero.
        """
        planes, height, width = self._size
        top, bottom = max(rows.start, 0), min(rows.stop, height)
        shape = 1, self._n_channels, planes, rows.stop - rows.start, width
        window = self._empty(shape, self._dtype)
        clear_outside(window, 3, rows.start, height)
        inside = window[:, :, :, top - rows.start : bottom - rows.start]
        for read, channels in self._readers:
            read(first, slice(top, bottom), inside[:, channels])
        return window


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
