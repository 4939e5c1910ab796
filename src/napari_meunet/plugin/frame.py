"""A line around the place that a person is asked to look at."""

from typing import TYPE_CHECKING

import numpy as np
from napari.layers import Labels, Layer
from numpy.typing import NDArray
from qtpy.QtCore import QTimer

from napari_meunet.config import Shape
from napari_meunet.labels.box import Box, extent

if TYPE_CHECKING:
    from napari.components import ViewerModel

COLOR = "#ffffff"

OPACITY = 0.6
"""Of the line, whose voxels are those at the rim of the place."""

_FRAMES = "meunet frames"  # key in a layer's metadata


class Frame:
    """Shows where a place ends, for *Reviewed* and *Keep* reach no further.

    Not in 3-D: it would be a block that hides what is in it.

    Parameters
    ----------
    viewer
        Where; what is selected there stays so.
    """

    def __init__(self, viewer: "ViewerModel") -> None:
        self._viewer = viewer
        self._around: tuple[Layer, Box] | None = None
        self._shown: Labels | None = None
        for change in (viewer.dims.events.ndisplay, viewer.dims.events.order):
            change.connect(self._draw)

    def show(self, layer: Labels, box: Box) -> None:
        """Draw a line around some voxels of a layer, in whatever plane is shown."""
        self._around = layer, box
        self._draw()

    def hide(self) -> None:
        """Take the line away, when what is going on now is over.

        That may be the removal of several layers, which must not lose one meanwhile.
        """
        self._around = None
        QTimer.singleShot(0, self._draw)

    def _draw(self) -> None:
        layers, around = self._viewer.layers, self._around
        is_there = self._shown in layers
        if around is None or self._viewer.dims.ndisplay == 3:
            if is_there:
                layers.remove(self._shown)
        elif is_there:
            _move(self._shown, *around, self._axis)
        else:
            self._add(*around)

    @property
    def _axis(self) -> int:
        """Across which of (z, y, x), the last axes of all, the planes lie."""
        dims = self._viewer.dims
        return max(0, dims.order[-3] - (dims.ndim - 3))

    def _add(self, layer: Labels, box: Box) -> None:
        selected = set(self._viewer.layers.selection)
        if self._shown is None:
            self._shown = frame_layer()
        _move(self._shown, layer, box, self._axis)
        self._viewer.add_layer(self._shown)
        self._viewer.layers.selection = selected


def frame_layer() -> Labels:
    """Return a layer that shows what is 1 in it."""
    return Labels(
        np.zeros((1, 1, 1), np.uint8),
        name="the place to look at",
        colormap={1: COLOR, 0: "transparent", None: "transparent"},
        opacity=OPACITY,
        metadata={_FRAMES: True},
    )


def is_frame(layer: Layer) -> bool:
    """Tell whether a layer is a line around a place; it is nothing to work on."""
    return _FRAMES in layer.metadata


def _move(shown: Labels, layer: Labels, box: Box, axis: int) -> None:
    """Lay a line around some voxels of a layer, in all planes across an axis."""
    shown.data = _rim(extent(box), axis)
    shown.editable = False  # other data can be edited again
    for name in ("axis_labels", "units", "scale", "rotate", "shear", "affine"):
        setattr(shown, name, getattr(layer, name))
    start = [part.start for part in box]
    shown.translate = layer.affine.inverse(layer.data_to_world(start))


def _rim(shape: Shape, axis: int) -> NDArray[np.uint8]:
    """Return ones at the rim of every plane across an axis.

    Not a contour that napari draws: for that it complains in 3-D, and draws none at
    the edge of an array.
    """
    rim = np.ones(shape, np.uint8)
    z, y, x = (slice(None) if i == axis else slice(1, -1) for i in range(3))
    rim[z, y, x] = 0
    return rim
