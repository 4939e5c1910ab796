"""Tools that change the surface of a label: grow, shrink, open, close, smooth."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy.ndimage import distance_transform_edt, gaussian_filter

from napari_meunet.config import Shape
from napari_meunet.errors import MeUNetError
from napari_meunet.labels.tools.canvas import Canvas, Size
from napari_meunet.labels.tools.pieces import Mask
from napari_meunet.labels.tools.windows import Window, windows
from napari_meunet.progress import Progress, Steps

GREATEST_REACH = 32
"""Voxels; what is larger takes too much memory, and is no matter of surfaces."""

ROUNDING = 1e-6
"""Two voxels of 2.95 um are 5.9 um apart, whatever the last digit says."""

N_PLANES = 32
"""That are worked on at once."""


@dataclass(frozen=True)
class SurfaceTool(ABC):
    """Moves the surface of one label; what is gained was background before.

    Beyond the ends of the volume the label is taken to go on, so that nothing moves
    away from there.

    Attributes
    ----------
    label
        Whose surface.
    by
        How far, in the unit of the canvas's voxels, micrometres as a rule.
    """

    label: int
    by: float

    name: ClassVar[str]
    reach: ClassVar[float]
    """How far away voxels matter, in multiples of `by`."""

    @abstractmethod
    def changed(self, mask: Mask, voxel: Size) -> Mask:
        """Return the label's new voxels ``(z, y, x)``.

        Parameters
        ----------
        mask
            The old ones, with those around that matter.
        voxel
            Its size along (z, y, x); infinite along an axis where there is but one.
        """

    def steps(self, canvas: Canvas) -> Steps:
        """Change the surface part by part; the result is that of the whole volume.

        Raises
        ------
        MeUNetError
            If `by` is less than a voxel, or more than `GREATEST_REACH`.
        """
        voxel = canvas.sampling
        self._require_possible(voxel)
        reach = _voxels(self.by * self.reach, voxel)
        n_planes = canvas.box[0].stop - canvas.box[0].start
        for slab in windows(canvas, reach, N_PLANES):
            for window in slab:
                self._work_on(window, canvas, voxel)
                done = window.box[0].stop - canvas.box[0].start
                yield Progress(done, n_planes, "planes")

    def _work_on(self, window: Window, canvas: Canvas, voxel: Size) -> None:
        mask = window.labels == self.label
        if mask.all() or not mask.any():
            return  # no surface within reach
        wanted = self.changed(mask, voxel)[window.inside]
        before = window.labels[window.inside]
        after = before.copy()
        after[wanted & (before == 0)] = self.label
        after[~wanted & (before == self.label)] = 0
        canvas.write(window.box, before, after)

    def _require_possible(self, voxel: Size) -> None:
        finest = min(voxel)
        most = GREATEST_REACH * finest / self.reach
        if not finest * (1 - ROUNDING) <= self.by <= most * (1 + ROUNDING):
            raise MeUNetError(
                f"to {self.name}, a distance between one voxel ({finest:g}) and "
                f"{most:g} must be given, got {self.by:g}; choose another distance"
            )


@dataclass(frozen=True)
class Grow(SurfaceTool):
    """Adds the background within a distance of the label."""

    name = "grow"
    reach = 1.0

    def changed(self, mask: Mask, voxel: Size) -> Mask:
        """Return the label and what is near to it."""
        return _near(mask, voxel, self.by)


@dataclass(frozen=True)
class Shrink(SurfaceTool):
    """Takes away what lies within a distance of other labels."""

    name = "shrink"
    reach = 1.0

    def changed(self, mask: Mask, voxel: Size) -> Mask:
        """Return what of the label is deep inside."""
        return _shrunk(mask, voxel, self.by)


@dataclass(frozen=True)
class Open(SurfaceTool):
    """Takes away what is thinner than twice a distance: bridges and spikes."""

    name = "open"
    reach = 2.0

    def changed(self, mask: Mask, voxel: Size) -> Mask:
        """Return what is left of the label after shrinking and growing."""
        return _near(_shrunk(mask, voxel, self.by), voxel, self.by)


@dataclass(frozen=True)
class Close(SurfaceTool):
    """Adds the background in gaps that are narrower than twice a distance."""

    name = "close"
    reach = 2.0

    def changed(self, mask: Mask, voxel: Size) -> Mask:
        """Return what becomes of the label after growing and shrinking."""
        return _shrunk(_near(mask, voxel, self.by), voxel, self.by)


@dataclass(frozen=True)
class Smooth(SurfaceTool):
    """Averages the label with a Gaussian, of which `by` is the standard deviation."""

    name = "smooth"
    reach = 3.0

    def changed(self, mask: Mask, voxel: Size) -> Mask:
        """Return where the average is more than a half."""
        sigmas = [self.by / size for size in voxel]
        reach = _voxels(self.by * self.reach, voxel)
        means = gaussian_filter(
            mask.astype(np.float32), sigmas, radius=reach, mode="nearest"
        )
        return np.asarray(means > 0.5, bool)


def _shrunk(mask: Mask, voxel: Size, by: float) -> Mask:
    return ~_near(~mask, voxel, by)


def _near(mask: Mask, voxel: Size, by: float) -> Mask:
    """Return which voxels are in the mask, or as near to it as `by`."""
    if not mask.any():
        return mask
    sampling = [size if np.isfinite(size) else 1.0 for size in voxel]
    distances = distance_transform_edt(~mask, sampling=sampling)
    return np.asarray(distances <= by * (1 + ROUNDING), bool)


def _voxels(distance: float, voxel: Size) -> Shape:
    """Return a distance in voxels along (z, y, x), rounded up."""
    z, y, x = (int(np.ceil(distance / size)) for size in voxel)
    return z, y, x
