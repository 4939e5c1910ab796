"""What was done, as a list to step back in."""

from typing import TYPE_CHECKING

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QListWidget, QListWidgetItem, QWidget

if TYPE_CHECKING:
    from napari_meunet.labels.journal.history import History, Stroke

MOST = 100
"""Strokes that are listed, of those done and of those undone."""

ROWS = 8
"""That are seen at once, about."""

TOOLS = {"paint": "painted", "keep": "kept", "model": "the model wrote over"}
"""Tools of the journal, for people; others by their names."""

_ORDINAL = Qt.ItemDataRole.UserRole


class HistoryList(QListWidget):
    """Lists strokes, the last one first; what was undone stands above, and grey."""

    chosen = Signal(int)
    """How many strokes lie between now and the one that a person double-clicked:
    so many to undo until it is the last one; if negative, to do again."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setToolTip("double-click to go back, or forth, to just after a stroke")
        self.setUniformItemSizes(True)
        self.setFixedHeight(ROWS * self.fontMetrics().lineSpacing())
        self.itemDoubleClicked.connect(
            lambda item: self.chosen.emit(item.data(_ORDINAL))
        )

    def show_history(self, history: "History") -> None:
        """Show these strokes."""
        self.clear()
        for ordinal, stroke in reversed(
            list(enumerate(reversed(history.undone[-MOST:]), start=1))
        ):
            self._add(stroke, -ordinal, undone=True)
        for ordinal, stroke in enumerate(reversed(history.done[-MOST:])):
            self._add(stroke, ordinal, undone=False)

    def _add(self, stroke: "Stroke", ordinal: int, *, undone: bool) -> None:
        item = QListWidgetItem(words(stroke))
        item.setData(_ORDINAL, ordinal)
        if undone:
            item.setForeground(Qt.GlobalColor.gray)
        self.addItem(item)


def words(stroke: "Stroke") -> str:
    """Return a stroke in a line: ``"14:02 painted 1,204 voxels, plane 31"``."""
    when = stroke.time.astimezone().strftime("%H:%M")
    tool = TOOLS.get(stroke.tool, f"{stroke.tool}:")
    voxels = "voxel" if stroke.n_voxels == 1 else "voxels"
    return f"{when} {tool} {stroke.n_voxels:,} {voxels}, {planes_in_words(stroke)}"


def planes_in_words(stroke: "Stroke") -> str:
    """Return which planes along z a stroke has changed something in."""
    z = stroke.box[0]
    planes = f"planes {z.start} to {z.stop - 1}"
    return planes if z.stop - z.start > 1 else f"plane {z.start}"
