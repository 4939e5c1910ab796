"""The part of the Correct dock that keeps the brush to a range of grey values."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from qtpy.QtWidgets import QFormLayout, QGroupBox
from superqt import QLabeledDoubleRangeSlider

from napari_meunet.plugin.layers import volume_of, writable_store_of
from napari_meunet.plugin.widgets.fields.layer_choice import LayerChoice

if TYPE_CHECKING:
    from napari_meunet.labels.box import Box
    from napari_meunet.labels.editable import EditableLabels
    from napari_meunet.volume.volume import Planes


class BrushBox(QGroupBox):
    """Lets the brush, eraser, fill and polygon change only voxels of some grey values.

    Parameters
    ----------
    layers, image
        Say which labels, of which scan.
    """

    def __init__(self, layers: LayerChoice, image: LayerChoice) -> None:
        super().__init__("Paint only where the scan is")
        self.setCheckable(True)
        self.setChecked(False)
        self.setToolTip("brush, eraser, fill and polygon leave other voxels alone")
        self._layers, self._image = layers, image
        self._limited: EditableLabels | None = None
        self.range = QLabeledDoubleRangeSlider()
        self.range.setToolTip("grey values of the scan that may be painted on")
        form = QFormLayout(self)
        form.addRow("Grey value", self.range)
        self.toggled.connect(self.refresh)
        self.range.valueChanged.connect(self.refresh)
        image.changed.connect(self._take_image)
        self._take_image()

    def _take_image(self) -> None:
        """Offer the grey values of the scan."""
        image = self._image.layer
        if image is not None:
            low, high = image.contrast_limits_range
            self.range.setRange(low, high)
            self.range.setValue(tuple(image.contrast_limits))
        self.refresh()

    def refresh(self) -> None:
        """Let the labels that were chosen know what may be painted on."""
        labels, planes = self._labels, self._planes
        if self._limited is not None and self._limited is not labels:
            self._limited.paintable = None
        self._limited = labels
        self.setEnabled(labels is not None and planes is not None)
        if labels is not None:
            limited = self.isChecked() and planes is not None
            labels.paintable = self._within(planes) if limited else None

    def release(self) -> None:
        """Let everything be painted on again."""
        self.setChecked(False)

    @property
    def _labels(self) -> "EditableLabels | None":
        """The labels that people paint on."""
        layer = self._layers.layer
        store = None if layer is None else writable_store_of(layer)
        return None if store is None else layer.data

    @property
    def _planes(self) -> "Planes | None":
        """The scan of the labels."""
        image, labels = self._image.layer, self._labels
        if image is None or image.rgb or labels is None:
            return None
        planes = volume_of(image).planes
        return planes if tuple(planes.shape) == labels.shape else None

    def _within(self, planes: "Planes") -> "Callable[[Box], NDArray[np.bool]]":
        """Return what tells which voxels of a box have grey values in the range."""
        low, high = self.range.value()

        def within(box: "Box") -> NDArray[np.bool]:
            grey = np.asarray(planes[box])
            return (grey >= low) & (grey <= high)

        return within
