"""How well a model judges itself, as a curve."""

import numpy as np
from qtpy.QtCore import QPointF, QRectF, QSize, Qt
from qtpy.QtGui import QColor, QPainter, QPaintEvent, QPen, QPolygonF
from qtpy.QtWidgets import QSizePolicy, QWidget

from napari_meunet.config import Calibration

SIDE, MARGIN = 110, 18
"""Pixels of the square that is drawn in, and below and left of it for words."""

_FRAME, _INK, _CURVE = QColor(140, 140, 140, 110), QColor("#8c8c8c"), QColor("#3f8fd9")


class CalibrationCurve(QWidget):
    """Draws what fraction of voxels is wrong over the fraction that was expected.

    On the dotted line a model is right about itself; above it, it is too sure.
    """

    def __init__(self) -> None:
        super().__init__(
            toolTip="voxels that were wrong over what the model expected, measured on "
            "other scans; on the dotted line it is right about itself, above it is too "
            "sure"
        )
        self._calibration: Calibration | None = None
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.hide()

    def show_calibration(self, calibration: Calibration | None) -> None:
        """Draw a curve; None draws nothing."""
        self._calibration = calibration
        self.setVisible(calibration is not None)
        self.update()

    def sizeHint(self) -> QSize:  # noqa: N802
        """Return the size of the square and the words."""
        return QSize(220, SIDE + MARGIN + 2)

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802
        """Draw the frame, the line of a model that is right, and the curve."""
        if self._calibration is None:
            return
        claimed, wrong = map(
            np.asarray, (self._calibration.claimed, self._calibration.wrong)
        )
        top = max(float(claimed.max()), float(wrong.max()), 1e-3)
        frame = QRectF(MARGIN, 1, SIDE, SIDE)
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(_FRAME)
        painter.drawRect(frame)
        painter.setPen(QPen(_INK, 1, Qt.PenStyle.DotLine))
        painter.drawLine(frame.bottomLeft(), frame.topRight())
        painter.setPen(QPen(_CURVE, 2))
        points = (
            QPointF(frame.left() + x * SIDE / top, frame.bottom() - y * SIDE / top)
            for x, y in zip(claimed, wrong, strict=True)
        )
        painter.drawPolyline(QPolygonF(list(points)))
        painter.setPen(_INK)
        words = QRectF(MARGIN, SIDE, SIDE, MARGIN)
        painter.drawText(words, Qt.AlignmentFlag.AlignHCenter, "expected")
        painter.translate(MARGIN - 4, SIDE)
        painter.rotate(-90)
        painter.drawText(QRectF(0, -MARGIN, SIDE, MARGIN), 0, f"wrong (to {top:.0%})")
        painter.end()
