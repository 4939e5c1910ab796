"""The Train dock: from a few painted planes, or many labelled scans, to a model."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from napari.layers import Layer
from qtpy.QtWidgets import QHBoxLayout, QMessageBox, QPushButton, QWidget

from napari_meunet.config import LabelClass
from napari_meunet.errors import MeUNetError
from napari_meunet.plugin.docks.dock import Dock
from napari_meunet.plugin.docks.train_form import TrainForm
from napari_meunet.plugin.jobs import Ending, Job, Question, tell
from napari_meunet.plugin.layers import shown_plane
from napari_meunet.plugin.training import (
    Course,
    Figure,
    Task,
    Watch,
    discard,
    mark_as_empty,
    new_labels,
    train_as_asked,
    unfinished_request,
)
from napari_meunet.plugin.widgets.curves import Curves
from napari_meunet.plugin.widgets.job_progress import JobProgress
from napari_meunet.plugin.widgets.note import Note
from napari_meunet.plugin.widgets.plane_picture import PlanePicture
from napari_meunet.progress import Progress
from napari_meunet.training.output import state_path

if TYPE_CHECKING:
    import napari

    from napari_meunet.training.loop.preview import Look

LOSS_COLOR = "#3f8fd9"
PICTURE = "colours: what the model finds; white outlines: the labels drawn"


class TrainWidget(Dock):
    """Trains a model, shows how it learns, and goes on with what was interrupted.

    A pause ends the work and keeps its state on the disk, so that it is the same as
    closing the dock, or napari.

    Parameters
    ----------
    napari_viewer
        Whose layers.
    """

    def __init__(self, napari_viewer: "napari.viewer.Viewer") -> None:
        super().__init__(napari_viewer)
        self._job: Job | None = None
        self._watch = Watch()
        self._task: Task | None = None
        self._classes: tuple[LabelClass, ...] = ()
        self._look: Look | None = None
        self._done = 0.0
        self._stopping = ""
        self._discarding = False
        self._failure = ""
        self._make_parts(napari_viewer)
        self._lay_out()
        self._labelling = Question(self)
        self._labelling.answered.connect(self._add_labels)
        self._labelling.failed.connect(self._tell)
        self.form.changed.connect(self._refresh)
        self.form.empty.clicked.connect(self._mark_empty)
        self.form.output.changed.connect(self._look_for_unfinished)
        self._look_for_unfinished()

    def _make_parts(self, viewer: "napari.viewer.Viewer") -> None:
        self.form = TrainForm(viewer)
        self.note = Note(muted=True)
        self.paint = QPushButton("New labels", clicked=self._ask_labels)
        self.paint.setToolTip("add a layer to paint these classes on, beside the scan")
        self.train = QPushButton("Train", clicked=self._start)
        self.discard = QPushButton("Discard…", clicked=self._discard)
        self.discard.setToolTip("remove the unfinished training, to begin anew")
        self.progress = JobProgress()
        self.pause = QPushButton("Pause", clicked=self._pause)
        self.pause.setToolTip(
            "stop after the current step and keep everything, to go on at any time, "
            "also after napari was closed"
        )
        self.cancel = QPushButton("Cancel…", clicked=self._cancel)
        self.cancel.setToolTip("stop and remove what is unfinished")
        self.result = Note(muted=True)
        self.segment = QPushButton("Use it in Segment", clicked=self._segment)
        self.segment.setToolTip("open the Segment dock with the new model")
        self.loss = Curves("Loss", "how wrong the model is: the lower, the better")
        self.dice = Curves(
            "Dice",
            "how well the labels of the validation scans are met: 1 is perfect",
            top=1.0,
        )
        self.picture = PlanePicture(PICTURE)
        self.caption = Note(muted=True)

    def _lay_out(self) -> None:
        self.column.addWidget(self.form)
        self.column.addWidget(self.note)
        self.column.addLayout(_beside(self.paint, self.train, self.discard))
        self.column.addWidget(self.progress)
        self.column.addLayout(_beside(self.pause, self.cancel))
        for part in (self.result, self.segment, self.loss, self.dice):
            self.column.addWidget(part)
        for part in (self.caption, self.picture):
            self.column.addWidget(part)
        self.column.addStretch()

    # what lies there, and what can be done

    def _look_for_unfinished(self) -> None:
        """Take up the settings and curves of an unfinished training, if any."""
        if self._job is not None:
            return
        output = self.form.output.path
        request = unfinished_request(output) if output else None
        if request and output:
            # it may have been moved since
            self.form.value = request.model_copy(update={"output": output})
        self.form.lock(request is not None)
        self._show_past(goes_on=request is not None)
        self.result.say("")
        self.segment.hide()
        self._refresh()

    def _show_past(self, *, goes_on: bool) -> None:
        """Begin the curves anew, or with what was logged before the pause."""
        request, self._classes = self.form.value, self.form.class_list
        course = Course(request.config)
        self._total, self._done = max(1, course.total), 0.0
        names = {f"Dice {label.name}": label.color for label in self._classes[1:]}
        self.loss.begin(self._total, {"loss": LOSS_COLOR})
        self.dice.begin(self._total, names)
        self._draw(course.figures(request.output) if goes_on else [])
        if not goes_on:
            self.picture.clear()
            self.caption.say("")

    def _refresh(self) -> None:
        """Say what will happen, or why nothing can."""
        running, waits = self._job is not None, self._unfinished()
        obstacle = self.form.obstacle()
        self.form.setEnabled(not running)
        self.train.setVisible(not running)
        self.train.setEnabled(not obstacle)
        self.train.setText(f"Go on at {self._done:.0%}" if waits else "Train")
        self.train.setToolTip(obstacle or "make a model; it can be paused at any time")
        self.paint.setVisible(not running and self.form.lacks_labels)
        self.discard.setVisible(waits and not running)
        measuring = running and self._watch.is_trained
        for part in (self.progress, self.cancel):
            part.setVisible(running)
        self.pause.setVisible(running and not measuring)
        self.cancel.setText("Skip measuring" if measuring else "Cancel…")
        if running:
            self.note.say("")
        elif waits:
            self.note.say(f"{self._about_unfinished()} {obstacle}")
        else:
            self.note.say(obstacle)

    def _unfinished(self) -> bool:
        output = self.form.output.path
        return output is not None and state_path(output).exists()

    def _about_unfinished(self) -> str:
        names = ", ".join(label.name for label in self.form.class_list[1:])
        return (
            f"An unfinished training of {names} lies here. It goes on with the same "
            "scans and settings; choose another file to train something else."
        )

    # labels to begin with

    def _ask_labels(self) -> None:
        if not self._labelling.open:  # two would make the same folder
            self._labelling.ask(new_labels, self.form.image.layer, self.form.class_list)

    def _add_labels(self, layer: Layer) -> None:
        self._viewer.add_layer(layer)
        layer.selected_label = 1
        layer.mode = "paint"

    def _mark_empty(self) -> None:
        layer = self.form.labels.layer
        z = shown_plane(self._viewer, layer)
        try:
            mark_as_empty(layer, z)
        except MeUNetError as error:
            self._tell(error)
        else:
            self.result.say(f"Plane {z} counts as painted: there is nothing in it.")

    def _tell(self, error: Exception) -> None:
        tell(error)
        self.result.warn(str(error))

    # the training

    def _start(self) -> None:
        self._task = task = self.form.task
        self._watch, self._look = Watch(), None
        self._stopping, self._discarding, self._failure = "", False, ""
        self._show_past(goes_on=self._unfinished())
        self.form.lock(True)
        self.result.say("Reading the scans and labels…")
        self.segment.hide()
        self._job = Job(train_as_asked(task, self._watch), self)
        self._job.progressed.connect(self._show)
        self._job.failed.connect(self._fail)
        self._job.ended.connect(self._end)
        self.progress.follow(self._job)
        for button in (self.pause, self.cancel):
            button.setEnabled(True)
        self._refresh()
        self._job.start()

    def _show(self, progress: Progress) -> None:
        title = "Complete" if self._watch.is_trained else "Training"
        self.result.say(self._stopping or f"{title}: {progress.message}.")
        if self._watch.is_trained:
            self._refresh()
        self.note.warn(self._watch.remark)
        figures = self._watch.figures
        self._draw([figures.popleft() for _ in range(len(figures))])
        look = self._watch.look
        if look is not None and look is not self._look:
            self._look = look
            planes = look.image, look.labels, look.found
            self.picture.show_plane(*planes, self._classes)
            learned = "learned from" if look.trained_on else "not learned from"
            image = " The image is made up from the labels." if look.made_up else ""
            self.caption.say(
                f"Plane {look.z} of {look.scan}, {learned}.{image} Colours: the model. "
                "White lines: the labels."
            )

    def _draw(self, figures: Sequence[Figure]) -> None:
        for curves in (self.loss, self.dice):
            curves.add(figures)
            curves.setVisible(curves.drawn)
        last = max((figure.step for figure in figures), default=0)
        self._done = max(self._done, last / self._total)

    def _pause(self) -> None:
        self._stop("Pausing: finishing this step…")

    def _cancel(self) -> None:
        if self._watch.is_trained:
            self._stop("Stopping…")
        elif self._sure():
            self._discarding = True
            self._stop("Stopping after this step…")

    def _stop(self, words: str) -> None:
        if self._job is not None:
            self._job.cancel()
            self.pause.setEnabled(False)
            self.cancel.setEnabled(False)
            self._stopping = words
            self.result.say(words)

    def _fail(self, error: str) -> None:
        self._failure = error
        self.result.warn(error)

    def _end(self, ending: Ending) -> None:
        job, self._job = self._job, None
        if job is not None:
            job.deleteLater()
        output = self._output()
        if self._watch.is_trained:
            self.result.say_where("The model is in", output)
            self.segment.show()
        elif self._discarding:
            discard(output)
            self._show_past(goes_on=False)
            self.result.say("Removed.")
        elif job is not None and job.late_error:
            self.result.warn(f"Stopped, but not everything is kept: {job.late_error}")
        elif ending is Ending.CANCELLED:
            kept = unfinished_request(output) is not None
            words = "Paused. Everything is kept." if kept else "Stopped at once."
            self.result.say(words)
        self.form.lock(unfinished_request(output) is not None)
        self._refresh()
        if self._watch.is_trained and ending is not Ending.COMPLETE:
            reason = self._failure or "it was not wanted"
            self.note.warn(f"It was not measured: {reason}.")

    def _output(self) -> Path:
        """Return the file of the last training; the form may show another by now."""
        return self._task.request.output if self._task else Path()

    def _discard(self) -> None:
        output = self.form.output.path
        if output is not None and self._sure():
            discard(output)
            self._look_for_unfinished()

    def _sure(self) -> bool:
        answer = QMessageBox.question(
            self,
            "Remove the unfinished training?",
            "What was learned so far will be lost.",
        )
        return answer == QMessageBox.StandardButton.Yes

    def _segment(self) -> None:
        dock, widget = self._viewer.window.add_plugin_dock_widget(
            "napari-meunet", "Segment"
        )
        widget.model.model = self._output()
        dock.show()
        dock.raise_()


def _beside(*widgets: QWidget) -> QHBoxLayout:
    row = QHBoxLayout()
    for widget in widgets:
        row.addWidget(widget)
    return row
