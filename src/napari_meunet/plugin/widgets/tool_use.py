"""A tool at work: how far it is, and what has become of it."""

from typing import TYPE_CHECKING

from napari.layers import Labels
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_meunet.plugin.hold import hold
from napari_meunet.plugin.jobs import Ending, Job
from napari_meunet.plugin.widgets.history_list import planes_in_words
from napari_meunet.plugin.widgets.job_row import JobRow
from napari_meunet.plugin.widgets.note import Note

if TYPE_CHECKING:
    from napari_meunet.labels.box import Box
    from napari_meunet.labels.journal.history import Stroke
    from napari_meunet.labels.store import LabelStore
    from napari_meunet.labels.tools.tool import Tool


class ToolUse(QWidget):
    """Uses one tool at a time on a layer; nobody paints meanwhile."""

    changed = Signal()
    """It began, or ended."""

    def __init__(self) -> None:
        super().__init__()
        self._job: Job | None = None
        self._told_at: int | None = None
        self.row = JobRow()
        self.row.cancel.setToolTip("stop, and change nothing")
        self.result = Note(muted=True)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.row)
        column.addWidget(self.result)

    @property
    def busy(self) -> bool:
        """Whether a tool is at work."""
        return self._job is not None

    def begin(
        self, layer: Labels, store: "LabelStore", tool: "Tool", box: "Box"
    ) -> None:
        """Let a tool work; not while another one does, or much is being undone."""
        if self.busy or not layer.editable:
            return
        done = store.journal.history.done
        last = done[-1] if done else None
        self._job = job = Job(store.use(tool, box), self)
        job.when_over(hold(layer))
        job.failed.connect(self.result.warn)
        job.ended.connect(lambda ending: self._end(ending, store, last))
        self.result.say("")
        self.row.follow(job)
        self.changed.emit()
        job.start()

    def _end(self, ending: Ending, store: "LabelStore", last: "Stroke | None") -> None:
        """Say what has become of it; `last` was the last stroke before."""
        job, self._job = self._job, None
        done = store.journal.history.done
        if done and done[-1] is not last and ending is not Ending.FAILED:
            stroke = done[-1]  # a tool may end before it is cancelled
            self.result.say(
                f"{stroke.n_voxels:,} voxels have changed, {planes_in_words(stroke)}; "
                "undo takes it back."
            )
        elif job is not None and job.late_error:
            self.result.warn(job.late_error)
        elif ending is Ending.CANCELLED:
            self.result.say("Stopped; nothing has changed.")
        elif ending is Ending.COMPLETE:
            self.result.say("There was nothing to change.")
        self._told_at = store.journal.n_changes
        self.changed.emit()

    def forget(self, n_changes: int) -> None:
        """Say nothing of a tool any more, once something else has changed."""
        if self._told_at is not None and n_changes != self._told_at:
            self._told_at = None
            self.result.say("")
