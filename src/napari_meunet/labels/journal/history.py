"""Which strokes were done, and which of them undone."""

from dataclasses import dataclass, field
from datetime import datetime

from napari_meunet.labels.box import Box, hull

PAINT = "paint"
"""The tool of strokes that come from the layer that a person paints on."""

MOST_STROKES = 1000
"""Strokes that can be undone."""


@dataclass(slots=True)
class Stroke:
    """Edits that are undone together: one drag of the brush, one fill, one tool.

    Attributes
    ----------
    number
        Strokes are counted over the life of the journal.
    tool
        What made it, such as ``"paint"``.
    time
        When it began.
    box
        The smallest box around its edits.
    n_voxels
        Voxels that its edits changed; one that changed twice counts twice.
    places
        Where the journal keeps its edits, in their order.
    """

    number: int
    tool: str
    time: datetime
    box: Box
    n_voxels: int = 0
    places: list[int] = field(default_factory=list)


class History:
    """The strokes that can be undone, and those that can be done again.

    Attributes
    ----------
    done
        The last one is undone next.
    undone
        The last one is done again next.
    """

    def __init__(self) -> None:
        self.done: list[Stroke] = []
        self.undone: list[Stroke] = []

    def add(self, stroke: Stroke, place: int, box: Box, n_voxels: int) -> None:
        """Add an edit to a stroke: to the last one if it has the same number."""
        if not self.done or self.done[-1].number != stroke.number:
            self.done.append(stroke)
            del self.done[:-MOST_STROKES]
        last = self.done[-1]
        last.box = hull(last.box, box)
        last.n_voxels += n_voxels
        last.places.append(place)

    def drop(self, number: int) -> list[int]:
        """Forget the last stroke if it has that number; return where its edits are."""
        if not self.done or self.done[-1].number != number:
            return []
        return self.done.pop().places

    def undo(self) -> None:
        """Move the last stroke to those that are undone."""
        self.undone.append(self.done.pop())

    def redo(self) -> None:
        """Move the stroke that was undone last back."""
        self.done.append(self.undone.pop())
