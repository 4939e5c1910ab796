"""Tools that draw a label in a plane as it is in others."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import center_of_mass, distance_transform_edt, shift

from napari_meunet.errors import MeUNetError
from napari_meunet.labels.box import Box
from napari_meunet.labels.tools.canvas import Canvas
from napari_meunet.labels.tools.pieces import Mask
from napari_meunet.progress import Progress, Steps


@dataclass(frozen=True)
class PlaneTool:
    """Draws a label in planes.

    What a person has set there stays. The model's labels give way to what is drawn,
    and those of the same label go where it is not drawn.

    Attributes
    ----------
    label
        What is drawn.
    axis
        Along which the planes follow each other: 0, 1 or 2 for z, y or x.
    """

    label: int
    axis: int

    def plane(self, box: Box, place: int) -> Box:
        """Return one plane of a box."""
        parts = list(box)
        parts[self.axis] = slice(place, place + 1)
        z, y, x = parts
        return z, y, x

    def seen(self, canvas: Canvas, plane: Box) -> Mask:
        """Return where the label is in a plane, ``(rows, columns)``."""
        return np.asarray(canvas.read(plane).squeeze(self.axis) == self.label, bool)

    def draw(self, canvas: Canvas, plane: Box, mask: Mask) -> None:
        """Let the label be where a mask ``(rows, columns)`` says."""
        before = canvas.read(plane)
        after = np.where(before == self.label, 0, before)
        after[np.expand_dims(mask, self.axis)] = self.label
        mine = canvas.corrected(plane)
        canvas.write(plane, before, np.where(mine, before, after))


@dataclass(frozen=True)
class CopyPlane(PlaneTool):
    """Draws the label as it is in a plane beside it.

    Attributes
    ----------
    step
        From that plane to the one that is drawn: 1 or -1.
    """

    step: int

    name: ClassVar[str] = "copy"

    def steps(self, canvas: Canvas) -> Steps:
        """Draw one plane.

        Raises
        ------
        MeUNetError
            If there is no plane to copy from, or no label in it.
        """
        target = canvas.box[self.axis].start
        source = target - self.step
        if not 0 <= source < canvas.shape[self.axis]:
            raise MeUNetError(
                f"the plane to copy from must lie in the volume, got {source} of "
                f"{canvas.shape[self.axis]}; go to another plane"
            )
        mask = self.seen(canvas, self.plane(canvas.box, source))
        if not mask.any():
            raise MeUNetError(
                f"plane {source} must have label {self.label}, got none of it there; "
                "choose another label or plane"
            )
        self.draw(canvas, self.plane(canvas.box, target), mask)
        yield Progress(1, 1, "planes")


@dataclass(frozen=True)
class Interpolate(PlaneTool):
    """Draws the label between the planes that a person has painted.

    A plane counts as painted if a person has set a voxel of it to the label.
    Signed distances from the outlines of two such planes are interpolated linearly
    [1]_; outlines that do not overlap move along the line between their centres [2]_.

    References
    ----------
    .. [1] Raya and Udupa, Shape-based interpolation of multidimensional objects, IEEE
       Transactions on Medical Imaging 9(1), 1990.
    .. [2] Herman, Zheng and Bucholtz, Shape-based interpolation, IEEE Computer Graphics
       and Applications 12(3), 1992.
    """

    name: ClassVar[str] = "interpolate"

    def steps(self, canvas: Canvas) -> Steps:
        """Find the painted planes, and draw between each two.

        Raises
        ------
        MeUNetError
            If there are fewer than two of them.
        """
        part = canvas.box[self.axis]
        planes = [self.plane(canvas.box, i) for i in range(part.start, part.stop)]
        total = 2 * len(planes)
        painted = []
        for i, plane in enumerate(planes):
            if self._is_painted(canvas, plane):
                painted.append(i)
            yield Progress(i + 1, total, "planes", "looking for painted ones")
        if len(painted) < 2:
            raise MeUNetError(
                f"to interpolate, label {self.label} must be painted in two planes or "
                f"more, got {len(painted)}; paint another one, or choose a larger part"
            )
        for first, last in pairwise(painted):
            masks = self._between(canvas, planes[first], planes[last], last - first)
            for i, mask in enumerate(masks, start=first + 1):
                self.draw(canvas, planes[i], mask)
                yield Progress(len(planes) + i + 1, total, "planes", "drawing")

    def _is_painted(self, canvas: Canvas, plane: Box) -> bool:
        mine = canvas.corrected(plane).squeeze(self.axis)
        return bool(mine.any() and self.seen(canvas, plane)[mine].any())

    def _between(self, canvas: Canvas, first: Box, last: Box, n: int) -> Iterator[Mask]:
        """Yield the outlines in the n - 1 planes between two."""
        a, b = self.seen(canvas, first), self.seen(canvas, last)
        voxel = [size for i, size in enumerate(canvas.voxel) if i != self.axis]
        path = np.zeros(2)
        if not (a & b).any():
            path = np.subtract(center_of_mass(b), center_of_mass(a))
        inside_a, inside_b = _depth(a, voxel), _depth(b, voxel)
        for i in range(1, n):
            t = i / n
            from_a, from_b = (
                _moved(inside_a, t * path),
                _moved(inside_b, (t - 1) * path),
            )
            yield np.asarray((1 - t) * from_a + t * from_b > 0, bool)


def _depth(mask: Mask, voxel: list[float]) -> NDArray[np.float64]:
    """Return how deep in a mask the middles of voxels are, negative outside."""
    if mask.all():  # there is no outline
        return np.full(mask.shape, np.dot(mask.shape, voxel))
    inside = distance_transform_edt(mask, sampling=voxel)
    outside = distance_transform_edt(~mask, sampling=voxel)
    return np.asarray(inside - outside, float)


def _moved(depth: NDArray[np.float64], by: NDArray[np.float64]) -> NDArray[np.float64]:
    if not by.any():
        return depth
    return np.asarray(shift(depth, by, order=1, mode="nearest"), float)
