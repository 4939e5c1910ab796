"""A tool that takes over what another run of a model says."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from napari_meunet.labels.box import Box, intersection, within
from napari_meunet.labels.tools.canvas import Canvas
from napari_meunet.progress import Progress, Steps


@dataclass(frozen=True, eq=False)
class Adopt:
    """Sets voxels to new labels that a person has looked at.

    Corrected ones stay, and so do places that were reviewed.

    Attributes
    ----------
    box
        Where there are new labels.
    labels
        Those, uint8 ``(z, y, x)``.
    """

    box: Box
    labels: NDArray[np.uint8]

    name: ClassVar[str] = "take over a run"

    def steps(self, canvas: Canvas) -> Steps:
        """Go through the planes."""
        planes = canvas.planes
        for done, plane in enumerate(planes, start=1):
            part = intersection(plane, self.box)
            if part is not None:
                before = canvas.read(part)
                new = self.labels[within(self.box, part)]
                stays = canvas.corrected(part) | canvas.reviewed(part)
                after = np.where(stays, before, new)
                canvas.write(part, before, after)
            yield Progress(done, len(planes), "planes")
