"""The part of the Correct dock where a model learns, and is tried."""

from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtWidgets import QFormLayout, QGroupBox, QPushButton

from napari_meunet.network.card import BUNDLED
from napari_meunet.plugin.docks.trial_box import TrialBox
from napari_meunet.plugin.jobs import Ending, Job
from napari_meunet.plugin.layers import writable_store_of
from napari_meunet.plugin.learning import (
    Lesson,
    learn_as_asked,
    new_model_path,
    outcome_in_words,
)
from napari_meunet.plugin.widgets.fields.layer_choice import LayerChoice
from napari_meunet.plugin.widgets.fields.model_choice import ModelChoice, new_models
from napari_meunet.plugin.widgets.job_row import JobRow
from napari_meunet.plugin.widgets.note import Note
from napari_meunet.progress import keeping

if TYPE_CHECKING:
    import napari

    from napari_meunet.labels.store import LabelStore
    from napari_meunet.learning.comparison import Outcome

ABOUT = (
    "The model learns from what you have corrected, kept and reviewed; a few planes of "
    "many places teach it most. It stays only if it is then better on parts of the "
    "scan that it is not shown."
)


class ModelBox(QGroupBox):
    """Lets a model learn from the corrections of a layer, beside the work on it.

    Parameters
    ----------
    viewer
        Whose scan.
    layers, image
        Say which labels, of which scan.
    """

    def __init__(
        self, viewer: "napari.viewer.Viewer", layers: LayerChoice, image: LayerChoice
    ) -> None:
        super().__init__("The model")
        self._layers, self.image = layers, image
        self._job: Job | None = None
        self.model = ModelChoice()
        self.trial = TrialBox(viewer, layers, self.image, self.model)
        self.learn = QPushButton("Learn from my corrections")
        self.learn.setToolTip("takes some minutes; go on with your work meanwhile")
        self.row = JobRow(says_what=True)
        self.row.cancel.setToolTip(
            "stop; the next time it goes on where it was, if you have corrected nothing"
        )
        self.result = Note(ABOUT, muted=True)
        self.back = QPushButton("Back to the model before")
        self.back.setToolTip("choose the model that has learned again")
        self._before = ""
        form = QFormLayout(self)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        form.addRow("Model", self.model)
        form.addRow(self.model.note)
        for part in (self.learn, self.row, self.result, self.back, self.trial):
            form.addRow(part)
        self.back.hide()
        self.learn.clicked.connect(self.begin)
        self.back.clicked.connect(self.go_back)
        using = self.trial.using.changed
        for changed in (self.image.changed, self.model.changed, using):
            changed.connect(self.refresh)
        self.refresh()

    @property
    def _store(self) -> "LabelStore | None":
        return writable_store_of(self._layers.layer)

    def take_layer(self) -> None:
        """Propose the model that made the labels, if it is still there."""
        source = self._store.model_source if self._store else ""
        if source == BUNDLED or Path(source).is_file():
            self.model.model = source
        self.back.hide()
        self.refresh()

    def refresh(self) -> None:
        """Allow what can be done."""
        working = self._job is not None or self.trial.busy
        self.setEnabled(self._store is not None or working)
        self.trial.refresh()
        known = self.image.layer is not None and self.model.card is not None
        self.learn.setEnabled(known and self._job is None)

    def begin(self) -> None:
        """Let the model learn."""
        store = self._store
        if store is None or self._job is not None:
            return
        self.back.hide()
        output = new_model_path(store.folder)
        lesson = Lesson(self.image.layer, store.folder, self.model.model, output)
        outcomes: list[Outcome] = []
        self._job = job = Job(keeping(learn_as_asked(lesson), outcomes), self)
        job.failed.connect(self.result.warn)
        job.ended.connect(lambda ending: self._end(ending, lesson, outcomes))
        self.row.follow(job)
        self.result.say("")
        self.refresh()
        job.start()

    def _end(self, ending: Ending, lesson: Lesson, outcomes: "list[Outcome]") -> None:
        self._job = None
        if ending is Ending.CANCELLED:
            self.result.say(
                "Stopped; press again to go on with it, or to begin anew with what you "
                "have corrected meanwhile."
            )
        for outcome in outcomes:
            self.result.say(outcome_in_words(outcome, lesson.output))
            if outcome.is_better:
                new_models.add(lesson.output)
                self.model.model, self._before = lesson.output, lesson.model
                self.back.show()
        self.refresh()

    def go_back(self) -> None:
        """Choose the model that was chosen before the last lesson."""
        self.model.model = self._before
        self.back.hide()
        self.result.say("The model before is chosen again; the new one is in the list.")
