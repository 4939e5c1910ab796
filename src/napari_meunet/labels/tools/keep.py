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
        """Take the labels as they are, plane by plane, across whichever axis."""
        parts = [canvas.box] if any(canvas.flat) else canvas.planes
        for done, part in enumerate(parts, start=1):
            canvas.correct(part, ~canvas.corrected(part), canvas.read(part))
            yield Progress(done, len(parts), "planes")
