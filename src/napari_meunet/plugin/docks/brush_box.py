"""The part of the Correct dock that keeps the brush to a range of grey values."""

from collections.abc import Callable
from functools import lru_cache
from math import inf
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from qtpy.QtWidgets import QFormLayout, QGroupBox
from superqt import QLabeledDoubleRangeSlider

from napari_meunet.plugin.jobs import Question
from napari_meunet.plugin.layers import writable_store_of
from napari_meunet.plugin.scan import scan_of
from napari_meunet.plugin.widgets.fields.layer_choice import LayerChoice

if TYPE_CHECKING:
    from napari_meunet.labels.box import Box
    from napari_meunet.labels.editable import EditableLabels
    from napari_meunet.volume.volume import Volume


DECIMALS = 2
"""Of grey values that are no whole numbers."""


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
        self._scan: Volume | None = None
        self._limited: EditableLabels | None = None
        self._opening = Question(self)
        self._opening.answered.connect(self._take_scan)
        self._opening.failed.connect(lambda _: self._take_scan(None))
        self.range = QLabeledDoubleRangeSlider()
        self.range.setToolTip(
            "grey values of the scan that may be painted on; the ends stand for all "
            "that is darker or brighter, too"
        )
        form = QFormLayout(self)
        form.addRow("Grey value", self.range)
        self.toggled.connect(self._limit)
        self.range.valueChanged.connect(self._limit)
        image.changed.connect(self.refresh)
        self.refresh()

    def refresh(self) -> None:
        """Look at which scan and labels were chosen."""
        self._take_scan(None)
        self._opening.drop()
        image, store = self._image.layer, writable_store_of(self._layers.layer)
        if image is not None and store is not None:
            self._opening.ask(scan_of, image, store)

    def release(self) -> None:
        """Let everything be painted on again."""
        self.setChecked(False)

    def _take_scan(self, scan: "Volume | None") -> None:
        """Offer the grey values of a scan; None if it is not that of the labels."""
        self._scan = scan
        self.setEnabled(scan is not None)
        if scan is not None:
            image = self._image.layer
            whole = np.issubdtype(scan.dtype, np.integer)
            self.range.setDecimals(0 if whole else DECIMALS)
            self.range.setRange(*image.contrast_limits_range)
            self.range.setValue(tuple(image.contrast_limits))
        self._limit()

    def _limit(self) -> None:
        """Let the labels that were chosen know what may be painted on."""
        labels = self._labels
        if self._limited is not None and self._limited is not labels:
            self._limited.paintable = None
        self._limited = labels
        if labels is not None:
            limited = self.isChecked() and self._scan is not None
            labels.paintable = self._within(self._scan) if limited else None

    @property
    def _labels(self) -> "EditableLabels | None":
        """The labels that people paint on."""
        layer = self._layers.layer
        return None if writable_store_of(layer) is None else layer.data

    def _within(self, scan: "Volume") -> "Callable[[Box], NDArray[np.bool]]":
        """Return what tells which voxels of a box have grey values in the range."""
        from napari_meunet.volume.formats.planes import DecodedPlanes

        low, high = self.range.value()
        low = -inf if low <= self.range.minimum() else low
        high = inf if high >= self.range.maximum() else high
        is_decoded = isinstance(scan.planes, DecodedPlanes)

        # or every dab of the brush would decode it
        @lru_cache(maxsize=1)
        def plane(z: int) -> NDArray[Any]:
            return scan.planes[z : z + 1]

        def within(box: "Box") -> NDArray[np.bool]:
            z, y, x = box
            is_plane = is_decoded and z.stop - z.start == 1
            grey = plane(z.start)[:, y, x] if is_plane else scan.planes[box]
            return np.asarray((grey >= low) & (grey <= high), bool)

        return within
