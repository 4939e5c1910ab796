"""The size of a voxel, as the file says or as a person gives it."""

from typing import TYPE_CHECKING

from qtpy.QtCore import Signal
from qtpy.QtWidgets import (
    QDoubleSpinBox,
    QHBoxLayout,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from napari_meunet.plugin.widgets.note import Note

if TYPE_CHECKING:
    from napari_meunet.volume.volume import Spacing


class SpacingField(QWidget):
    """Three sizes in micrometres; editable only where the file says nothing."""

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._sizes = [self._size(axis) for axis in "zyx"]
        self._note = Note(muted=True)
        row = QHBoxLayout()
        row.setSpacing(4)
        for size in self._sizes:
            row.addWidget(size)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(row)
        layout.addWidget(self._note)

    def _size(self, axis: str) -> QDoubleSpinBox:
        size = QDoubleSpinBox(decimals=4, maximum=1e6, specialValueText=f"{axis} ?")
        # three beside each other: neither as wide as the largest number, nor as wide
        # as napari's style wants a single one
        size.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        size.setStyleSheet("min-width: 40px; padding: 0px 2px")
        size.setButtonSymbols(QDoubleSpinBox.ButtonSymbols.NoButtons)
        size.setToolTip(f"micrometres per voxel along {axis}")
        size.valueChanged.connect(self.changed)
        return size

    @property
    def value(self) -> tuple[float, float, float] | None:
        """Micrometres per voxel along (z, y, x), None until all are given."""
        z, y, x = (size.value() for size in self._sizes)
        return (z, y, x) if min(z, y, x) > 0 else None

    @value.setter
    def value(self, zyx: tuple[float, float, float]) -> None:
        for size, number in zip(self._sizes, zyx, strict=True):
            size.setValue(number)

    def show_spacing(self, spacing: "Spacing | None") -> None:
        """Show what a file says of itself; without that, let a person say it."""
        self.value = spacing.zyx if spacing else (0.0, 0.0, 0.0)
        for size in self._sizes:
            size.setReadOnly(spacing is not None)
        if spacing:
            self._note.say(f"µm along z, y, x; read from: {spacing.origin}")
        else:
            self._note.say(
                "The file does not say. Enter µm along z, y, x, or leave it open: "
                "then nothing can be measured in µm."
            )
