"""What a tool is, and how it is used: one stroke of the journal, whatever its size."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, ClassVar, Protocol

from napari_meunet.labels.tools.canvas import Canvas
from napari_meunet.progress import Steps

if TYPE_CHECKING:
    from napari_meunet.labels.journal.journal import Journal


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
    with _all_or_nothing(canvas.journal):
        yield from tool.steps(canvas)


@contextmanager
def _all_or_nothing(journal: "Journal") -> Iterator[None]:
    """Take back a stroke that does not come to its end."""
    journal.end_stroke()
    before = journal.n_changes
    try:
        yield
    except BaseException:
        if journal.n_changes != before:
            journal.undo()
        raise
    finally:
        journal.end_stroke()
