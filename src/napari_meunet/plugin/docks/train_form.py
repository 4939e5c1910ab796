"""What to learn from, how, and where the model goes."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from napari.layers import Image, Labels
from qtpy.QtCore import Signal
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDoubleSpinBox,
    QFormLayout,
    QLineEdit,
    QPushButton,
    QWidget,
)

from napari_meunet.config import LabelClass
from napari_meunet.errors import MeUNetError
from napari_meunet.network.classes import class_table, class_words, named_classes
from napari_meunet.plugin.docks.training_options import TrainingOptions
from napari_meunet.plugin.layers import store_of
from napari_meunet.plugin.training import Request, Task
from napari_meunet.plugin.widgets.fields.layer_choice import LayerChoice
from napari_meunet.plugin.widgets.fields.model_choice import ModelChoice
from napari_meunet.plugin.widgets.fields.path_field import PathField
from napari_meunet.plugin.widgets.rows import show_row
from napari_meunet.training.output import MODEL_SUFFIX

if TYPE_CHECKING:
    from napari.components import ViewerModel

OPEN_SCAN, FOLDER = "the scan that is open", "a folder of scans"
NOTHING, MODEL = "nothing", "a model"


class TrainForm(QWidget):
    """Edits a `Request` and chooses the layers it is about.

    Parameters
    ----------
    viewer
        Whose layers.
    """

    changed = Signal()

    def __init__(self, viewer: "ViewerModel") -> None:
        super().__init__()
        self._suggested: Path | None = None
        self._locked = False
        self._make_data_fields(viewer)
        self._make_learning_fields()
        self._lay_out()
        self._connect()
        self._take_source()

    def _make_data_fields(self, viewer: "ViewerModel") -> None:
        self.source = QComboBox(toolTip="what the model learns from")
        self.source.addItems([OPEN_SCAN, FOLDER])
        self.image = LayerChoice(viewer, Image, "the scan that was labelled")
        self.labels = LayerChoice(viewer, Labels, "the labels that were painted")
        self.folder = PathField(
            "NAME.tif, NAME_labels.tif",
            "a folder of scans, each with its labels beside it: fly.tif and "
            "fly_labels.tif; labels alone are enough if all images are made up, see "
            "Made-up images under more options",
            folder=True,
        )
        self.painted = QCheckBox("only the painted planes")
        self.painted.setToolTip(
            "learn from the z planes that hold labels, and leave out all others; paint "
            "those planes completely, whatever is not painted there is background"
        )
        self.empty = QPushButton("Nothing in this plane")
        self.empty.setToolTip(
            "let the plane that is shown count as painted, though there is nothing to "
            "paint: it teaches the model what is none of the classes"
        )
        self.classes = QLineEdit(placeholderText="gut, ovary")
        self.classes.setToolTip(
            "the names of labels 1, 2, … with commas between them; or NAME=VALUE for "
            "labels of other values: left=21, right=2"
        )
        self.voxel_size = QDoubleSpinBox(suffix=" um", maximum=1000, decimals=4)
        self.voxel_size.setSpecialValueText("automatic")
        self.voxel_size.setToolTip(
            "how large the voxels are that the model learns from and will see, several "
            "of the scan as one; automatic is every voxel of the scan, or what the "
            "model to start from knows. For things that are hundreds of voxels large, "
            "take voxels of which they have some 20 to 100: it learns faster, and sees "
            "more of what lies around. Its labels are drawn at every voxel of a scan"
        )
        self.validation = PathField(
            "optional",
            "a folder of labelled scans that are not learned from, to measure Dice on",
            folder=True,
        )

    def _make_learning_fields(self) -> None:
        self.start = QComboBox(
            toolTip="a model that knows the same classes learns faster than a new one"
        )
        self.start.addItems([NOTHING, MODEL])
        self.model = ModelChoice()
        self.options = TrainingOptions()
        self.description = QLineEdit(placeholderText="optional")
        self.description.setToolTip("what the scans are, for the model's card")
        self.licence = QLineEdit(placeholderText="optional, such as CC0-1.0")
        self.licence.setToolTip("of the model, for its card")
        self.output = PathField(
            "new file",
            f"where the model goes, a {MODEL_SUFFIX} file; loss and Dice go to a .csv "
            "file beside it",
            save=True,
            filters=f"Models (*{MODEL_SUFFIX})",
        )
        self.overwrite = QCheckBox("replace the file if it exists")
        self.overwrite.setToolTip("the old model goes when the new one is complete")

    def _lay_out(self) -> None:
        self._form = form = QFormLayout(self)
        form.setContentsMargins(0, 0, 0, 0)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        form.addRow("Learn from", self.source)
        form.addRow("Image", self.image)
        form.addRow("Labels", self.labels)
        form.addRow("Folder", self.folder)
        form.addRow("", self.painted)
        form.addRow("", self.empty)
        form.addRow("Classes", self.classes)
        form.addRow("Voxel size", self.voxel_size)
        form.addRow("Validation", self.validation)
        form.addRow("Start from", self.start)
        form.addRow("Model", self.model)
        form.addRow("", self.model.note)
        self.options.add_rows(form)
        form.addRow("Data", self.description)
        form.addRow("Licence", self.licence)
        form.addRow("Save to", self.output)
        form.addRow("", self.overwrite)

    def _connect(self) -> None:
        self.source.currentIndexChanged.connect(self._take_source)
        self.painted.toggled.connect(self._show_rows)
        self.labels.changed.connect(self._show_rows)
        self.start.currentIndexChanged.connect(self._show_rows)
        self.options.more.changed.connect(self._show_rows)
        self.model.changed.connect(self._show_rows)
        for field in (self.image, self.labels, self.folder):
            field.changed.connect(self._suggest)
        for changed in (
            self.validation.changed,
            self.model.changed,
            self.output.changed,
            self.options.changed,
            self.start.currentIndexChanged,
            self.classes.textChanged,
            self.overwrite.toggled,
        ):
            changed.connect(self._tell)

    # what is asked for

    @property
    def from_viewer(self) -> bool:
        """Whether the model learns from the layers that are open."""
        return self.source.currentText() == OPEN_SCAN

    @property
    def known_classes(self) -> tuple[LabelClass, ...]:
        """The classes, as far as labels or model say them."""
        if self.from_viewer:
            store = store_of(self.labels.layer) if self.labels.layer else None
            if store is not None:
                return store.classes
        card = self.model.card
        if self.start.currentText() == MODEL and card is not None:
            return card.classes
        return ()

    @property
    def class_list(self) -> tuple[LabelClass, ...]:
        """The classes, background first; that alone while nobody has named them."""
        try:
            return self.known_classes or self._written_classes()
        except MeUNetError:  # the obstacle tells
            return named_classes(())

    def _written_classes(self) -> tuple[LabelClass, ...]:
        words = [word.strip() for word in self.classes.text().split(",")]
        return class_table([word for word in words if word])

    @property
    def lacks_labels(self) -> bool:
        """Whether there is a scan to paint on, its classes are named, and no labels."""
        layers = self.from_viewer and self.image.layer and not self.labels.layer
        return bool(layers) and len(self.class_list) > 1

    def obstacle(self) -> str:
        """Return why nothing can be trained, else nothing."""
        if self.from_viewer and self.image.layer is None:
            return "Open a scan first, in the Open dock, or a sample."
        if self.from_viewer and self.labels.layer is None:
            return (
                "Paint a few planes first: name the classes, then press New labels, or "
                "open the labels that you have."
            )
        if not self.from_viewer and self.folder.path is None:
            return "Choose the folder with the scans and their labels."
        if self.start.currentText() == MODEL and self.model.card is None:
            return "Choose a model to start from."
        if len(self.class_list) < 2:
            return self._classes_obstacle()
        output = self.output.path
        if output is None:
            return "Choose a file for the model."
        # an unfinished training was allowed to when it began
        if output.exists() and not (self._locked or self.overwrite.isChecked()):
            return f"{output.name} exists: allow replacing it, or choose another name."
        return ""

    def _classes_obstacle(self) -> str:
        try:
            self._written_classes()
        except MeUNetError as error:
            return f"{error}."
        return "Name the classes: what label 1 is, label 2, and so on."

    @property
    def task(self) -> Task:
        """What to do, where there is no obstacle."""
        if self.from_viewer:
            return Task(self.value, self.image.layer, self.labels.layer)
        return Task(self.value)

    @property
    def value(self) -> Request:
        """The request as shown."""
        return Request(
            folder=None if self.from_viewer else self.folder.path,
            validation=self.validation.path,
            painted_planes=self.painted.isChecked(),
            voxel_size=self.voxel_size.value() or None,
            classes=self.class_list,
            initial=self.model.model if self.start.currentText() == MODEL else None,
            config=self.options.value,
            output=self.output.path or Path(),
            description=self.description.text(),
            licence=self.licence.text(),
        )

    @value.setter
    def value(self, request: Request) -> None:
        self.blockSignals(True)
        self.source.setCurrentText(FOLDER if request.folder else OPEN_SCAN)
        self.folder.path = request.folder
        self.validation.path = request.validation
        self.painted.setChecked(request.painted_planes)
        self.voxel_size.setValue(request.voxel_size or 0)
        self.classes.setText(", ".join(class_words(request.classes)))
        self.start.setCurrentText(MODEL if request.initial else NOTHING)
        if request.initial:
            self.model.model = request.initial
        self.options.value = request.config
        self.description.setText(request.description)
        self.licence.setText(request.licence)
        self.output.path = request.output
        self.blockSignals(False)
        self._show_rows()

    def lock(self, locked: bool) -> None:
        """Hide what an unfinished training has settled, or show it again."""
        self._locked = locked
        self._show_rows()

    # how it follows

    def _take_source(self) -> None:
        self.painted.setChecked(self.from_viewer)
        self._show_rows()
        self._suggest()

    def _suggest(self) -> None:
        """Propose a file beside the data, unless a person named one."""
        if self.signalsBlocked() or not self.isEnabled():
            return  # a request is taken up, or trained
        if self.output.path in (None, self._suggested):
            self._suggested = self._beside_data()
            self.output.path = self._suggested
        self._tell()

    def _beside_data(self) -> Path | None:
        folder, layer = self.folder.path, self.labels.layer
        if not self.from_viewer:
            return folder and folder / f"{folder.name}-model{MODEL_SUFFIX}"
        if layer is None or self.image.layer is None:
            return None
        store = store_of(layer)
        if store is not None:
            return store.folder.with_name(f"{store.folder.stem}-model{MODEL_SUFFIX}")
        name = self.image.currentText().replace("/", "-")
        return Path.home() / f"{name}-model{MODEL_SUFFIX}"

    def _tell(self) -> None:
        known = self.known_classes[1:]
        self.classes.setReadOnly(bool(known))
        if known:
            self.classes.setText(", ".join(class_words(self.known_classes)))
        self.changed.emit()

    def _show_rows(self) -> None:
        free, here = not self._locked, self.from_viewer
        model = free and self.start.currentText() == MODEL
        more = free and self.options.more.value
        self._show_each((self.image, self.labels), here)
        self._show_each((self.folder,), not here)
        self._show_each((self.source, self.painted, self.classes), free)
        self._show_each((self.voxel_size,), free)
        marks = free and here and self.painted.isChecked()
        self._show_each((self.empty,), marks and self.labels.layer is not None)
        self._show_each((self.validation, self.start, self.overwrite), free)
        self._show_each((self.model, self.model.note), model)
        self._show_each((self.description, self.licence), more)
        self.options.show_rows(free)
        self.folder.setEnabled(free)

    def _show_each(self, fields: Sequence[QWidget], visible: bool) -> None:
        for field in fields:
            show_row(self._form, field, visible)
