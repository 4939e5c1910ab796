"""A tool that takes over what somebody else has corrected."""

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from napari_meunet.config import Shape
from napari_meunet.labels.box import Box
from napari_meunet.labels.reviewed import PLACE_EDGE
from napari_meunet.labels.tools.canvas import Canvas
from napari_meunet.progress import Progress, Steps

if TYPE_CHECKING:
    from napari_meunet.labels.corrected import Corrected
    from napari_meunet.labels.tiff import LabelMap


@dataclass(frozen=True, eq=False)
class TakeOver:
    """Sets the voxels that another person has set, unless both did, and differently.

    Attributes
    ----------
    labels, corrected
        Of the other person: the labels, and which voxels count.
    theirs_win
        Whether theirs count where both have set a voxel.
    conflicts
        After it was used: voxels that both have set to different labels, counted by
        places of `PLACE_EDGE` voxels along (z, y, x).
    """

    labels: "LabelMap"
    corrected: "Corrected"
    theirs_win: bool = False
    conflicts: Counter[Shape] = field(default_factory=Counter)

    name: ClassVar[str] = "take over"

    def steps(self, canvas: Canvas) -> Steps:
        """Go through the planes."""
        planes = canvas.planes
        for done, plane in enumerate(planes, start=1):
            if self.corrected.any(plane):
                self._plane(canvas, plane)
            yield Progress(done, len(planes), "planes")

    def _plane(self, canvas: Canvas, plane: Box) -> None:
        theirs, mine = self.corrected.read(plane), canvas.corrected(plane)
        after = np.asarray(self.labels[plane])
        differs = after != canvas.read(plane)
        disputed = theirs & mine & differs
        self._count(plane, disputed)
        taken = theirs & (differs | ~mine)
        canvas.correct(plane, taken if self.theirs_win else taken & ~disputed, after)

    def _count(self, plane: Box, disputed: NDArray[np.bool]) -> None:
        starts = [part.start for part in plane]
        places = (np.argwhere(disputed) + starts) // PLACE_EDGE
        found, counts = np.unique(places, axis=0, return_counts=True)
        for (z, y, x), n in zip(found.tolist(), counts.tolist(), strict=True):
            self.conflicts[z, y, x] += n
