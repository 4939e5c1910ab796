"""Where a tool reads and writes."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_meunet.config import Shape
from napari_meunet.labels.box import (
    Box,
    chunks,
    contains,
    extent,
    mask_box,
    placed,
    planes_of,
)
from napari_meunet.labels.tools.pieces import Faces

if TYPE_CHECKING:
    from napari_meunet.labels.journal.journal import Journal
    from napari_meunet.labels.voxels import Voxels

Size = tuple[float, float, float]
"""Of a voxel along (z, y, x)."""


@dataclass(frozen=True, eq=False)
class Canvas:
    """A box of labels that a tool may change; it may look at what lies around.

    A box that is flat, one voxel along an axis, is a plane: a tool works in it as if
    there were no others.

    Attributes
    ----------
    voxels
        The labels on disk, open for writing.
    journal
        Where edits go.
    box
        What may change.
    voxel
        Micrometres along (z, y, x), or ones if they are not known.
    tool
        Who works on it, as the history calls it.
    """

    voxels: "Voxels"
    journal: "Journal"
    box: Box
    voxel: Size
    tool: str

    @property
    def shape(self) -> Shape:
        """Voxels of the volume along (z, y, x)."""
        z, y, x = self.voxels.labels.shape
        return z, y, x

    @property
    def planes(self) -> list[Box]:
        """The planes of the box, along z, as they follow each other on the disk."""
        return [planes_of(self.box, 0, plane) for plane in chunks(self.box[0], 1)]

    @property
    def faces(self) -> Faces:
        """Which faces of the box look at voxels beside it, for each of (z, y, x)."""
        parts = zip(self.box, self.shape, strict=True)
        z, y, x = ((part.start > 0, part.stop < n) for part, n in parts)
        return z, y, x

    @property
    def flat(self) -> tuple[bool, bool, bool]:
        """Along which of the axes (z, y, x) the box is one voxel."""
        z, y, x = (n == 1 for n in extent(self.box))
        return z, y, x

    @property
    def sampling(self) -> Size:
        """Size of a voxel; endless where the box is flat: a plane has no neighbours."""
        sizes = zip(self.voxel, self.flat, strict=True)
        z, y, x = (np.inf if flat else size for size, flat in sizes)
        return z, y, x

    def read(self, box: Box) -> NDArray[np.uint8]:
        """Return a copy of labels, from anywhere in the volume."""
        return np.array(self.voxels.labels[box])

    def corrected(self, box: Box) -> NDArray[np.bool]:
        """Return which voxels a person has set, anywhere in the volume."""
        return self.voxels.corrected.read(box)

    def reviewed(self, box: Box) -> NDArray[np.bool]:
        """Return which voxels lie in places that a person has found right."""
        return self.voxels.reviewed.read(box)

    def write(
        self, box: Box, before: NDArray[np.uint8], after: NDArray[np.uint8]
    ) -> None:
        """Write labels where they differ from those that were read.

        What the model has written there since then stays elsewhere.

        Raises
        ------
        MeUNetError
            If the disk is full.
        ValueError
            If the box does not lie within that of the canvas.
        """
        self.correct(box, np.asarray(before != after), after)

    def correct(
        self, box: Box, changed: NDArray[np.bool], after: NDArray[np.uint8]
    ) -> None:
        """Set the labels of some voxels; they become corrected, differ they or not.

        Raises
        ------
        MeUNetError
            If the disk is full.
        ValueError
            If the box does not lie within that of the canvas.
        """
        if not contains(self.box, box):
            raise ValueError(f"a tool may write in {self.box}, got {box}")
        if not changed.any():
            return
        part = mask_box(changed)
        place = placed(box, part)
        self.voxels.require_room_in(place)
        with self.voxels.lock:
            edit = self.voxels.edit(place, changed[part], after[part])
            self.journal.record(edit, self.tool)
