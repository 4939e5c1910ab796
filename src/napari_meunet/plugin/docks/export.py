"""The Export dock: labels to a file for other programs."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari.layers import Labels
from qtpy.QtWidgets import QCheckBox, QFormLayout, QPushButton

from napari_meunet.plugin.docks.dock import Dock
from napari_meunet.plugin.jobs import Ending, Job
from napari_meunet.plugin.layers import labels_of, store_of
from napari_meunet.plugin.widgets.fields.layer_choice import LayerChoice
from napari_meunet.plugin.widgets.fields.path_field import PathField
from napari_meunet.plugin.widgets.job_row import JobRow
from napari_meunet.plugin.widgets.note import Note
from napari_meunet.progress import Steps

if TYPE_CHECKING:
    import napari

FILTERS = (
    "TIFF with spacing (*.ome.tif *.tif *.tiff);;NIfTI (*.nii.gz *.nii);;"
    "OME-Zarr (*.ome.zarr *.zarr)"
)


class ExportWidget(Dock):
    """Writes a labels layer, plane by plane, in the background.

    Parameters
    ----------
    napari_viewer
        Whose layers.
    """

    def __init__(self, napari_viewer: "napari.viewer.Viewer") -> None:
        super().__init__(napari_viewer)
        self.layer = LayerChoice(napari_viewer, Labels, "the labels to export")
        self.path = PathField(
            "new file",
            "the suffix chooses the format: .ome.tif, .tif, .nii.gz, .nii, .ome.zarr",
            save=True,
            filters=FILTERS,
        )
        self.overwrite = QCheckBox("replace the file if it exists")
        self.overwrite.setToolTip("the old file goes when the new one is complete")
        self.export = QPushButton("Export", clicked=self._start)
        self.note = Note(muted=True)
        self._row = JobRow()
        self._suggested: Path | None = None
        self._job: Job | None = None
        self.layer.changed.connect(self._suggest)
        for changed in (
            self.layer.changed,
            self.path.changed,
            self.overwrite.toggled,
        ):
            changed.connect(self._refresh)
        self._lay_out()
        self._suggest()
        self._refresh()

    def _lay_out(self) -> None:
        form = QFormLayout()
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        form.addRow("Labels", self.layer)
        form.addRow("File", self.path)
        form.addRow("", self.overwrite)
        self.column.addLayout(form)
        for part in (self.note, self.export, self._row):
            self.column.addWidget(part)
        self.column.addStretch()

    def _suggest(self) -> None:
        """Propose a file beside the labels folder, unless a person named one."""
        layer = self.layer.layer
        if layer is None or self.path.path not in (None, self._suggested):
            return
        store = store_of(layer)
        name = f"{store.folder.stem if store else layer.name}_labels.ome.tif"
        folder = store.folder.parent if store else Path.home()
        self._suggested = folder / name
        self.path.path = self._suggested

    def _refresh(self) -> None:
        self._refresh_button()
        self.note.say(self._obstacle())

    def _refresh_button(self) -> None:
        reason = self._obstacle()
        self.export.setEnabled(not reason)
        self.export.setToolTip(reason or "write the labels, plane by plane")

    def _obstacle(self) -> str:
        path = self.path.path
        if self._job is not None:
            return "an export is running"
        if self.layer.layer is None:
            return "Add a labels layer first: run Segment, or open a labels folder."
        if path is None:
            return "Choose a file; its suffix chooses the format."
        if path.exists() and not self.overwrite.isChecked():
            return f"{path.name} exists: allow replacing it, or choose another name."
        return ""

    def _start(self) -> None:
        layer, path = self.layer.layer, self.path.path
        if layer is None or path is None:
            return
        attributes = {
            "scale": layer.scale,
            "units": layer.units,
            "metadata": layer.metadata,
        }
        overwrite = self.overwrite.isChecked()
        self._job = Job(_export(layer.data, attributes, path, overwrite), self)
        self._row.follow(self._job)
        self._job.failed.connect(self.note.warn)
        self._job.ended.connect(lambda ending: self._end(ending, path))
        self.note.say("")
        self._refresh_button()
        self._job.start()

    def _end(self, ending: Ending, path: Path) -> None:
        self._job = None
        self._refresh_button()
        if ending is Ending.COMPLETE:
            self.note.say_where("Written:", path)


def _export(
    data: Any, attributes: dict[str, Any], path: Path, overwrite: bool
) -> Steps:
    from napari_meunet.export.export import export_labels

    array, spacing, classes = labels_of(data, attributes)
    yield from export_labels(array, path, spacing, classes=classes, overwrite=overwrite)
