"""The Open dock: look at a scan before it is added, lazily, to the viewer."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari.layers import Layer
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QFormLayout, QLabel, QPushButton, QSpinBox

from napari_meunet.errors import ChoiceError
from napari_meunet.plugin.docks.dock import Dock
from napari_meunet.plugin.jobs import Question, tell
from napari_meunet.plugin.layers import (
    LayerData,
    Shown,
    holds_labels,
    labels_layers,
    scan_layers,
)
from napari_meunet.plugin.widgets.fields.path_field import PathField
from napari_meunet.plugin.widgets.fields.spacing_field import SpacingField
from napari_meunet.plugin.widgets.note import Note
from napari_meunet.plugin.widgets.rows import show_row
from napari_meunet.words import shape_in_words, size_in_words

if TYPE_CHECKING:
    import napari

    from napari_meunet.volume.volume import Spacing, Volume

TYPING_MILLISECONDS = 300
"""A path is looked at when nobody has typed for so long."""


class OpenWidget(Dock):
    """Chooses a scan or its labels, shows what it is, and adds it without reading it.

    Parameters
    ----------
    napari_viewer
        Where the layers go.
    """

    def __init__(self, napari_viewer: "napari.viewer.Viewer") -> None:
        super().__init__(napari_viewer)
        self._found: _Found | None = None
        self._choices: dict[str, int] = {}
        self.path = PathField(
            "file or folder of the scan",
            "the scan, or the labels folder beside it",
            file=True,
            folder=True,
        )
        self.spacing = SpacingField()
        self.add = QPushButton("Add to viewer", clicked=self._add)
        self.add.setToolTip("add it as a layer; nothing is read into memory")
        self.note = Note(muted=True)
        self._facts = {name: QLabel() for name in ("Format", "Shape", "Type", "Size")}
        self.indices = {"channel": self._index(), "time": self._index()}
        self._look = Question(self)
        self._look.answered.connect(self._show)
        self._look.failed.connect(self._show_problem)
        self._load = Question(self)
        self._load.answered.connect(self._add_layers)
        self._load.failed.connect(self._tell)
        self._typing = QTimer(self, singleShot=True, interval=TYPING_MILLISECONDS)
        self._typing.timeout.connect(self._ask)
        self.path.changed.connect(self._forget)
        self._lay_out()
        self._forget()

    def _index(self) -> QSpinBox:
        index = QSpinBox(toolTip="counted from 0")
        index.valueChanged.connect(self._typing_on)
        return index

    def _lay_out(self) -> None:
        self._form = QFormLayout()
        self._form.setFieldGrowthPolicy(
            QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow
        )
        for name, index in self.indices.items():
            self._form.addRow(name.capitalize(), index)
        for name, label in self._facts.items():
            label.setWordWrap(True)
            self._form.addRow(name, label)
        self._form.addRow("Spacing", self.spacing)
        self.column.addWidget(self.path)
        self.column.addLayout(self._form)
        self.column.addWidget(self.note)
        self.column.addWidget(self.add)
        self.column.addStretch()

    def _forget(self) -> None:
        """Start anew with another path."""
        self._choices = {}
        self._show_nothing()
        self._look.drop()
        for name, index in self.indices.items():
            index.setValue(0)
            show_row(self._form, index, name in self._choices)
        if self.path.path is None:
            self.note.say(
                "TIFF, a folder of slices, OME-Zarr or NIfTI, or the .meunet folder "
                "with the labels of one. Choose it, type its path or drop it here. "
                "Nothing is read into memory."
            )
        else:
            self._typing_on()

    def _show_nothing(self) -> None:
        self._found = None
        self.add.setEnabled(False)
        for row in (*self._facts.values(), self.spacing):
            show_row(self._form, row, False)

    def _typing_on(self) -> None:
        self._typing.start()

    def _ask(self) -> None:
        if self.path.path is None:
            return
        self.note.say("Looking at it…")
        chosen = {name: self.indices[name].value() for name in self._choices}
        self._look.ask(_look_at, self.path.path, chosen)

    def _show(self, found: "_Found") -> None:
        self._found = found
        for name, label in self._facts.items():
            label.setText(found.facts.get(name, ""))
            show_row(self._form, label, name in found.facts)
        show_row(self._form, self.spacing, True)
        self.spacing.show_spacing(found.spacing)
        self.note.say("")
        self.add.setEnabled(True)
        if found.volume is None:
            show_row(self._form, self.spacing, found.spacing is not None)
            self.note.say(
                "The scan is added too, if it lies beside its labels and is not open."
            )

    def summary(self) -> dict[str, str]:
        """Return what is shown of the scan; empty without one."""
        return self._found.facts if self._found else {}

    def _show_problem(self, error: Exception) -> None:
        self._show_nothing()
        if isinstance(error, ChoiceError):
            index = self.indices[error.name]
            self._choices[error.name] = error.size
            index.setRange(0, error.size - 1)
            index.setSuffix(f"  of 0 to {error.size - 1}")
            show_row(self._form, index, True)
            self._ask()
        else:
            self.note.warn(str(error))

    def _add(self) -> None:
        if self._found is None:
            return
        volume, shown = self._found.volume, Shown.in_viewer(self._viewer)
        if volume is None:
            made = partial(labels_layers, shown=shown)
            self._load.ask(_made, made, self.path.path)
        else:
            if volume.spacing is None and self.spacing.value is not None:
                volume = volume.with_spacing(self.spacing.value)
            self._load.ask(_made, partial(scan_layers, shown=shown), volume)
        self.add.setEnabled(False)
        self.note.say("Adding it…")

    def _add_layers(self, layers: list[Layer]) -> None:
        for layer in layers:
            self._viewer.add_layer(layer)
        self.note.say("")
        self.add.setEnabled(True)

    def _tell(self, error: Exception) -> None:
        tell(error)
        self.note.warn(str(error))
        self.add.setEnabled(True)


@dataclass(frozen=True)
class _Found:
    """What lies at a path.

    Attributes
    ----------
    facts
        What to show of it.
    spacing
        None if it does not say.
    volume
        The scan; None if it is the labels of one.
    """

    facts: dict[str, str]
    spacing: "Spacing | None"
    volume: "Volume | None" = None


def _look_at(path: Path, chosen: dict[str, int]) -> _Found:
    if holds_labels(path):
        from napari_meunet.labels.manifest import Manifest

        labels = Manifest.read(path)
        facts = {
            "Format": f"labels of {labels.scan.name}",
            "Shape": shape_in_words(labels.scan.shape),
        }
        return _Found(facts, labels.spacing_um())
    from napari_meunet.volume.open import open_volume

    volume = open_volume(path, **chosen)
    facts = {
        "Format": volume.source.format,
        "Shape": shape_in_words(volume.shape),
        "Type": str(volume.dtype),
    }
    if volume.source.n_bytes is not None:
        facts["Size"] = f"{size_in_words(volume.source.n_bytes)} on disk"
    return _Found(facts, volume.spacing, volume)


def _made(data_of: Callable[[Any], list[LayerData]], source: Any) -> list[Layer]:
    """Return layers; the first one of a session takes napari a while to make."""
    return [Layer.create(*data) for data in data_of(source)]
