"""A tool that gives a label another value."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from napari_meunet.labels.tools.canvas import Canvas
from napari_meunet.progress import Progress, Steps


@dataclass(frozen=True)
class Merge:
    """Turns one label into another.

    Attributes
    ----------
    label
        What it was.
    into
        What it becomes; 0 removes it.
    """

    label: int
    into: int

    name: ClassVar[str] = "merge"

    def steps(self, canvas: Canvas) -> Steps:
        """Change the labels plane by plane."""
        planes = canvas.planes
        for done, plane in enumerate(planes, start=1):
            before = canvas.read(plane)
            after = np.where(before == self.label, np.uint8(self.into), before)
            canvas.write(plane, before, after)
            yield Progress(done, len(planes), "planes")
