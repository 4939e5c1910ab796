"""A plane three times: as the model had it, as it is, and as it would be."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QGridLayout, QLabel, QWidget

from napari_meunet.config import LabelClass
from napari_meunet.plugin.widgets.plane_picture import PlanePicture, numbered

if TYPE_CHECKING:
    from napari_meunet.plugin.trial import SideBySide

TITLES = ("model", "yours", "tried")


class Comparison(QWidget):
    """Shows labels side by side over the scan; hidden without any."""

    def __init__(self) -> None:
        super().__init__()
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        self.pictures = [
            PlanePicture("the labels in the colours of their classes") for _ in TITLES
        ]
        for column, (title, picture) in enumerate(
            zip(TITLES, self.pictures, strict=True)
        ):
            grid.addWidget(
                QLabel(title, alignment=Qt.AlignmentFlag.AlignHCenter), 0, column
            )
            grid.addWidget(picture, 1, column)
            grid.setColumnStretch(column, 1)
        self.hide()

    def show_planes(
        self, planes: "SideBySide | None", classes: Sequence[LabelClass]
    ) -> None:
        """Show planes in the colours of their classes; None shows nothing."""
        if planes is not None:
            drawn = np.zeros_like(planes.mine)  # no outlines
            found = planes.model, planes.mine, planes.new
            for picture, labels in zip(self.pictures, found, strict=True):
                labels = numbered(labels, classes)
                picture.show_plane(planes.image, drawn, labels, classes, planes.tall)
        self.setVisible(planes is not None)
