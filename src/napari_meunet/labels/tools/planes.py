"""Tools that draw a label in a plane as it is in others."""

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import center_of_mass, distance_transform_edt, shift

from napari_meunet.errors import MeUNetError
from napari_meunet.labels.box import Box, extent, intersection, planes_of, within
from napari_meunet.labels.edit import Edit
from napari_meunet.labels.journal.history import PAINT
from napari_meunet.labels.tools.canvas import Canvas
from napari_meunet.labels.tools.pieces import Mask
from napari_meunet.labels.tools.set_by_tools import SetByTools
from napari_meunet.labels.tools.take_over import TakeOver
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
        return planes_of(box, self.axis, slice(place, place + 1))

    def seen(self, canvas: Canvas, plane: Box) -> Mask:
        """Return where the label is in a plane, ``(rows, columns)``."""
        return np.asarray(canvas.read(plane).squeeze(self.axis) == self.label, bool)

    def draw(
        self, canvas: Canvas, number: int, mask: Mask, drawn_before: Sequence[int] = ()
    ) -> None:
        """Let the label be where a mask ``(rows, columns)`` says.

        Parameters
        ----------
        canvas
            What is drawn on.
        number
            Of the plane.
        mask
            Where.
        drawn_before
            Edits of the journal, by their places there, that have drawn this plane
            before: what they set gives way, too.
        """
        plane = self.plane(canvas.box, number)
        before = canvas.read(plane)
        after = np.where(before == self.label, 0, before)
        after[np.expand_dims(mask, self.axis)] = self.label
        stays = canvas.corrected(plane)
        for edit in canvas.journal.edits(drawn_before):
            if (both := intersection(plane, edit.box)) is not None:
                stays[within(plane, both)] &= ~edit.changed[within(edit.box, both)]
        canvas.write(plane, before, np.where(stays, before, after))


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
        self.draw(canvas, target, mask)
        yield Progress(1, 1, "planes")


@dataclass(frozen=True)
class Interpolate(PlaneTool):
    """Draws the label between the planes that a person has painted.

    A plane counts as painted if a person has set a voxel of it to the label. It does
    not if the label was interpolated there and nobody has painted in it since: that is
    drawn anew. What tools have set on their way through several planes does not
    count.
    Signed distances from the outlines of two such planes are interpolated linearly
    [1]_; outlines that do not overlap move along the line between their centres [2]_.

    Attributes
    ----------
    around
        A plane; only those between its neighbours that are painted are drawn. None
        draws all.

    References
    ----------
    .. [1] Raya and Udupa, Shape-based interpolation of multidimensional objects, IEEE
       Transactions on Medical Imaging 9(1), 1990.
    .. [2] Herman, Zheng and Bucholtz, Shape-based interpolation, IEEE Computer Graphics
       and Applications 12(3), 1992.
    """

    around: int | None = None

    name: ClassVar[str] = "interpolate"

    def steps(self, canvas: Canvas) -> Steps:
        """Find the painted planes, and draw between each two.

        Raises
        ------
        MeUNetError
            If there are fewer than two of them.
        """
        drawn_before = self._interpolated(canvas)
        painted = yield from self._painted(canvas)
        keys = [plane for plane in painted if plane not in drawn_before]
        if len(keys) < 2:
            raise MeUNetError(
                f"to interpolate, label {self.label} must be painted in two planes or "
                f"more, got {len(keys)}; paint another one, or choose a larger part"
            )
        gaps = [pair for pair in pairwise(keys) if self._is_wanted(*pair)]
        total = sum(last - first - 1 for first, last in gaps)
        done = 0
        for first, last in gaps:
            for plane, mask in self._between(canvas, first, last):
                self.draw(canvas, plane, mask, drawn_before.get(plane, []))
                done += 1
                yield Progress(done, total, "planes", "drawing")

    def _is_wanted(self, first: int, last: int) -> bool:
        return self.around is None or first <= self.around <= last

    def _painted(self, canvas: Canvas) -> Generator[Progress, None, list[int]]:
        """Return the planes in which a person has set the label.

        The labels are read plane by plane along z, as they lie on the disk.
        """
        part, planes = canvas.box[self.axis], canvas.planes
        by_tools = self._set_by_tools(canvas)
        found = np.zeros(part.stop - part.start, bool)
        others = tuple(axis for axis in range(3) if axis != self.axis)
        for i, here in enumerate(planes):
            if canvas.voxels.corrected.any(here):
                mine = canvas.corrected(here) & (canvas.read(here) == self.label)
                lines = (mine & ~by_tools.mask(here)).any(axis=others)
                found[slice(i, i + 1) if self.axis == 0 else slice(None)] |= lines
            yield Progress(i + 1, len(planes), "planes", "looking for painted ones")
        return [part.start + int(i) for i in np.flatnonzero(found)]

    def _interpolated(self, canvas: Canvas) -> dict[int, list[int]]:
        """Return the planes in which nobody has painted since they were drawn.

        And for each of them the edits, by their places in the journal.
        """
        planes: dict[int, list[int]] = {}
        for stroke in canvas.journal.history.done:
            across = stroke.box[self.axis]
            if stroke.tool == self.name:
                edits = zip(
                    stroke.places, canvas.journal.edits(stroke.places), strict=True
                )
                for place, edit in edits:
                    if self._drew(edit):
                        start = edit.box[self.axis].start
                        planes.setdefault(start, []).append(place)
            elif stroke.tool == PAINT or across.stop - across.start == 1:
                # and not by what went through all planes, to smooth them
                for plane in range(across.start, across.stop):
                    planes.pop(plane, None)
        return planes

    def _set_by_tools(self, canvas: Canvas) -> SetByTools:
        """Look at the strokes of tools that went through several planes.

        What was taken over from somebody else may have been painted.
        """
        strokes = [
            stroke
            for stroke in canvas.journal.history.done
            if stroke.tool not in (PAINT, self.name, TakeOver.name)
            and extent(stroke.box)[self.axis] > 1
        ]
        return SetByTools(canvas.journal, strokes, self.label)

    def _drew(self, edit: Edit) -> bool:
        """Tell whether an edit has drawn this label in one plane."""
        across = edit.box[self.axis]
        mine = (edit.after == self.label) | (edit.before == self.label)
        return across.stop - across.start == 1 and bool(mine.all())

    def _between(
        self, canvas: Canvas, first: int, last: int
    ) -> Iterator[tuple[int, Mask]]:
        """Yield the planes between two, and the outline in each."""
        a, b = (self.seen(canvas, self.plane(canvas.box, i)) for i in (first, last))
        n = last - first
        voxel = [size for i, size in enumerate(canvas.voxel) if i != self.axis]
        path = np.zeros(2)
        if not (a & b).any():
            path = np.subtract(center_of_mass(b), center_of_mass(a))
        inside_a, inside_b = _depth(a, voxel), _depth(b, voxel)
        for i in range(1, n):
            t = i / n
            from_a = (1 - t) * _moved(inside_a, t * path)
            from_b = t * _moved(inside_b, (t - 1) * path)
            yield first + i, np.asarray(from_a + from_b > 0, bool)


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
