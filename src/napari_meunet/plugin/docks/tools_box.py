"""The part of the Correct dock with the tools."""

from functools import partial
from math import prod
from typing import TYPE_CHECKING

import numpy as np
from napari.layers import Layer
from qtpy.QtWidgets import (
    QComboBox,
    QDoubleSpinBox,
    QFormLayout,
    QGroupBox,
    QPushButton,
    QSizePolicy,
    QSpinBox,
)

from napari_meunet.errors import MeUNetError
from napari_meunet.plugin.keys import PROPOSED, in_words
from napari_meunet.plugin.layers import writable_store_of
from napari_meunet.plugin.scan import scan_of
from napari_meunet.plugin.tools import (
    COPY_BACK,
    COPY_NEXT,
    INTERPOLATE_HERE,
    OFFERS,
    Aim,
    Amount,
    Offer,
    Where,
    box_of,
    island_at_cursor,
)
from napari_meunet.plugin.view import Cut, shown_cut
from napari_meunet.plugin.widgets.fields.layer_choice import LayerChoice
from napari_meunet.plugin.widgets.note import Note
from napari_meunet.plugin.widgets.rows import show_row
from napari_meunet.plugin.widgets.tool_use import ToolUse

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import napari

    from napari_meunet.labels.store import LabelStore
    from napari_meunet.volume.volume import Planes, Spacing

VOXELS = {Amount.DISTANCE: 2, Amount.VOLUME: 100}
"""What is proposed, in voxels."""

DECIMALS = 4
"""Of a distance or volume."""


class ToolsBox(QGroupBox):
    """Offers the tools, and uses them on the selected label of a layer.

    Parameters
    ----------
    viewer
        Whose plane and view are meant.
    layers, image
        Say which labels, of which scan.
    keys
        Those of `acts`, by their names, to be told.
    """

    def __init__(
        self,
        viewer: "napari.viewer.Viewer",
        layers: LayerChoice,
        image: LayerChoice,
        keys: "Mapping[str, str]" = PROPOSED,
    ) -> None:
        super().__init__("Tools")
        self._viewer = viewer
        self._layers, self._image = layers, image
        self._sized: tuple[Amount, Spacing | None] | None = None
        self._make_parts(keys)
        self._lay_out()
        self._connect()
        self._take_tool()

    def _make_parts(self, keys: "Mapping[str, str]") -> None:
        key = {name: in_words(each) for name, each in keys.items()}
        self.tool = QComboBox()
        for offer in OFFERS:
            self.tool.addItem(offer.title)
        self.size = QDoubleSpinBox(decimals=DECIMALS, maximum=1e12)
        self.size.setToolTip("how far; or islands below this volume go")
        self.into = QSpinBox(value=1, maximum=255, toolTip="the label that it becomes")
        self.where = QComboBox(toolTip="which voxels may change")
        for choice in (self.tool, self.where):  # a long name need not be seen whole
            choice.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.n_beside = QSpinBox(value=16, maximum=10**6)
        self.n_beside.setToolTip("planes on each side of this one")
        self.apply = QPushButton("Apply")
        self.apply.setToolTip(
            f"change the label that is selected; {key['apply_tool']} does the same"
        )
        self.using = ToolUse()
        self.about_keys = Note(
            f"Keys: {key['apply_tool']} applies the tool, {key['interpolate']} "
            "interpolates between the painted planes around this one, "
            f"{key['copy_before']} and {key['copy_after']} copy from the plane before "
            f"or after, {key['fill_island']} gives the island under the mouse the "
            "selected label (in all planes if n edit dim is 3).",
            muted=True,
        )

    def _lay_out(self) -> None:
        self._form = form = QFormLayout(self)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        form.addRow("Tool", self.tool)
        form.addRow("Size", self.size)
        form.addRow("Into", self.into)
        form.addRow("Where", self.where)
        form.addRow("Planes beside", self.n_beside)
        for part in (self.apply, self.using, self.about_keys):
            form.addRow(part)

    def _connect(self) -> None:
        self.tool.currentIndexChanged.connect(self._take_tool)
        self.where.currentIndexChanged.connect(self._show_rows)
        self.apply.clicked.connect(self.use)
        self.using.changed.connect(self._follow_tool)

    @property
    def acts(self) -> "dict[str, Callable[[], None]]":
        """What keys do, by the names in `napari_meunet.plugin.keys`."""
        return {
            "apply_tool": self.use,
            "interpolate": partial(self._use_offer, INTERPOLATE_HERE),
            "copy_before": partial(self._use_offer, COPY_NEXT),
            "copy_after": partial(self._use_offer, COPY_BACK),
            "fill_island": self.fill_island,
        }

    # what is asked for

    @property
    def _offer(self) -> Offer:
        return OFFERS[self.tool.currentIndex()]

    @property
    def _store(self) -> "LabelStore | None":
        return writable_store_of(self._layers.layer)

    @property
    def _cut(self) -> Cut | None:
        return shown_cut(self._viewer, self._layers.layer)

    def _take_tool(self) -> None:
        """Show what the chosen tool has to know."""
        offer = self._offer
        self.tool.setToolTip(offer.does)
        self.where.clear()
        self.where.addItems([place.value for place in offer.places])
        self._form.labelForField(self.size).setText(offer.amount.value)
        self.take_layer()
        self._show_rows()

    def take_layer(self) -> None:
        """Speak in the units of the layer, and propose a size if it has others."""
        store = self._store
        self.setEnabled(store is not None or self.using.busy)
        self.name_label()
        sized = self._offer.amount, store and store.spacing
        if store is not None and sized != self._sized:
            self._sized = sized
            self._propose_size(store, self._offer.amount)

    def _propose_size(self, store: "LabelStore", amount: Amount) -> None:
        if amount not in VOXELS:
            return
        unit = "um" if store.spacing else "voxels"
        if amount is Amount.VOLUME:
            one = prod(store.voxel)
            unit = f"{unit}\N{SUPERSCRIPT THREE}" if store.spacing else unit
        else:
            one = min(store.voxel)
        self.size.setSuffix(f" {unit}")
        self.size.setSingleStep(one)
        # rounded up, or it would be less than so many voxels
        shown = np.ceil(VOXELS[amount] * one * 10**DECIMALS) / 10**DECIMALS
        self.size.setValue(shown)

    def name_label(self) -> None:
        """Say which label would change."""
        store = self._store
        if store is None:
            self.apply.setText("Apply")
            return
        value = self._layers.layer.selected_label
        names = {label.value: label.name for label in store.classes}
        self.apply.setText(f"Apply to {names.get(value, f'label {value}')}")

    def _show_rows(self) -> None:
        amount = self._offer.amount
        show_row(self._form, self.size, amount in VOXELS)
        show_row(self._form, self.into, amount is Amount.LABEL)
        show_row(self._form, self.where, self.where.count() > 1)
        in_view = self.where.currentText() == Where.VIEW.value
        show_row(self._form, self.n_beside, in_view)

    # what is done

    def use(self) -> None:
        """Use the chosen tool as it is set."""
        if self.where.currentText():
            self._use_offer(self._offer, Where(self.where.currentText()))

    def _use_offer(self, offer: Offer, where: Where | None = None) -> None:
        layer, store = self._layers.layer, self._store
        if store is None:
            return
        if layer.selected_label == 0:
            self.using.result.warn("Select a label other than the background first.")
            return
        cut = self._cut
        box = box_of(where or offer.places[0], layer, cut, self.n_beside.value())
        if cut is None or box is None:
            self.using.result.warn("Show a plane of the labels in 2-D first.")
            return
        image = self._image.layer
        if offer.needs_scan and image is None:
            self.using.result.warn("Choose the scan first.")
            return
        size, into = self.size.value(), self.into.value()
        scan = partial(_planes, image, store)
        aim = Aim(layer.selected_label, cut, size, into, scan)
        self.using.begin(layer, store, offer.make(aim), box)

    def fill_island(self) -> None:
        """Give the island under the mouse the selected label."""
        layer, store = self._layers.layer, self._store
        if store is None:
            return
        try:
            asked = island_at_cursor(self._viewer, layer, self._cut)
        except MeUNetError as error:
            self.using.result.warn(str(error))
            return
        if asked is not None:
            self.using.begin(layer, store, *asked)

    def _follow_tool(self) -> None:
        self.apply.setEnabled(not self.using.busy)
        self.take_layer()


def _planes(image: Layer, store: "LabelStore") -> "Planes":
    """Return the voxels of the scan of labels; that may take a moment."""
    return scan_of(image, store).planes
