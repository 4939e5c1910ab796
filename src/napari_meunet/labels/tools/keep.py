"""A tool that makes labels a person's as they are."""

from dataclasses import dataclass
from typing import ClassVar

from napari_meunet.labels.tools.canvas import Canvas
from napari_meunet.progress import Progress, Steps


@dataclass(frozen=True)
class Keep:
    """Lets labels count as a person's, whoever has set them.

    No run changes them then, and a model learns from them.
    """

    name: ClassVar[str] = "keep"

    def steps(self, canvas: Canvas) -> Steps:
        """Take the labels as they are, plane by plane."""
        planes = canvas.planes
        for done, plane in enumerate(planes, start=1):
            canvas.correct(plane, ~canvas.corrected(plane), canvas.read(plane))
            yield Progress(done, len(planes), "planes")
