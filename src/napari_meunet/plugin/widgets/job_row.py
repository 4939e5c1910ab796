"""The progress of a job, and the buttons to hold or stop it."""

from qtpy.QtWidgets import QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from napari_meunet.plugin.jobs import Job
from napari_meunet.plugin.widgets.job_progress import JobProgress


class JobRow(QWidget):
    """Shows one job at a time, and deletes it at its end; hidden without one.

    Parameters
    ----------
    says_what
        See `JobProgress`.
    """

    def __init__(self, *, says_what: bool = False) -> None:
        super().__init__()
        self._progress = JobProgress(says_what=says_what)
        self.bar, self.note = self._progress.bar, self._progress.note
        self.pause = QPushButton("Pause", clicked=self._pause_or_resume)
        self.pause.setToolTip("stand still after the current step")
        self.cancel = QPushButton("Cancel", clicked=self._cancel)
        self.cancel.setToolTip("stop after the current step; what is done stays")
        self._job: Job | None = None
        self._paused = False
        buttons = QHBoxLayout()
        buttons.addWidget(self.pause)
        buttons.addWidget(self.cancel)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._progress)
        layout.addLayout(buttons)
        self.hide()

    def follow(self, job: Job) -> None:
        """Show a job until it ends."""
        self._job = job
        self._progress.follow(job)
        job.paused.connect(self._show_pause)
        job.ended.connect(self._end)
        self._show_pause(False)
        self.cancel.setEnabled(True)
        self.show()

    def _show_pause(self, paused: bool) -> None:
        self._paused = paused
        self._progress.restart_clock()
        self.pause.setEnabled(True)
        self.pause.setText("Go on" if paused else "Pause")
        if paused:
            self.note.say("Paused")

    def _pause_or_resume(self) -> None:
        if self._job is None:
            return
        self.pause.setEnabled(False)
        if self._paused:
            self._job.resume()
        else:
            self._job.pause()
            self.note.say("Pausing after this step…")

    def _cancel(self) -> None:
        if self._job is not None:
            self._job.cancel()
            self.cancel.setEnabled(False)
            self.pause.setEnabled(False)
            self.note.say("Stopping after this step…")

    def _end(self) -> None:
        if self._job is not None:
            self._job.deleteLater()
        self._job = None
        self.hide()
