"""The Segment dock: a scan, a model, a plan, a run."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari.layers import Image, Labels
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QFormLayout, QPushButton

from napari_meunet.errors import MeUNetError
from napari_meunet.plugin.docks.dock import Dock
from napari_meunet.plugin.doubt import doubt_layer, doubts
from napari_meunet.plugin.jobs import Ending, Job, Question, tell
from napari_meunet.plugin.layers import (
    folder_name,
    folder_of_labels,
    show_classes,
    shows_planes,
    store_of,
    volume_of,
    writable_store_of,
)
from napari_meunet.plugin.overviews import refresh
from napari_meunet.plugin.segmentation import (
    Forecast,
    Run,
    Task,
    finished_now,
    forecast,
    prepare,
)
from napari_meunet.plugin.widgets.fields.layer_choice import LayerChoice
from napari_meunet.plugin.widgets.fields.model_choice import ModelChoice
from napari_meunet.plugin.widgets.fields.options_form import OptionsForm
from napari_meunet.plugin.widgets.fields.path_field import PathField
from napari_meunet.plugin.widgets.job_row import JobRow
from napari_meunet.plugin.widgets.legend import Legend
from napari_meunet.plugin.widgets.note import Note
from napari_meunet.plugin.widgets.rows import show_row
from napari_meunet.progress import Progress

if TYPE_CHECKING:
    import napari

    from napari_meunet.labels.store import LabelStore
    from napari_meunet.volume.volume import Volume

CHANGING_MILLISECONDS = 300
"""The plan is made when nothing was changed for so long."""


class SegmentWidget(Dock):
    """Plans a run, runs it and shows its labels as they come.

    Parameters
    ----------
    napari_viewer
        Whose layers.
    """

    def __init__(self, napari_viewer: "napari.viewer.Viewer") -> None:
        super().__init__(napari_viewer)
        self._volume: Volume | None = None
        self._task: Task | None = None
        self._forecast: Forecast | None = None
        self._problem = ""
        self._job: Job | None = None
        self._labels: Labels | None = None
        self._shown: Progress | None = None
        self._make_fields()
        self._lay_out()
        self._connect()
        self._take_image()

    def _make_fields(self) -> None:
        self.image = LayerChoice(self._viewer, Image, "the scan to segment")
        self.model = ModelChoice()
        self.legend = Legend()
        self.options = OptionsForm()
        self.folder = PathField(
            "labels folder",
            "where the labels are kept; painting goes there too",
            folder=True,
        )
        self.plan = Note()
        self.run = QPushButton("Run")
        self.row = JobRow()
        self.result = Note(muted=True)
        self.doubt = QPushButton("Show where the model is unsure")

    def _lay_out(self) -> None:
        self._form = form = QFormLayout()
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        form.addRow("Image", self.image)
        form.addRow("Model", self.model)
        form.addRow(self.model.note)
        form.addRow("Classes", self.legend)
        form.addRow("Labels", self.folder)
        self.options.add_rows(form)
        self.column.addLayout(form)
        for part in (self.plan, self.run, self.row, self.result, self.doubt):
            self.column.addWidget(part)
        self.column.addStretch()

    def _connect(self) -> None:
        self._opening = Question(self)
        self._opening.answered.connect(self._take_volume)
        self._opening.failed.connect(self._show_problem)
        self._planning = Question(self)
        self._planning.answered.connect(self._show_forecast)
        self._planning.failed.connect(self._show_problem)
        self._preparing = Question(self)
        self._preparing.answered.connect(self._begin)
        self._preparing.failed.connect(self._fail_to_begin)
        self._changing = QTimer(self, singleShot=True, interval=CHANGING_MILLISECONDS)
        self._changing.timeout.connect(self._ask_forecast)
        self.image.changed.connect(self._take_image)
        for field in (self.model, self.options, self.folder):
            field.changed.connect(self._change)
        self.legend.chosen.connect(self._paint_with)
        self.run.clicked.connect(self._prepare)
        self.doubt.clicked.connect(self._show_doubt)
        events = self._viewer.layers.events
        events.removed.connect(self._cancel_without_labels)
        events.inserted.connect(self._take_note_of_labels)
        for emitter in (events.inserted, events.removed):  # as `LayerChoice`
            self.destroyed.connect(lambda _=None, e=emitter: e.disconnect(self))

    # what is asked for

    def _take_image(self) -> None:
        """Look at the chosen image; if another reader opened it, at its file."""
        self._volume, self._problem = None, ""
        self.folder.path = None
        layer = self.image.layer
        if layer is None:
            self._opening.drop()
        else:
            self._opening.ask(volume_of, layer)
        self._change()

    def _take_volume(self, volume: "Volume") -> None:
        """Propose where the labels go, unless a person has said it meanwhile."""
        self._volume = volume
        if self.folder.path is None:
            self.folder.path = folder_of_labels(volume, self.image.currentText())
        self._change()

    def _change(self) -> None:
        self._task, self._forecast = None, None
        card = self.model.card
        self.legend.show_classes(card.classes if card else ())
        show_row(self._form, self.legend, card is not None)
        self._planning.drop()
        self._changing.start()
        self._refresh()

    def _ask_forecast(self) -> None:
        card, folder = self.model.card, self.folder.path
        if self._volume is None or card is None or folder is None:
            return
        if folder.suffix != ".meunet":  # a folder chosen to put the labels into
            folder = folder / folder_name(self.image.currentText())
        self._problem = ""
        self._task = Task(
            self._volume, self.model.model, card, self.options.value, folder
        )
        self._planning.ask(forecast, self._task)
        self._refresh()

    def _show_forecast(self, answer: Forecast) -> None:
        self._forecast = answer
        self._refresh()

    def _show_problem(self, error: Exception) -> None:
        self._problem = str(error)
        if not isinstance(error, MeUNetError):
            tell(error)
        self._refresh()

    def _refresh(self) -> None:
        """Say what will happen, or why nothing can."""
        waiting = self._waiting_for()
        self.run.setEnabled(not (waiting or self._problem))
        self.run.setToolTip(waiting or self._problem or "label every voxel")
        self.run.setText(self._forecast.action if self._forecast else "Run")
        self._refresh_doubt()
        if self._running:
            self.plan.say("")
        elif self._problem:
            self.plan.warn(self._problem)
        else:
            self.plan.say(waiting or self._forecast.summary)

    @property
    def _running(self) -> bool:
        return self._job is not None or self._preparing.open

    def _waiting_for(self) -> str:
        if self._running:
            return "A run is going on."
        if self.image.layer is None:
            return "Add a scan first: open one in the Open dock, or a sample."
        if self.model.card is None:
            return "Choose a model."
        if self._volume is None:
            return "Looking at the image…"
        if self._forecast is None:
            return "Making a plan…"
        return self._forecast.nothing_left

    # the run

    def _prepare(self) -> None:
        if self._task is None:
            return
        self._labels = self._labels_in_viewer(self._task.folder)
        store = store_of(self._labels) if self._labels else None
        self.result.say("Loading the model…")
        self._preparing.ask(prepare, self._task, store)
        self._refresh()

    def _fail_to_begin(self, error: Exception) -> None:
        tell(error)
        self.result.warn(str(error))
        self._refresh()

    def _begin(self, run: Run) -> None:
        self.result.say("")
        if run.layer is not None:
            self._labels = self._viewer.add_layer(run.layer)
        elif self._labels is not None:
            show_classes(self._labels, run.store.classes)
        else:  # the layer was removed meanwhile, which closed its store
            self._refresh()
            return
        self._shown = None
        self._job = Job(run.steps, self)
        depth = run.store.shape[0]
        self._job.progressed.connect(lambda step: self._show_planes(step, depth))
        self._job.failed.connect(self.result.warn)
        self._job.ended.connect(lambda ending: self._end(ending, run.store))
        self.row.follow(self._job)
        self._refresh()
        self._job.start()

    def _show_planes(self, progress: Progress, depth: int) -> None:
        """Draw the labels anew if planes that are on show have come."""
        if progress.message:  # the plan, or why it had to change
            self.result.say(progress.message)
        new, self._shown = finished_now(self._shown, progress, depth), progress
        if self._labels is not None and shows_planes(self._viewer, self._labels, new):
            for layer in (self._labels, *self._doubts(self._labels)):
                layer.refresh(extent=False, thumbnail=False)
        self._refresh_doubt()

    def _end(self, ending: Ending, store: "LabelStore") -> None:
        self._job = None
        if self._labels is not None:
            for layer in (self._labels, *self._doubts(self._labels)):
                refresh(layer)
        if ending is Ending.COMPLETE:
            self.result.say_where("The labels are in", store.folder)
        elif ending is Ending.CANCELLED:
            self.result.say("Stopped. What is finished is kept.")
        self._ask_forecast()

    # the labels layer

    def _labels_in_viewer(self, folder: Path) -> Labels | None:
        for layer in self._viewer.layers:
            store = writable_store_of(layer)
            if store is not None and store.folder.resolve() == folder.resolve():
                return layer
        return None

    def _cancel_without_labels(self, event: Any) -> None:
        """Stop a run whose labels layer was removed: its store is closed."""
        if self._labels is not None and event.value == self._labels:
            self._labels = None
            if self._job is not None:
                self._job.cancel()
        self._refresh_doubt()

    def _take_note_of_labels(self, event: Any = None) -> None:
        self._refresh_doubt()

    def _asked_for(self) -> Labels | None:
        """Return the layer that shows the labels which a run would write."""
        return self._labels_in_viewer(self._task.folder) if self._task else None

    def _paint_with(self, value: int) -> None:
        layer = self._asked_for()
        if layer is not None:
            layer.selected_label = value
            layer.mode = "paint"
            self._viewer.layers.selection.active = layer

    # the doubt about the labels

    def _show_doubt(self) -> None:
        labels = self._asked_for()
        layer = doubt_layer(store_of(labels)) if labels is not None else None
        if layer is not None:
            self._viewer.add_layer(layer)
        self._refresh_doubt()

    def _doubts(self, labels: Labels) -> list[Image]:
        """Return the layers that show the doubt about labels."""
        store = store_of(labels)
        return [layer for layer in self._viewer.layers if doubts(store, layer)]

    def _refresh_doubt(self) -> None:
        labels = self._asked_for()
        known = labels is not None and store_of(labels).confidence is not None
        self.doubt.setEnabled(known and not self._doubts(labels))
        self.doubt.setToolTip(
            "draw a heat map over scan and labels"
            if known
            else "for labels that a model has made, in the viewer and open for writing"
        )
