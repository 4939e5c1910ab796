"""Loss and Dice of a training, drawn as they come."""

from collections.abc import Iterable, Mapping, Sequence

from qtpy.QtCore import QPointF, QRectF, QSize, Qt
from qtpy.QtGui import QColor, QPainter, QPaintEvent, QPen, QPolygonF
from qtpy.QtWidgets import QSizePolicy, QWidget

from napari_meunet.plugin.training import Figure

LEFT, TOP, BELOW, RIGHT = 34, 20, 18, 8
"""Pixels around the curves, for numbers and words."""

_FRAME = QColor(140, 140, 140, 110)
_INK = QColor("#8c8c8c")  # readable on napari's dark and light themes

APART = 10
"""Pixels a point: curves with fewer points than that have them marked."""

Point = tuple[int, float]


class Curves(QWidget):
    """Draws curves over the steps of a training.

    Parameters
    ----------
    title
        What is drawn.
    purpose
        How to read it, as a tooltip.
    top
        The largest value; None is that of the figures.
    """

    def __init__(self, title: str, purpose: str, top: float | None = None) -> None:
        super().__init__(toolTip=purpose)
        self._title = title
        self._top = top
        self._total = 1
        self._colors: Mapping[str, str] = {}
        self._values: dict[str, dict[int, float]] = {}
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)

    def begin(self, total: int, colors: Mapping[str, str]) -> None:
        """Begin anew.

        Parameters
        ----------
        total
            Steps of the training.
        colors
            Of the figures to draw, by name.
        """
        self._total, self._colors, self._values = max(1, total), colors, {}
        self.update()

    def add(self, figures: Iterable[Figure]) -> None:
        """Draw more figures; a repeated step replaces what it gave before."""
        for step, name, value in figures:
            if name in self._colors:
                self._values.setdefault(name, {})[step] = value
        self.update()

    @property
    def drawn(self) -> bool:
        """Whether there is a curve."""
        return bool(self._values)

    def points(self, name: str) -> list[Point]:
        """Return a curve."""
        return sorted(self._values.get(name, {}).items())

    def sizeHint(self) -> QSize:  # noqa: N802
        """Return a size that leaves room for the other parts of a dock."""
        return QSize(220, 110)

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802
        """Draw frame, numbers and curves."""
        frame = QRectF(self.rect()).adjusted(LEFT, TOP, -RIGHT, -BELOW)
        top = self._top or _round_up(
            max((max(v.values()) for v in self._values.values()), default=1.0)
        )
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        self._draw_frame(painter, frame, top)
        for name, color in self._colors.items():
            points = _thinned(self.points(name), int(frame.width()))
            line = [
                QPointF(
                    frame.left() + frame.width() * step / self._total,
                    frame.bottom() - frame.height() * min(value / top, 1),
                )
                for step, value in points
            ]
            painter.setPen(QPen(QColor(color), 1.6))
            painter.drawPolyline(QPolygonF(line))
            if len(points) <= frame.width() / APART:
                painter.setBrush(QColor(color))
                for point in line:
                    painter.drawEllipse(point, 1.8, 1.8)
                painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.end()

    def _draw_frame(self, painter: QPainter, frame: QRectF, top: float) -> None:
        font = painter.font()
        font.setPixelSize(11)
        painter.setFont(font)
        painter.setPen(_FRAME)
        middle = frame.center().y()
        painter.drawLine(QPointF(frame.left(), middle), QPointF(frame.right(), middle))
        painter.drawRect(frame)
        painter.setPen(_INK)
        right = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        for share in (0.0, 0.5, 1.0):
            y = frame.bottom() - share * frame.height()
            box = QRectF(0, y - 8, LEFT - 4, 16)
            painter.drawText(box, right, f"{share * top:.3g}")
        below = QRectF(frame.left(), frame.bottom() + 2, frame.width(), BELOW)
        painter.drawText(below, Qt.AlignmentFlag.AlignRight, f"step {self._total}")
        self._draw_title(painter, frame.left())

    def _draw_title(self, painter: QPainter, x: float) -> None:
        """Write the title and the latest value of each curve, in its colour."""
        metrics = painter.fontMetrics()
        parts = [(self._title, _INK)]
        for name, color in self._colors.items():
            points = self.points(name)
            if points:
                short = name.removeprefix(f"{self._title} ")
                words = f"{points[-1][1]:.2f}"
                if short.casefold() != self._title.casefold():
                    words = f"{short} {words}"
                parts.append((words, QColor(color)))
        for words, color in parts:
            painter.setPen(color)
            painter.drawText(QPointF(x, TOP - 7), words)
            x += metrics.horizontalAdvance(words) + 10


def _thinned(points: Sequence[Point], most: int) -> Sequence[Point]:
    """Return points that can be told apart, with the last one."""
    step = max(1, len(points) // max(1, most))
    return [*points[:-1:step], *points[-1:]]


def _round_up(value: float) -> float:
    """Return the next number of the kind 1, 2, 5, 10 ... that is not smaller."""
    power = 1e-6
    while True:
        for digit in (1, 2, 5):
            if digit * power >= value:
                return digit * power
        power *= 10
