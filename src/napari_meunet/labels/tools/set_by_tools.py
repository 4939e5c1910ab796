"""Which voxels tools have set on their way through many planes."""

from collections import deque
from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from napari_meunet.labels.box import Box, intersection, within
from napari_meunet.labels.edit import Edit
from napari_meunet.labels.tools.pieces import Mask

if TYPE_CHECKING:
    from napari_meunet.labels.journal.journal import Journal


class SetByTools:
    """Tells, plane by plane, where some edits have set a label.

    What a person had set before, and a tool has changed, is still theirs.

    Edits are unpacked when they are reached, and kept as long as planes go through
    them.

    Parameters
    ----------
    journal
        Holds the edits.
    edits
        Of tools: where, and their places in the journal.
    label
        What they may have set.
    """

    def __init__(
        self, journal: "Journal", edits: Iterable[tuple[Box, int]], label: int
    ) -> None:
        self._journal = journal
        self._label = label
        self._ahead = deque(sorted(edits, key=lambda item: item[0][0].start))
        self._here: list[tuple[Box, Mask]] = []

    def mask(self, plane: Box) -> Mask:
        """Return where the label was set, ``(1, y, x)``; `plane` comes after others."""
        z = plane[0].start
        while self._ahead and self._ahead[0][0][0].start <= z:
            box, place = self._ahead.popleft()
            if box[0].stop > z:
                (edit,) = self._journal.edits([place])
                self._here.append((box, self._set_by(edit)))
        self._here = [item for item in self._here if item[0][0].stop > z]
        found = np.zeros([part.stop - part.start for part in plane], bool)
        for box, mask in self._here:
            both = intersection(plane, box)
            if both is not None:
                found[within(plane, both)] |= mask[within(box, both)]
        return found

    def _set_by(self, edit: Edit) -> Mask:
        mask = np.zeros(edit.changed.shape, bool)
        mask[edit.changed] = (edit.after == self._label) & ~edit.was_corrected
        return mask
