"""A plane with what the network finds there, and what a person drew."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QRectF, QSize
from qtpy.QtGui import QColor, QImage, QPainter, QPaintEvent
from qtpy.QtWidgets import QSizePolicy, QWidget

from napari_meunet.config import LabelClass

OPACITY = 0.5
HEIGHT = 260
"""Pixels at most: the curves above must stay in view."""

_OUTLINE = (255, 255, 255)


class PlanePicture(QWidget):
    """Shows colours for what is found, and white outlines for what was drawn.

    Parameters
    ----------
    meaning
        What is seen, as a tooltip.
    """

    def __init__(self, meaning: str) -> None:
        super().__init__(toolTip=meaning)
        self._image: QImage | None = None
        self._tall = 1.0
        policy = QSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        policy.setHeightForWidth(True)
        self.setSizePolicy(policy)
        self.hide()

    def show_plane(
        self,
        image: NDArray[np.float32],
        drawn: NDArray[np.uint8],
        found: NDArray[np.uint8],
        classes: Sequence[LabelClass],
        tall: float = 1.0,
    ) -> None:
        """Show a plane in the colours of its classes, see `overlay`.

        A voxel is so many times as `tall` as it is wide.
        """
        self._tall = tall
        pixels = np.ascontiguousarray(overlay(image, drawn, found, classes))
        height, width, _ = pixels.shape
        self._image = QImage(
            pixels.data, width, height, 3 * width, QImage.Format.Format_RGB888
        ).copy()
        self.updateGeometry()
        self.update()
        self.show()

    def clear(self) -> None:
        """Show nothing."""
        self._image = None
        self.hide()

    def sizeHint(self) -> QSize:  # noqa: N802
        """Return the size for the present width."""
        return QSize(220, self.heightForWidth(self.width()))

    def heightForWidth(self, width: int) -> int:  # noqa: N802
        """Return the height at which the plane is not distorted, up to a limit."""
        if self._image is None:
            return 0
        height = self._tall * self._image.height()
        return min(HEIGHT, int(width * height / self._image.width()))

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802
        """Draw the plane in the middle."""
        if self._image is None:
            return
        width, height = self._image.width(), self._tall * self._image.height()
        scale = min(self.width() / width, self.height() / height)
        width, height = width * scale, height * scale
        place = QRectF((self.width() - width) / 2, 0, width, height)
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        painter.drawImage(place, self._image)
        painter.end()


def numbered(
    labels: NDArray[np.uint8], classes: Sequence[LabelClass]
) -> NDArray[np.uint8]:
    """Return the place of every label among the classes; others become background."""
    numbers = np.zeros(256, np.uint8)
    numbers[[label.value for label in classes]] = np.arange(len(classes))
    return numbers[labels]


def overlay(
    image: NDArray[np.float32],
    drawn: NDArray[np.uint8],
    found: NDArray[np.uint8],
    classes: Sequence[LabelClass],
) -> NDArray[np.uint8]:
    """Return pixels uint8 ``(y, x, 3)``: grey values, colours, outlines.

    A small plane is enlarged by a whole number, so that outlines stay thin.

    Parameters
    ----------
    image
        In [0, 1], ``(y, x)``.
    drawn, found
        Likewise, the classes numbered from 0; 255 where there is no label.
    classes
        The background first.
    """
    n = max(1, -(-HEIGHT // max(image.shape)))
    image, drawn, found = (
        plane.repeat(n, axis=0).repeat(n, axis=1) for plane in (image, drawn, found)
    )
    pixels = np.repeat(image[..., None] * 255, 3, axis=2)
    for number, label in enumerate(classes[1:], start=1):
        color = np.array(QColor(label.color).getRgb()[:3])
        here = found == number
        pixels[here] = (1 - OPACITY) * pixels[here] + OPACITY * color
    pixels[_edges(drawn)] = _OUTLINE
    return pixels.astype(np.uint8)


def _edges(labels: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Return labelled pixels beside another value along y or x."""
    padded = np.pad(labels, 1, mode="edge")
    around = (padded[:-2, 1:-1], padded[2:, 1:-1], padded[1:-1, :-2], padded[1:-1, 2:])
    differ = np.logical_or.reduce([labels != beside for beside in around])
    return differ & (labels > 0) & (labels < 255)
