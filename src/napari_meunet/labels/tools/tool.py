"""What a tool is, and how it is used: one stroke of the journal, whatever its size."""

from typing import ClassVar, Protocol

from napari_meunet.labels.tools.canvas import Canvas
from napari_meunet.progress import Steps


class Tool(Protocol):
    """Something that changes labels.

    Attributes
    ----------
    name
        What the history calls it.
    """

    name: ClassVar[str]

    def steps(self, canvas: Canvas) -> Steps:
        """Change the labels of a canvas, part by part.

        Raises
        ------
        MeUNetError
            If that cannot be done; some parts may have changed.
        """
        ...


def apply(tool: Tool, canvas: Canvas) -> Steps:
    """Use a tool, see `napari_meunet.labels.store.LabelStore.use`."""
    with canvas.journal.whole_stroke(tool.name):
        yield from tool.steps(canvas)
