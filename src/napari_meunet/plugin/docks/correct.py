"""The Correct dock: where to look, and what was done."""

from typing import TYPE_CHECKING

import numpy as np
from napari.layers import Image, Labels
from numpy.typing import NDArray
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QFormLayout, QGroupBox, QHBoxLayout, QPushButton, QVBoxLayout

from napari_meunet.errors import MeUNetError
from napari_meunet.labels.box import intersection
from napari_meunet.labels.tools.keep import Keep
from napari_meunet.plugin.docks.across_box import AcrossBox
from napari_meunet.plugin.docks.brush_box import BrushBox
from napari_meunet.plugin.docks.dock import Dock
from napari_meunet.plugin.docks.model_box import ModelBox
from napari_meunet.plugin.docks.tools_box import ToolsBox
from napari_meunet.plugin.frame import Frame
from napari_meunet.plugin.keys import chosen_keys, in_words
from napari_meunet.plugin.layers import writable_store_of
from napari_meunet.plugin.tour import Tour
from napari_meunet.plugin.undo import step
from napari_meunet.plugin.view import Cut, fly_to, seen_box, shown_cut
from napari_meunet.plugin.widgets.calibration_curve import CalibrationCurve
from napari_meunet.plugin.widgets.fields.layer_choice import LayerChoice
from napari_meunet.plugin.widgets.history_list import HistoryList
from napari_meunet.plugin.widgets.note import Note

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import napari

    from napari_meunet.labels.box import Box
    from napari_meunet.labels.review import Review, ReviewItem
    from napari_meunet.labels.store import LabelStore

REFRESH_MILLISECONDS = 300


class CorrectWidget(Dock):
    """Leads through the places where the model is unsure, and lists what was done.

    Parameters
    ----------
    napari_viewer
        Whose layers.
    """

    def __init__(self, napari_viewer: "napari.viewer.Viewer") -> None:
        super().__init__(napari_viewer)
        self._tour: Tour | None = None
        self._frame = Frame(napari_viewer)
        self._made_for: object = None
        self._n_changes = -1
        keys = chosen_keys()
        self._make_parts(keys)
        self._lay_out()
        self._connect()
        acts = {
            "next_place": self.go_on,
            "place_before": self.go_back,
            "reviewed": self.mark,
            "keep_plane": self.keep_plane,
            **self.tools.acts,
        }
        self.bind_keys({keys[name]: act for name, act in acts.items()})
        self._take_layer()

    def _make_parts(self, keys: "Mapping[str, str]") -> None:
        self.layer = LayerChoice(self._viewer, Labels, "the labels to correct")
        self.state = Note(muted=True)
        self.place = Note(muted=True)
        self.calibration = CalibrationCurve()
        self.next = QPushButton(f"Next ({in_words(keys['next_place'])})")
        self.next.setToolTip("fly to where most voxels may be wrong")
        self.back = QPushButton("Back")
        self.back.setToolTip(
            f"{in_words(keys['place_before'])}: fly to the place before; it counts as "
            "reviewed no more"
        )
        self.reviewed = QPushButton(f"Reviewed ({in_words(keys['reviewed'])})")
        self.reviewed.setToolTip("this place is right now; go to the next one")
        self.keep = QPushButton(f"Keep this plane ({in_words(keys['keep_plane'])})")
        self.keep.setToolTip(
            "what is in view of this plane of the place is right now: no run changes "
            "it, and a model learns from it; a few planes of many places teach it most"
        )
        self.image = LayerChoice(self._viewer, Image, "the scan that the labels are of")
        self.across = AcrossBox(self._viewer, self.layer, self.image)
        self.tools = ToolsBox(self._viewer, self.layer, self.image, keys)
        self.brush = BrushBox(self.layer, self.image)
        self.model = ModelBox(self._viewer, self.layer, self.image)
        self.undo, self.redo = QPushButton("Undo"), QPushButton("Redo")
        self.undo.setToolTip("Ctrl+Z, with the labels layer selected")
        self.redo.setToolTip("Ctrl+Shift+Z, with the labels layer selected")
        self.history = HistoryList()

    def _lay_out(self) -> None:
        form = QFormLayout()
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        form.addRow("Labels", self.layer)
        form.addRow("Scan", self.image)
        self.column.addLayout(form)
        places, done = QGroupBox("Where the model is unsure"), QGroupBox("Done")
        for box, parts, buttons in (
            (
                places,
                (self.keep, self.place, self.state, self.calibration),
                (self.back, self.next, self.reviewed),
            ),
            (done, (self.history,), (self.undo, self.redo)),
        ):
            column, row = QVBoxLayout(box), QHBoxLayout()
            for button in buttons:
                row.addWidget(button)
            column.addLayout(row)
            for part in parts:
                column.addWidget(part)
        for box in (places, self.across, self.brush, self.tools, done, self.model):
            self.column.addWidget(box)
        self.column.addStretch()

    def _connect(self) -> None:
        self.layer.changed.connect(self._take_layer)
        self.next.clicked.connect(self.go_on)
        self.back.clicked.connect(self.go_back)
        self.reviewed.clicked.connect(self.mark)
        self.keep.clicked.connect(self.keep_plane)
        self.undo.clicked.connect(lambda: self._step(1))
        self.redo.clicked.connect(lambda: self._step(-1))
        self.history.chosen.connect(self._step)
        self.closed.connect(self.brush.release)
        self.closed.connect(self._frame.hide)
        self._clock = QTimer(self)
        self._clock.timeout.connect(self._refresh_history)
        self._clock.timeout.connect(self.tools.name_label)
        self._clock.timeout.connect(self.model.trial.look)
        self._clock.timeout.connect(self.across.look)
        self._clock.start(REFRESH_MILLISECONDS)

    @property
    def _store(self) -> "LabelStore | None":
        """The store that can be written to, of the layer that was chosen."""
        return writable_store_of(self.layer.layer)

    def _take_layer(self) -> None:
        self._tour, self._made_for, self._n_changes = None, None, -1
        self._frame.hide()
        self._look_again()
        self._refresh_history()
        self.tools.take_layer()
        self.brush.refresh()
        self.model.take_layer()

    # where to look

    def go_on(self) -> None:
        """Fly to the worst place that was neither reviewed nor passed by."""
        self._look_again()
        self._go(Tour.go_on)

    def mark(self) -> None:
        """Note that the place in view was looked at, and go to the next one."""
        if self._tour is None or self._tour.current is None:
            return
        cut = shown_cut(self._viewer, self.layer.layer)
        if cut is not None:
            part = self._tour.review.item(self._tour.current).box[cut.axis]
            if not part.start <= cut.plane < part.stop:
                self.place.warn(
                    "What is marked must be in view: go to one of the planes "
                    f"{part.start} to {part.stop - 1}."
                )
                return
        try:
            self._tour.mark()
        except MeUNetError as error:
            self.state.warn(str(error))
        else:
            self.go_on()

    def go_back(self) -> None:
        """Fly to the place before; it counts as reviewed no more."""
        self._look_again()
        self._go(Tour.go_back)

    def keep_plane(self) -> None:
        """Let what is in view of a plane of the place count as a person's.

        Of any plane, before the first place.
        """
        layer, store = self.layer.layer, self._store
        if store is None:
            return
        cut = shown_cut(self._viewer, layer)
        part = self._looked_at(cut) if cut else None
        if not layer.editable:  # a tool is at work
            self.place.warn("The labels cannot be changed just now.")
            return
        if cut is None or part is None:
            where = "2-D" if cut is None else "the place, or fly to one,"
            self.place.warn(f"Show a plane of the labels in {where} first.")
            return
        try:
            for _ in store.use(Keep(), part):
                pass
        except MeUNetError as error:
            self.place.warn(str(error))
        else:
            self._tell_place()

    def _looked_at(self, cut: Cut) -> "Box | None":
        """Return what is in view of a plane, in the place if there is one."""
        seen, tour = cut.of(seen_box(self.layer.layer, cut)), self._tour
        if tour is None or tour.current is None:
            return seen
        return intersection(tour.review.item(tour.current).box, seen)

    def _go(self, step: "Callable[[Tour], ReviewItem | None]") -> None:
        if self._tour is None:
            return
        try:
            item = step(self._tour)
        except MeUNetError as error:
            self.state.warn(str(error))
            return
        if self._tour.current is None:
            self._frame.hide()
        if item is not None:
            self._viewer.layers.selection.active = self.layer.layer
            fly_to(self._viewer, self.layer.layer, item)
            self._frame.show(self.layer.layer, item.box)
            self.across.fly_to(item.center)
        self._say()

    def _look_again(self) -> None:
        """Ask the labels where they may be wrong, if a run has changed them since."""
        store = self._store
        run = store.manifest.run if store else None
        if self._tour is None or run is not self._made_for:
            review = store.review() if store else None
            self._tour = Tour(review) if review else None
            self._made_for = run
        self._say()

    def _tell_place(self) -> None:
        """Say how much of the place is a person's."""
        store, tour = self._store, self._tour
        if store is None or tour is None or tour.current is None:
            self.place.say("")
            return
        cut = shown_cut(self._viewer, self.layer.layer)
        box = tour.review.item(tour.current).box
        self.place.say(
            place_in_words(box, store.corrected.read(box), cut.axis if cut else 0)
        )

    def _say(self) -> None:
        self._tell_place()
        tour = self._tour
        review = tour.review if tour else None
        self.calibration.show_calibration(review.calibration if review else None)
        self.keep.setEnabled(self._store is not None)
        self.next.setEnabled(review is not None and len(review.queue) > 0)
        self.back.setEnabled(tour is not None and tour.can_go_back)
        self.reviewed.setEnabled(tour is not None and tour.current is not None)
        if self._store is None:
            self.state.say("Add labels first: run Segment, or open a labels folder.")
        elif review is None:
            self.state.say("No model has said how sure it is of these labels.")
        else:
            self.state.say(progress_in_words(review))

    # what was done

    def _refresh_history(self) -> None:
        store = self._store
        n_changes = store.journal.n_changes if store else 0
        if n_changes == self._n_changes:
            return
        self._n_changes = n_changes
        self._tell_place()
        for using in (self.tools.using, self.model.trial.using):
            using.forget(n_changes)
        self.history.clear()
        if store is not None:
            self.history.show_history(store.journal.history)
        history = store.journal.history if store else None
        self.undo.setEnabled(history is not None and bool(history.done))
        self.redo.setEnabled(history is not None and bool(history.undone))

    def _step(self, n: int) -> None:
        """Undo `n` strokes, or do so many again if it is negative."""
        store = self._store
        if store is None:
            return
        step(self.layer.layer, store.journal, n)
        self._refresh_history()


def place_in_words(box: "Box", mine: NDArray[np.bool], axis: int) -> str:
    """Return where a place lies, and what of it is a person's.

    Parameters
    ----------
    box
        Of the place.
    mine
        Which of its voxels a person has set or kept, ``(z, y, x)``.
    axis
        Across which its planes are looked at.
    """
    first, stop = box[axis].start, box[axis].stop
    others = tuple(i for i in range(mine.ndim) if i != axis)
    whole = np.flatnonzero(mine.all(axis=others)) + first
    planes = f", all of plane {', '.join(map(str, whole))}" if whole.size else ""
    if whole.size == stop - first:
        planes = ", all of it"
    return (
        f"This place: planes {first} to {stop - 1}; {np.count_nonzero(mine):,} of its "
        f"{mine.size:,} voxels are yours{planes}."
    )


def progress_in_words(review: "Review") -> str:
    """Return how far the review is, and what it leaves."""
    wrong, seen = review.expected_wrong, review.reviewed.places
    n_places = int(np.count_nonzero(review.doubtful))
    n_seen = int(np.count_nonzero(review.doubtful & seen))
    left = float(wrong[~seen].sum())
    share = 1 - left / wrong.sum() if wrong.any() else 1.0
    n = review.n_labelled
    beside = f", beside {n:,.0f} with a label ({left / n:.1%})" if n else ""
    judged = (
        "How often the model errs was measured on "
        f"{review.calibration.n_scans} other scans."
        if review.calibration
        else "How well it judges itself has not been measured."
    )
    return (
        f"{n_seen:,} of {n_places:,} places reviewed, with {share:.0%} of what is "
        f"expected to be wrong. About {left:,.0f} wrong voxels are left"
        f"{beside}. {judged}"
    )
