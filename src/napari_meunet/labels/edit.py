"""Edits: what a person did, as deltas that can be undone."""

from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_meunet.config import Shape
from napari_meunet.labels.box import Box, box_at, intersection, within

RECENT_BYTES, MOST_RECENT = 2**28, 1000
"""Memory for edits that can be recognised when they are undone, and their number:
napari undoes a hundred."""


@dataclass(frozen=True, slots=True, eq=False)
class Edit:
    """One undoable change of labels.

    Attributes
    ----------
    start
        First voxel of the box that was written, along (z, y, x).
    changed
        Mask ``(z, y, x)`` of that box: the `n` voxels that the person changed.
    before, after
        Their labels, uint8 ``(n,)``, in the order of ``box[changed]``.
    corrected
        Whether they were corrected voxels already, bool ``(n,)``.
    beneath
        Labels that an undo restores, uint8 ``(n,)``: those before, or what the model
        has said since of voxels that were not corrected.
    """

    start: Shape
    changed: NDArray[np.bool]
    before: NDArray[np.uint8]
    after: NDArray[np.uint8]
    corrected: NDArray[np.bool]
    beneath: NDArray[np.uint8]

    @property
    def box(self) -> Box:
        """Where the person wrote."""
        return box_at(self.start, self.changed.shape)

    @property
    def n_bytes(self) -> int:
        """Memory that the edit takes."""
        labels = (self.before, self.after, self.beneath)
        return sum(part.nbytes for part in (self.changed, self.corrected, *labels))

    def undoes(self, other: "Edit") -> bool:
        """Tell whether this edit takes the other one back, voxel for voxel."""
        return (
            self.start == other.start
            and np.array_equal(self.changed, other.changed)
            and np.array_equal(self.before, other.after)
            and np.array_equal(self.after, other.before)
        )

    def changes(self, box: Box) -> bool:
        """Tell whether a voxel of the box is among those that were changed."""
        both = intersection(self.box, box)
        return both is not None and bool(self.changed[within(self.box, both)].any())

    def note_model(self, box: Box, labels: NDArray[np.uint8]) -> None:
        """Keep for an undo what the model says of a box, ``labels`` there."""
        mine = self.box
        both = intersection(mine, box)
        if both is None:
            return
        restored = np.zeros(self.changed.shape, np.uint8)
        restored[self.changed] = self.beneath
        restored[within(mine, both)] = labels[within(box, both)]
        np.copyto(self.beneath, restored[self.changed], where=~self.corrected)


class RecentEdits:
    """The last edits that have not been undone, within the limits of `RECENT_BYTES`."""

    def __init__(self) -> None:
        self._edits: deque[Edit] = deque()
        self._n_bytes = 0

    def add(self, edit: Edit) -> None:
        """Remember an edit."""
        self._edits.append(edit)
        self._n_bytes += edit.n_bytes
        while self._n_bytes > RECENT_BYTES or len(self._edits) > MOST_RECENT:
            self._n_bytes -= self._edits.popleft().n_bytes

    def forget(self, box: Box) -> None:
        """Forget the edits that changed a voxel of a box."""
        kept = [edit for edit in self._edits if not edit.changes(box)]
        self._edits = deque(kept)
        self._n_bytes = sum(edit.n_bytes for edit in kept)

    def note_model(self, box: Box, labels: NDArray[np.uint8]) -> None:
        """Keep for undos what the model says of a box, ``labels`` there."""
        for edit in self._edits:
            edit.note_model(box, labels)

    def take_undone_by(self, edit: Edit) -> Edit | None:
        """Forget and return the last edit if `edit` takes it back."""
        if not self._edits or not edit.undoes(self._edits[-1]):
            return None
        undone = self._edits.pop()
        self._n_bytes -= undone.n_bytes
        return undone
