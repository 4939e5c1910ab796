"""Edits: what a person did, as deltas that can be undone."""

from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_meunet.config import Shape


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
    """

    start: Shape
    changed: NDArray[np.bool]
    before: NDArray[np.uint8]
    after: NDArray[np.uint8]
    corrected: NDArray[np.bool]

    @property
    def n_bytes(self) -> int:
        """Memory that the edit takes."""
        parts = (self.changed, self.before, self.after, self.corrected)
        return sum(part.nbytes for part in parts)

    def undoes(self, other: "Edit") -> bool:
        """Tell whether this edit takes the other one back, voxel for voxel."""
        return (
            self.start == other.start
            and np.array_equal(self.changed, other.changed)
            and np.array_equal(self.before, other.after)
            and np.array_equal(self.after, other.before)
        )


class RecentEdits:
    """The last edits that have not been undone, within a limit of memory.

    Parameters
    ----------
    limit
        Bytes; the oldest edits are forgotten to stay within.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._edits: deque[Edit] = deque()
        self._n_bytes = 0

    def add(self, edit: Edit) -> None:
        """Remember an edit."""
        self._edits.append(edit)
        self._n_bytes += edit.n_bytes
        while self._n_bytes > self._limit:
            self._n_bytes -= self._edits.popleft().n_bytes

    def take_undone_by(self, edit: Edit) -> Edit | None:
        """Forget and return the last edit if `edit` takes it back."""
        if not self._edits or not edit.undoes(self._edits[-1]):
            return None
        undone = self._edits.pop()
        self._n_bytes -= undone.n_bytes
        return undone
