"""The part of the Correct dock with the planes across the one that is shown."""

from typing import TYPE_CHECKING

import numpy as np
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QGridLayout, QGroupBox, QLabel

from napari_meunet.plugin.across import Across, planes_across
from napari_meunet.plugin.jobs import Question
from napari_meunet.plugin.layers import AXES, writable_store_of
from napari_meunet.plugin.scan import scan_of
from napari_meunet.plugin.view import Cut, shown_cut, voxel_at_mouse
from napari_meunet.plugin.widgets.fields.layer_choice import LayerChoice
from napari_meunet.plugin.widgets.note import Note
from napari_meunet.plugin.widgets.plane_picture import PlanePicture, numbered

if TYPE_CHECKING:
    import napari

    from napari_meunet.config import Shape

MEANING = "the plane across, around the mouse; the lines cross at the voxel under it"


class AcrossBox(QGroupBox):
    """Shows the planes across the one that is shown.

    They follow the mouse, and fly along to a place until it moves.

    Parameters
    ----------
    viewer
        Whose mouse and plane.
    layers, image
        Say which labels, of which scan.
    """

    def __init__(
        self, viewer: "napari.viewer.Viewer", layers: LayerChoice, image: LayerChoice
    ) -> None:
        super().__init__("Planes across, around the mouse")
        self.setCheckable(True)
        self.setChecked(False)
        self._viewer = viewer
        self._layers, self._image = layers, image
        self._asked: object = None
        self._flown_to: tuple[Shape, object] | None = None
        self._reading = Question(self)
        self._reading.answered.connect(self._show)
        self._reading.failed.connect(self._fail)
        self.titles = [QLabel(alignment=Qt.AlignmentFlag.AlignHCenter) for _ in "12"]
        self.pictures = [PlanePicture(MEANING) for _ in "12"]
        self.problem = Note()
        grid = QGridLayout(self)
        grid.addWidget(self.problem, 2, 0, 1, 2)
        for row, parts in enumerate((self.titles, self.pictures)):
            for column, part in enumerate(parts):
                grid.addWidget(part, row, column)
                grid.setColumnStretch(column, 1)
        self._clear()

    def fly_to(self, voxel: "Shape") -> None:
        """Show the planes through a voxel until the mouse moves."""
        self._flown_to = voxel, self._mouse
        self.look()

    def look(self) -> None:
        """Ask for the planes, if the mouse or the labels have moved since."""
        layer, image = self._layers.layer, self._image.layer
        store = writable_store_of(layer)
        if not self.isChecked() or store is None or image is None:
            self._clear()
            return
        cut = shown_cut(self._viewer, layer)
        at = None if cut is None else self._voxel(cut)
        now = at, cut, image.name, store.journal.n_changes
        if at is None or cut is None or now == self._asked or self._reading.open:
            return
        self._asked = now
        self._reading.ask(
            lambda: planes_across(scan_of(image, store), store, at, cut.axis)
        )

    @property
    def _mouse(self) -> tuple[float, ...]:
        """Where the mouse was last seen, in the world."""
        return tuple(self._viewer.cursor.position)

    def _voxel(self, cut: Cut) -> "Shape | None":
        """Return the voxel of the plane that is shown to look around."""
        if self._flown_to is not None:
            voxel, mouse = self._flown_to
            if mouse == self._mouse and voxel[cut.axis] == cut.plane:
                return voxel
            self._flown_to = None
        return voxel_at_mouse(self._viewer, self._layers.layer, cut)

    def _show(self, planes: tuple[Across, Across]) -> None:
        store = writable_store_of(self._layers.layer)
        if store is None:
            return
        self.problem.say("")
        for title, picture, plane in zip(
            self.titles, self.pictures, planes, strict=True
        ):
            title.setText(f"{AXES[plane.down]} down, {AXES[plane.right]} right")
            image, row, column = plane.image.copy(), *plane.at
            for line in (image[row], image[:, column]):  # a cross, darker and lighter
                line[:] = 1 - (1 - line) / 2
            labels = numbered(plane.labels, store.classes)
            drawn = np.zeros_like(labels)  # no outlines
            picture.show_plane(image, drawn, labels, store.classes, plane.tall)

    def _fail(self, error: Exception) -> None:
        """Say why there is nothing to see; the same is not asked again."""
        self._hide_planes()
        self.problem.warn(str(error))

    def _clear(self) -> None:
        self._asked = None
        self._reading.drop()
        self._hide_planes()

    def _hide_planes(self) -> None:
        self.problem.say("")
        for title, picture in zip(self.titles, self.pictures, strict=True):
            title.clear()
            picture.clear()
