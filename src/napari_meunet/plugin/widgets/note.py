"""A few words of text in a dock."""

from html import escape
from pathlib import Path

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QLabel, QSizePolicy, QWidget

# readable on napari's dark and light themes
_MUTED, _WARNING, _LINK = "#8c8c8c", "#e0604c", "#3f8fd9"

_BREAK_HERE = "\u200b"


class Note(QLabel):
    """Wrapped text that takes no room while it is empty.

    Parameters
    ----------
    text
        What to say.
    muted
        For text that explains rather than tells.
    """

    def __init__(
        self, text: str = "", *, muted: bool = False, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._color = _MUTED if muted else ""
        self.setWordWrap(True)
        self.setTextFormat(Qt.TextFormat.RichText)
        self.setTextInteractionFlags(Qt.TextInteractionFlag.TextBrowserInteraction)
        self.setOpenExternalLinks(True)
        # without this a wrapped label asks for its unwrapped width
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)
        self.say(text)

    def say(self, text: str) -> None:
        """Show plain text."""
        self._show(_breakable(text), self._color)

    def warn(self, text: str) -> None:
        """Show plain text that asks for attention."""
        self._show(_breakable(text), _WARNING)

    def say_where(self, text: str, path: Path) -> None:
        """Show plain text and a path, which opens its folder."""
        folder = path if path.is_dir() else path.parent
        href = f'href="{folder.absolute().as_uri()}" style="color: {_LINK}"'
        link = f"<a {href}>{_breakable(str(path))}</a>"
        self._show(f"{_breakable(text)} {link}", self._color)

    def _show(self, html: str, color: str) -> None:
        self.setStyleSheet(f"color: {color}" if color else "")
        self.setText(html)
        self.setVisible(bool(html))


def _breakable(text: str) -> str:
    """Let long paths and file names wrap, which have no spaces."""
    for mark in "/\\_.-":
        text = text.replace(mark, mark + _BREAK_HERE)
    return escape(text).replace("\n", "<br>")
