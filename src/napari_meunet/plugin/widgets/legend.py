"""The classes of a labels layer, to look up and to paint with."""

from collections.abc import Sequence
from functools import partial

from qtpy.QtCore import Signal
from qtpy.QtGui import QColor, QIcon, QPixmap
from qtpy.QtWidgets import QPushButton, QSizePolicy, QWidget
from superqt import QFlowLayout

from napari_meunet.config import LabelClass

SWATCH = 14
"""Edge of a colour square in pixels."""


class Legend(QWidget):
    """Shows colours and names; a click chooses the label to paint with."""

    chosen = Signal(int)

    def __init__(self) -> None:
        super().__init__()
        self._classes: Sequence[LabelClass] = ()
        self._layout = QFlowLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._layout.setSpacing(4)
        policy = QSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)
        policy.setHeightForWidth(True)
        self.setSizePolicy(policy)

    def show_classes(self, classes: Sequence[LabelClass]) -> None:
        """Show classes; the background comes last, as the eraser."""
        if classes == self._classes:
            return
        self._classes = classes
        while self._layout.count():
            self._layout.takeAt(0).widget().deleteLater()
        for label in (*classes[1:], *classes[:1]):
            button = QPushButton(_swatch(label.color), f" {label.name}")
            button.setToolTip(f"paint with label {label.value}, {label.name}")
            button.clicked.connect(partial(self._choose, label.value))
            self._layout.addWidget(button)

    def _choose(self, value: int, _: bool = False) -> None:
        self.chosen.emit(value)


def _swatch(color: str) -> QIcon:
    pixmap = QPixmap(SWATCH, SWATCH)
    pixmap.fill(QColor(color))
    return QIcon(pixmap)
