"""Which layer of the viewer."""

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QComboBox, QSizePolicy

from napari_meunet.plugin.doubt import is_doubt
from napari_meunet.plugin.frame import is_frame
from napari_meunet.plugin.overviews import is_overview
from napari_meunet.plugin.trial import is_tried

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Layer


NOT_LISTED = (is_doubt, is_overview, is_tried, is_frame)
"""What tells of a layer that it is nothing to work on."""


class LayerChoice(QComboBox):
    """Lists the layers of one kind, the newest chosen until a person chooses.

    What shows the doubt about labels, stands in for them, was tried, or frames a place
    is not among them.

    Parameters
    ----------
    viewer
        Whose layers; with or without a window.
    kind
        Class of the layers.
    purpose
        What the layer is for, as a tooltip.
    """

    changed = Signal()

    def __init__(
        self, viewer: "ViewerModel", kind: "type[Layer]", purpose: str
    ) -> None:
        super().__init__(toolTip=purpose)
        self._viewer = viewer
        self._kind = kind
        self._listed: list[Any] = []
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.setPlaceholderText("no layer yet")
        self.currentIndexChanged.connect(self.changed)
        events = viewer.layers.events
        for emitter in (events.inserted, events.removed, events.renamed):
            emitter.connect(self.reset)
            # by the widget, not its method: emitters compare callbacks by their owners,
            # and this one is gone by then
            self.destroyed.connect(lambda _=None, e=emitter: e.disconnect(self))
        self.reset()

    @property
    def layer(self) -> "Layer | None":
        """The chosen layer."""
        return self._listed[self.currentIndex()] if self.currentIndex() >= 0 else None

    @layer.setter
    def layer(self, layer: "Layer | None") -> None:
        self.setCurrentIndex(-1 if layer is None else self._listed.index(layer))

    def reset(self, event: Any = None) -> None:
        """List the layers that are there now."""
        before, listed = self.layer, self._listed
        layers = [
            layer
            for layer in self._viewer.layers
            if isinstance(layer, self._kind)
            and not any(is_such(layer) for is_such in NOT_LISTED)
        ]
        new = [layer for layer in layers if layer not in listed]
        self._listed = layers
        self.blockSignals(True)
        self.clear()
        self.addItems([layer.name for layer in layers])
        kept = [before] if before in layers else layers
        self.layer = (new or kept or [None])[-1]
        self.blockSignals(False)
        # napari hands a new proxy of the same layer to plugins each time
        if self.layer != before:
            self.changed.emit()
