"""The latest planes of what stages make and read."""

from collections.abc import Iterator
from itertools import product

import torch
from torch import Tensor


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

    def clear(self, first: int, n: int) -> None:
        """Let `n` planes from `first` on be zero."""
        for slots, _ in self.spans(first, n):
            self.buffer[:, :, slots].zero_()

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


def _pooled(planes: Tensor) -> Tensor:
    # Faster than max_pool3d on processors, and it keeps channels last everywhere.
    planes = torch.maximum(planes[:, :, ::2], planes[:, :, 1::2])
    planes = torch.maximum(planes[..., ::2, :], planes[..., 1::2, :])
    return torch.maximum(planes[..., ::2], planes[..., 1::2])
