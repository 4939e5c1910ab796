"""The part of the Correct dock that tries a model on what is in view."""

from math import prod
from typing import TYPE_CHECKING

from napari.layers import Labels
from qtpy.QtWidgets import (
    QComboBox,
    QFormLayout,
    QHBoxLayout,
    QPushButton,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from napari_meunet.labels.box import extent, intersection
from napari_meunet.labels.tools.adopt import Adopt
from napari_meunet.plugin.jobs import Ending, Job, Question
from napari_meunet.plugin.layers import writable_store_of
from napari_meunet.plugin.tools import Where, box_of
from napari_meunet.plugin.trial import Trial, Tried, try_as_asked
from napari_meunet.plugin.view import Cut, seen_box, shown_cut
from napari_meunet.plugin.widgets.comparison import Comparison
from napari_meunet.plugin.widgets.fields.layer_choice import LayerChoice
from napari_meunet.plugin.widgets.fields.model_choice import ModelChoice
from napari_meunet.plugin.widgets.job_row import JobRow
from napari_meunet.plugin.widgets.note import Note
from napari_meunet.plugin.widgets.tool_use import ToolUse
from napari_meunet.progress import keeping

if TYPE_CHECKING:
    import napari

    from napari_meunet.labels.store import LabelStore
    from napari_meunet.plugin.trial import SideBySide

PLANES_BESIDE = 8

MOST_TRIED = 2**27
"""Voxels: new labels are kept in memory."""


class TrialBox(QWidget):
    """Tries a model on what is in view; a person takes over what they like.

    Parameters
    ----------
    viewer
        Whose view.
    layers, image, model
        Say which labels, of which scan, and which model.
    """

    def __init__(
        self,
        viewer: "napari.viewer.Viewer",
        layers: LayerChoice,
        image: LayerChoice,
        model: ModelChoice,
    ) -> None:
        super().__init__()
        self._viewer = viewer
        self._layers, self._image, self._model = layers, image, model
        self._job: Job | None = None
        self._tried: Tried | None = None
        self._outlines: Labels | None = None
        self._shown: object = None
        self._reading = Question(self)
        self._reading.answered.connect(self._show)
        self._make_parts()
        self._lay_out()
        self.try_it.clicked.connect(self.begin)
        self.take.clicked.connect(self.take_over)
        self.dismiss.clicked.connect(self.forget)
        self.using.changed.connect(self.refresh)
        self.refresh()

    def _make_parts(self) -> None:
        self.try_it = QPushButton("Try it in view")
        self.try_it.setToolTip("label what is in view with this model, beside yours")
        self.n_beside = QSpinBox(value=PLANES_BESIDE, maximum=10**6)
        self.n_beside.setToolTip("planes on each side of this one")
        self.row = JobRow()
        self.row.cancel.setToolTip("stop; nothing is kept")
        self.comparison = Comparison()
        self.where = QComboBox(toolTip="where the model's new labels shall count")
        self.where.addItems([place.value for place in Where])
        self.take = QPushButton("Take over")
        self.take.setToolTip(
            "what you have corrected or reviewed stays; undo takes it back"
        )
        self.dismiss = QPushButton("Dismiss")
        self.dismiss.setToolTip("forget what was tried; your labels stay as they are")
        self.using = ToolUse()
        self.result = Note(muted=True)

    def _lay_out(self) -> None:
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        form = QFormLayout()
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        form.addRow("Planes beside", self.n_beside)
        column.addLayout(form)
        for part in (self.try_it, self.row, self.comparison):
            column.addWidget(part)
        self.choices = QWidget()
        rows, buttons = QVBoxLayout(self.choices), QHBoxLayout()
        rows.setContentsMargins(0, 0, 0, 0)
        rows.addWidget(self.where)
        rows.addLayout(buttons)
        for button in (self.take, self.dismiss):
            buttons.addWidget(button)
        for part in (self.choices, self.using, self.result):
            column.addWidget(part)

    @property
    def _store(self) -> "LabelStore | None":
        return writable_store_of(self._layers.layer)

    @property
    def _cut(self) -> Cut | None:
        return shown_cut(self._viewer, self._layers.layer)

    @property
    def busy(self) -> bool:
        """Whether a model is being tried, or taken over."""
        return self._job is not None or self.using.busy

    def refresh(self) -> None:
        """Allow what can be done, and forget what was tried on labels that went."""
        store = self._store
        if self._tried is not None and self._tried.store is not store:
            self.forget()
        known = self._image.layer is not None and self._model.card is not None
        self.try_it.setEnabled(known and store is not None and not self.busy)
        self.choices.setVisible(self._tried is not None)
        for button in (self.take, self.dismiss):
            button.setEnabled(not self.busy)
        self.look()

    # trying

    def begin(self) -> None:
        """Label what is in view with the chosen model."""
        layer, store = self._layers.layer, self._store
        if store is None or self.busy:
            return
        cut = self._cut
        box = box_of(Where.VIEW, layer, cut, self.n_beside.value())
        if box is None:
            self.result.warn("Show a plane of the labels in 2-D first.")
            return
        if prod(extent(box)) > MOST_TRIED:
            self.result.warn(
                "Look nearer, or at fewer planes: that is too much to try."
            )
            return
        self.forget()
        trial = Trial(self._image.layer, store, self._model.model, box)
        found: list[Tried] = []
        self._job = job = Job(keeping(try_as_asked(trial), found), self)
        job.failed.connect(self.result.warn)
        job.ended.connect(lambda ending: self._end(ending, found))
        self.row.follow(job)
        self.result.say("")
        self.refresh()
        job.start()

    def _end(self, ending: Ending, found: list[Tried]) -> None:
        self._job = None
        if found and found[0].store is self._store:
            self._tried = found[0]
            layer = self._layers.layer
            self._outlines = self._viewer.add_layer(found[0].layer_over(layer))
            self._viewer.layers.selection.active = layer
            self.result.say(_in_words(found[0].n_different))
        elif ending is Ending.CANCELLED:
            self.result.say("Stopped.")
        self.refresh()

    def look(self) -> None:
        """Show the plane in view three times, if something of it has changed."""
        tried, cut = self._tried, self._cut if self._store else None
        if tried is None or cut is None:
            self._shown = None
            self._reading.drop()
            self.comparison.show_planes(None, ())
            return
        seen = cut.of(seen_box(self._layers.layer, cut))
        part = intersection(seen, tried.box)
        now = part, tried.store.journal.n_changes
        if now == self._shown or self._reading.open:
            return
        self._shown = now
        if part is None:
            self.comparison.show_planes(None, ())
        else:
            self._reading.ask(tried.side_by_side, part, cut.axis)

    def _show(self, planes: "SideBySide") -> None:
        if self._tried is not None:
            self.comparison.show_planes(planes, self._tried.store.classes)

    # taking over

    def take_over(self) -> None:
        """Let the new labels count where it was asked for."""
        layer, tried = self._layers.layer, self._tried
        if tried is None:
            return
        where = Where(self.where.currentText())
        asked = box_of(where, layer, self._cut, self.n_beside.value())
        box = asked and intersection(asked, tried.box)
        if box is None:
            self.using.result.warn("Nothing of what was tried is in view.")
            return
        self.using.begin(layer, tried.store, Adopt(tried.box, tried.labels), box)

    def forget(self) -> None:
        """Let what was tried go."""
        self._tried = None
        if self._outlines in self._viewer.layers:
            self._viewer.layers.remove(self._outlines)
        self._outlines = None
        self.result.say("")
        self.using.result.say("")
        self.refresh()


def _in_words(n_different: int) -> str:
    """Return what a person should know of what was tried."""
    if not n_different:
        return "The new labels are the same as those that are there."
    voxels = "voxel differs" if n_different == 1 else "voxels differ"
    return f"The outlines in the picture are the new labels: {n_different:,} {voxels}."
