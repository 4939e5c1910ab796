"""A path: typed, chosen in a dialog, or dropped."""

from collections.abc import Callable
from pathlib import Path

from qtpy.QtCore import Signal
from qtpy.QtGui import QDragEnterEvent, QDropEvent
from qtpy.QtWidgets import (
    QFileDialog,
    QGridLayout,
    QLineEdit,
    QPushButton,
    QWidget,
)

BROWSE_WIDTH = 72
"""Pixels of a button beside a field, so that fields below each other end alike."""


def browse_button(text: str, purpose: str, choose: Callable[[], None]) -> QPushButton:
    """Return a button that opens a dialog to choose a path."""
    button = QPushButton(text, toolTip=purpose, clicked=choose)
    button.setMinimumWidth(BROWSE_WIDTH)
    return button


class PathField(QWidget):
    """Edits a path.

    Parameters
    ----------
    hint
        What stands in the empty field.
    purpose
        What the path is for, as a tooltip.
    file, folder
        Whether there is a button to choose a file, and one to choose a folder.
    save
        The chosen file may be a new one.
    filters
        File types for the dialog, as Qt writes them.
    """

    changed = Signal()

    def __init__(
        self,
        hint: str,
        purpose: str,
        *,
        file: bool = False,
        folder: bool = False,
        save: bool = False,
        filters: str = "",
    ) -> None:
        super().__init__()
        self._filters = filters
        self._purpose = purpose
        self.line = QLineEdit(placeholderText=hint)
        self.line.setAcceptDrops(False)  # else Qt drops a URL as text
        self.line.textChanged.connect(self._change)
        self.line.setMinimumWidth(60)
        self.setAcceptDrops(True)
        self._lay_out(self._buttons(file, folder, save))
        self._change("")

    def _buttons(self, file: bool, folder: bool, save: bool) -> list[QPushButton]:
        buttons = []
        if file:
            buttons.append(browse_button("File…", "choose a file", self._choose_file))
        if folder:
            buttons.append(
                browse_button("Folder…", "choose a folder", self._choose_folder)
            )
        if save:
            buttons.append(
                browse_button("File…", "choose a new file", self._choose_new_file)
            )
        return buttons

    def _lay_out(self, buttons: list[QPushButton]) -> None:
        layout = QGridLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        if len(buttons) == 1:
            layout.addWidget(self.line, 0, 0)
            layout.addWidget(buttons[0], 0, 1)
            return
        layout.addWidget(self.line, 0, 0, 1, len(buttons))
        for column, button in enumerate(buttons):
            layout.addWidget(button, 1, column)

    @property
    def path(self) -> Path | None:
        """The path, None while the field is empty."""
        text = self.line.text().strip()
        return Path(text).expanduser() if text else None

    @path.setter
    def path(self, path: Path | None) -> None:
        self.line.setText("" if path is None else str(path))

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:  # noqa: N802
        """Take files and folders of this machine."""
        if any(url.isLocalFile() for url in event.mimeData().urls()):
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:  # noqa: N802
        """Take the first file or folder."""
        self.path = Path(event.mimeData().urls()[0].toLocalFile())

    def _change(self, text: str) -> None:
        # a path is often longer than the field
        self.line.setToolTip(f"{text}\n{self._purpose}".strip())
        self.changed.emit()

    def _start(self) -> str:
        return str(self.path or Path.home())

    def _take(self, chosen: str) -> None:
        if chosen:
            self.path = Path(chosen)

    def _choose_file(self) -> None:
        chosen, _ = QFileDialog.getOpenFileName(
            self, "Choose a file", self._start(), self._filters
        )
        self._take(chosen)

    def _choose_folder(self) -> None:
        self._take(
            QFileDialog.getExistingDirectory(self, "Choose a folder", self._start())
        )

    def _choose_new_file(self) -> None:
        chosen, _ = QFileDialog.getSaveFileName(
            self, "Choose a file", self._start(), self._filters
        )
        self._take(chosen)
