"""What the docks have in common: a column that scrolls in a small window."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from qtpy.QtCore import QEvent, QObject, QSize, Qt, Signal
from qtpy.QtGui import QShowEvent
from qtpy.QtWidgets import (
    QAbstractSpinBox,
    QComboBox,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from napari_meunet.plugin.watch import watch

if TYPE_CHECKING:
    import napari

WIDTH = 300
"""Pixels that leave room for the canvas on a screen of 1280 x 800."""

DOCKS_IN_A_WINDOW = 8
"""Docks as high as a window: five of ours, and the titles and bars of napari."""

FIELDS = (QAbstractSpinBox, QComboBox)
"""What the wheel would change."""


class Dock(QScrollArea):
    """Scrolls what does not fit; napari would make the window larger than the screen.

    Parameters
    ----------
    viewer
        Whose layers; those of ours are seen to as they come and go.

    Attributes
    ----------
    column
        Where the parts go.
    """

    closed = Signal()
    """It was taken out of its window, and goes."""

    def __init__(self, viewer: "napari.viewer.Viewer") -> None:
        super().__init__()
        self._viewer = viewer
        watch(viewer)
        # napari pads every widget, which makes this one too small by two pixels
        self.setStyleSheet("QScrollArea { border: 0px; padding: 0px }")
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setWidgetResizable(True)
        content = QWidget()
        self.column = QVBoxLayout(content)
        self.column.setSpacing(10)
        self.setWidget(content)

    def sizeHint(self) -> QSize:  # noqa: N802
        """Return the size at which nothing scrolls."""
        return self._beside_bar(self.widget().sizeHint()).expandedTo(QSize(WIDTH, 0))

    def minimumSizeHint(self) -> QSize:  # noqa: N802
        """Return a size that shows everything, or leaves room for other docks."""
        hint = self._beside_bar(self.widget().minimumSizeHint())
        share = self.window().height() // DOCKS_IN_A_WINDOW
        return QSize(hint.width(), min(hint.height(), share))

    def event(self, event: QEvent) -> bool:
        """Tell the window when another size is needed; go when taken out of it.

        napari takes a dock out by its parent when it is closed, and keeps it: what it
        does would go on for ever, with nobody to stop it.
        """
        if event.type() == QEvent.Type.ParentChange and self.parent() is None:
            self.closed.emit()
            self.deleteLater()
        if event.type() in (QEvent.Type.LayoutRequest, QEvent.Type.Resize):
            self.updateGeometry()
        return bool(super().event(event))

    def bind_keys(self, keys: Mapping[str, Callable[[], None]]) -> None:
        """Let keys act wherever the mouse is over the picture, until it is closed."""
        viewer = self._viewer
        for key, act in keys.items():
            viewer.bind_key(key, lambda _, act=act: act(), overwrite=True)
            self.closed.connect(lambda key=key: viewer.bind_key(key, None))

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802
        """Look at the events of all fields from now on."""
        super().showEvent(event)
        for kind in FIELDS:
            for field in self.findChildren(kind):
                field.installEventFilter(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802
        """Keep the wheel from the fields: it scrolls, and changes nothing by chance."""
        if event.type() == QEvent.Type.Wheel and isinstance(watched, FIELDS):
            event.ignore()
            return True
        return bool(super().eventFilter(watched, event))

    def _beside_bar(self, size: QSize) -> QSize:
        return size + QSize(self.verticalScrollBar().sizeHint().width(), 0)
