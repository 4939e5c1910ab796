"""A line around the place that a person is asked to look at."""

from typing import TYPE_CHECKING

import numpy as np
from napari.layers import Labels, Layer

from napari_meunet.labels.box import Box, extent

if TYPE_CHECKING:
    from napari.components import ViewerModel

COLOR = "#ffffff"

OPACITY = 0.6
"""Of the line, whose voxels are those at the rim of the place."""

_FRAMES = "meunet frames"  # key in a layer's metadata


class Frame:
    """Shows where a place ends, for *Reviewed* and *Keep* reach no further.

    Not in 3-D; there it goes, and comes again with the next place.

    Parameters
    ----------
    viewer
        Where; the layer that is selected stays so.
    """

    def __init__(self, viewer: "ViewerModel") -> None:
        self._viewer = viewer
        self._shown: Labels | None = None
        viewer.dims.events.ndisplay.connect(self._follow)

    def show(self, layer: Labels, box: Box) -> None:
        """Draw a line around some voxels of a layer, in whatever plane is shown."""
        visible = self._shown.visible if self._shown is not None else True
        self.hide()
        layers = self._viewer.layers
        active = layers.selection.active
        self._shown = frame_layer(layer, box)
        self._shown.visible = visible  # a person may have hidden the one before
        self._viewer.add_layer(self._shown)
        layers.selection.active = active

    def hide(self) -> None:
        """Take the line away."""
        if self._shown in self._viewer.layers:
            self._viewer.layers.remove(self._shown)
        self._shown = None

    def _follow(self) -> None:
        """Go in 3-D, where it would be a block that hides what is in it."""
        if self._viewer.dims.ndisplay == 3:
            self.hide()


def frame_layer(layer: Labels, box: Box) -> Labels:
    """Return a layer with the outline of a box of another one."""
    # beside an edge of the array, napari would draw none
    inside = np.pad(np.ones(extent(box), np.uint8), 1)
    start = [part.start - 1 for part in box]
    shown = Labels(
        inside,
        name="the place to look at",
        colormap={1: COLOR, 0: "transparent", None: "transparent"},
        opacity=OPACITY,
        scale=layer.scale,
        rotate=layer.rotate,
        shear=layer.shear,
        affine=layer.affine,
        translate=layer.affine.inverse(layer.data_to_world(start)),
        axis_labels=layer.axis_labels,
        units=layer.units,
        metadata={_FRAMES: True},
    )
    shown.contour = 1
    shown.editable = False
    return shown


def is_frame(layer: Layer) -> bool:
    """Tell whether a layer is a line around a place; it is nothing to work on."""
    return _FRAMES in layer.metadata
