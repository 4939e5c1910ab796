"""The tool that draws a label between the planes in which a person has painted it."""

from collections.abc import Generator
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

import numpy as np

from napari_meunet.errors import MeUNetError
from napari_meunet.labels.box import Box, chunks, extent, intersection, planes_of
from napari_meunet.labels.edit import Edit
from napari_meunet.labels.journal.history import PAINT
from napari_meunet.labels.tools.canvas import Canvas
from napari_meunet.labels.tools.outlines import Outlines, islands_at
from napari_meunet.labels.tools.pieces import Mask
from napari_meunet.labels.tools.planes import PlaneTool
from napari_meunet.labels.tools.set_by_tools import SetByTools
from napari_meunet.labels.tools.take_over import TakeOver
from napari_meunet.progress import Progress, Steps


@dataclass(frozen=True)
class _Gap:
    """What there is between two painted planes.

    Attributes
    ----------
    outlines
        Of what is drawn.
    settled
        Where that is in one of the two planes, ``(rows, columns)``, and where a person
        has erased the label in both.
    others
        Where islands are in one of them in which nobody has painted.
    """

    outlines: Outlines
    settled: Mask
    others: Mask

    def old(self, seen: Mask, mask: Mask) -> Mask:
        """Return what of the label in a plane between gives way to a mask."""
        return islands_at(seen, mask | self.settled) & ~self.others


@dataclass(frozen=True)
class Interpolate(PlaneTool):
    """Draws the label between the planes that a person has painted.

    A plane counts as painted if a person has set a voxel of it to the label. It does
    not if the label was interpolated there and nobody has painted in it since: that is
    drawn anew. What tools have set on their way through several planes does not
    count.

    Islands of the label in which nobody has painted stay as they are, in the planes
    between as well: only those are drawn that a person has painted in one of two
    planes, and those that overlap them in the other. What they have erased in both is
    erased between.

    Attributes
    ----------
    around
        A plane; only those between its neighbours that are painted are drawn. None
        draws all.
    """

    around: int | None = None

    name: ClassVar[str] = "interpolate"

    def steps(self, canvas: Canvas) -> Steps:
        """Find the painted planes, and draw between each two.

        Raises
        ------
        MeUNetError
            If there are fewer than two of them, or none on one side of `around`.
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
        if not gaps:
            raise MeUNetError(
                f"to interpolate around plane {self.around}, label {self.label} must "
                f"be painted on both sides of it, got planes {keys[0]} to {keys[-1]}; "
                "paint another one, or go to a plane between"
            )
        total = sum(last - first - 1 for first, last in gaps)
        done = 0
        for first, last in gaps:
            gap = self._gap(canvas, first, last)
            for plane in range(first + 1, last):
                mask = gap.outlines.at((plane - first) / (last - first))
                old = gap.old(self.seen(canvas, self.plane(canvas.box, plane)), mask)
                self.draw(canvas, plane, mask, old, drawn_before.get(plane, []))
                done += 1
                yield Progress(done, total, "planes", "drawing")

    def _is_wanted(self, first: int, last: int) -> bool:
        return self.around is None or first <= self.around <= last

    def _gap(self, canvas: Canvas, first: int, last: int) -> _Gap:
        planes = [self.plane(canvas.box, number) for number in (first, last)]
        voxel = [size for i, size in enumerate(canvas.voxel) if i != self.axis]
        a, b = (self.seen(canvas, plane) for plane in planes)
        mine_a, mine_b = (canvas.corrected(p).squeeze(self.axis) for p in planes)
        tools_a, tools_b = (self._by_tools(canvas, plane) for plane in planes)
        painted_a = islands_at(a, mine_a & ~tools_a)
        painted_b = islands_at(b, mine_b & ~tools_b)
        drawn_a = painted_a | islands_at(a, painted_b)
        drawn_b = painted_b | islands_at(b, painted_a)
        return _Gap(
            outlines=Outlines(drawn_a, drawn_b, voxel),
            settled=drawn_a | drawn_b | (mine_a & mine_b & ~a & ~b),
            others=(a & ~drawn_a) | (b & ~drawn_b),
        )

    def _by_tools(self, canvas: Canvas, plane: Box) -> Mask:
        """Return what tools have set in a plane on their way, ``(rows, columns)``."""
        by_tools = self._set_by_tools(canvas, plane)
        lines = (planes_of(plane, 0, part) for part in chunks(plane[0], 1))
        found = np.concatenate([by_tools.mask(line) for line in lines])
        return np.asarray(found.squeeze(self.axis), bool)

    def _painted(self, canvas: Canvas) -> Generator[Progress, None, list[int]]:
        """Return the planes in which a person has set the label.

        The labels are read plane by plane along z, as they lie on the disk.
        """
        part, planes = canvas.box[self.axis], canvas.planes
        by_tools = self._set_by_tools(canvas, canvas.box)
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

    def _set_by_tools(self, canvas: Canvas, box: Box) -> SetByTools:
        """Look at the strokes in a box of tools that went through several planes.

        What was taken over from somebody else may have been painted.
        """
        strokes = [
            stroke
            for stroke in canvas.journal.history.done
            if stroke.tool not in (PAINT, self.name, TakeOver.name)
            and extent(stroke.box)[self.axis] > 1
            and intersection(stroke.box, box) is not None
        ]
        return SetByTools(canvas.journal, strokes, self.label)

    def _drew(self, edit: Edit) -> bool:
        """Tell whether an edit has drawn this label in one plane."""
        across = edit.box[self.axis]
        mine = (edit.after == self.label) | (edit.before == self.label)
        return across.stop - across.start == 1 and bool(mine.all())
