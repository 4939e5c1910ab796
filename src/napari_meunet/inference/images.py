"""Planes of a volume as the network wants to see them."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_meunet.inference.streaming.folded import FoldedCascade
from napari_meunet.inference.tiles import Box, Span
from napari_meunet.volume.volume import Volume

Limits = tuple[float, float] | None
"""Intensities that become 0 and 1; None leaves raw values."""

Voxels = NDArray[np.uint8] | NDArray[np.float32]


@dataclass(frozen=True)
class Images:
    """A volume, read box by box.

    Attributes
    ----------
    volume
        What is segmented.
    limits
        Intensities that become 0 and 1.
    planes
        Those that are looked at, first and behind the last; None if all are. The others
        count as being outside the volume.
    """

    volume: Volume
    limits: Limits
    planes: Span | None = None

    def read(self, box: Box) -> Voxels:
        """Return the voxels of `box` that lie within the volume, as a copy.

        uint8 stays as it is, all else becomes float32: every device knows these.
        """
        z, y, x = (slice(start, stop) for start, stop in self.inside(box))
        if z.start == z.stop:
            return np.empty((0, 0, 0), np.uint8)
        part = self.volume.planes[z, y, x]
        voxels = _copied(part)
        self.volume.give_back()
        return voxels

    def image(self, voxels: Voxels, box: Box, weights: FoldedCascade) -> Tensor:
        """Return what `read` gave for `box` as an image ``(1, 1, z, y, x)``.

        It is scaled, and zero outside the volume.
        """
        shape = 1, 1, *(stop - start for start, stop in box)
        image = weights.empty(shape, weights.image_dtype).zero_()
        if voxels.size:
            part = image[0, 0]
            spans = zip(self.inside(box), box, strict=True)
            for axis, ((start, stop), (first, _)) in enumerate(spans):
                part = part.narrow(axis, start - first, stop - start)
            part.copy_(scaled(torch.from_numpy(voxels).to(weights.device), self.limits))
        return image

    def inside(self, box: Box) -> Box:
        """Return the part of `box` that lies within the volume; may be empty."""
        depth, height, width = self.volume.shape
        spans = self.planes or (0, depth), (0, height), (0, width)
        z, y, x = (
            (max(start, first), max(min(stop, last), start, first))
            for (start, stop), (first, last) in zip(box, spans, strict=True)
        )
        return z, y, x


def _copied(part: NDArray[Any]) -> Voxels:
    if part.dtype == np.uint8:
        return np.array(part)
    return np.array(part, dtype=np.float32)


def scaled(voxels: Tensor, limits: Limits) -> Tensor:
    """Return float32 intensities with `limits` at 0 and 1, clipped, and NaN at 0."""
    values = voxels.to(torch.float32, copy=True)
    if limits is not None:
        low, high = limits
        values.sub_(low).div_(high - low).clamp_(0, 1)
    return values.nan_to_num_(0)
