"""The tool that draws a label between the planes in which a person has painted it."""

from collections.abc import Generator, Iterator, Sequence
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


@dataclass(frozen=True, eq=False)
class _Key:
    """A painted plane; all of it ``(rows, columns)``.

    Attributes
    ----------
    seen
        Where the label is.
    painted
        Its islands that a person has painted in.
    mine
        Where a person has set anything.
    """

    seen: Mask
    painted: Mask
    mine: Mask

    def drawn(self, other: "_Key") -> Mask:
        """Return the islands that are drawn on the way to another plane.

        Those that were painted, and those that belong to what was painted there: they
        overlap that, and nothing else of the label.
        """
        theirs = islands_at(self.seen, other.painted)
        theirs &= ~islands_at(self.seen, other.seen & ~other.painted)
        return self.painted | theirs


@dataclass(frozen=True, eq=False)
class _Gap:
    """What there is between two painted planes.

    Attributes
    ----------
    outlines
        Of what is drawn.
    erased
        Where a person has erased the label in both planes, ``(rows, columns)``.
    others
        Where islands are in one of them that are not drawn.
    """

    outlines: Outlines
    erased: Mask
    others: Mask

    @classmethod
    def between(cls, first: _Key, last: _Key, voxel: Sequence[float]) -> "_Gap":
        """Return what there is between two planes, with the size of their voxels."""
        drawn = first.drawn(last), last.drawn(first)
        # else two islands would be joined that have nothing to do with each other
        moves = not (first.seen & last.seen).any()
        return cls(
            outlines=Outlines(*drawn, voxel, moves=moves),
            erased=first.mine & last.mine & ~first.seen & ~last.seen,
            others=(first.seen & ~drawn[0]) | (last.seen & ~drawn[1]),
        )

    def old(self, seen: Mask, mask: Mask) -> Mask:
        """Return what of the label in a plane between gives way to a mask."""
        return (islands_at(seen, mask) & ~self.others) | (seen & self.erased)


@dataclass(frozen=True)
class Interpolate(PlaneTool):
    """Draws the label between the planes that a person has painted.

    A plane counts as painted if a person has set a voxel of it to the label. It does
    not if the label was interpolated there and nobody has painted in it since: that is
    drawn anew. What tools have set on their way through several planes does not
    count.

    Only islands are drawn that a person has painted in one of two planes, with those
    that overlap nothing but these in the other. Other islands stay as they are, in the
    planes between as well, unless they touch what is drawn. What a person has erased in
    both planes is erased between.

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
        for first, last, gap in self._between(canvas, gaps):
            for number in range(first + 1, last):
                plane = self.plane(canvas.box, number)
                before = canvas.read(plane)
                mask = gap.outlines.at((number - first) / (last - first))
                old = gap.old(self.seen(before), mask)
                self.draw(
                    canvas, plane, before, mask, old, drawn_before.get(number, [])
                )
                done += 1
                yield Progress(done, total, "planes", "drawing")

    def _is_wanted(self, first: int, last: int) -> bool:
        return self.around is None or first <= self.around <= last

    def _between(
        self, canvas: Canvas, gaps: list[tuple[int, int]]
    ) -> Iterator[tuple[int, int, _Gap]]:
        """Yield gaps between painted planes, each of which is read once."""
        voxel = [size for i, size in enumerate(canvas.voxel) if i != self.axis]
        by_tools = self._set_by_tools(canvas)
        keys: dict[int, _Key] = {}
        for first, last in gaps:
            keys = {
                number: keys.get(number) or self._key(canvas, number, by_tools)
                for number in (first, last)
            }
            yield first, last, _Gap.between(keys[first], keys[last], voxel)

    def _key(
        self, canvas: Canvas, number: int, by_tools: list[tuple[Box, int]]
    ) -> _Key:
        """Read a painted plane."""
        plane = self.plane(canvas.box, number)
        seen, mine = self.seen(canvas.read(plane)), canvas.corrected(plane)
        here = [item for item in by_tools if intersection(item[0], plane) is not None]
        tools = SetByTools(canvas.journal, here, self.label)
        lines = (planes_of(plane, 0, part) for part in chunks(plane[0], 1))
        by_hand = mine & ~np.concatenate([tools.mask(line) for line in lines])
        painted = islands_at(seen, by_hand.squeeze(self.axis))
        return _Key(seen, painted, mine.squeeze(self.axis))

    def _painted(self, canvas: Canvas) -> Generator[Progress, None, list[int]]:
        """Return the planes in which a person has set the label.

        The labels are read plane by plane along z, as they lie on the disk.
        """
        part, planes = canvas.box[self.axis], canvas.planes
        by_tools = SetByTools(canvas.journal, self._set_by_tools(canvas), self.label)
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

    def _set_by_tools(self, canvas: Canvas) -> list[tuple[Box, int]]:
        """Return the edits of tools that went through several planes.

        What was taken over from somebody else may have been painted.
        """
        places = [
            place
            for stroke in canvas.journal.history.done
            if stroke.tool not in (PAINT, self.name, TakeOver.name)
            and extent(stroke.box)[self.axis] > 1
            for place in stroke.places
        ]
        return list(zip(canvas.journal.boxes(places), places, strict=True))

    def _drew(self, edit: Edit) -> bool:
        """Tell whether an edit has drawn this label in one plane."""
        across = edit.box[self.axis]
        mine = (edit.after == self.label) | (edit.before == self.label)
        return across.stop - across.start == 1 and bool(mine.all())
