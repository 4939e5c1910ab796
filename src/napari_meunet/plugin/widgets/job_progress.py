"""How far a job is."""

from time import monotonic

from qtpy.QtWidgets import QProgressBar, QVBoxLayout, QWidget

from napari_meunet.plugin.jobs import Job
from napari_meunet.plugin.widgets.note import Note
from napari_meunet.progress import Pace, Progress
from napari_meunet.words import time_in_words


class JobProgress(QWidget):
    """Shows how much is done, and the time left.

    Parameters
    ----------
    says_what
        Whether it says what is being done, too, where nothing else does.
    """

    def __init__(self, *, says_what: bool = False) -> None:
        super().__init__()
        self._says_what = says_what
        self.bar = QProgressBar(toolTip="how much of the work is done")
        self.note = Note(muted=True)
        self._pace = Pace()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.bar)
        layout.addWidget(self.note)

    def follow(self, job: Job) -> None:
        """Show a job that is about to start."""
        job.progressed.connect(self._show)
        self.bar.setRange(0, 0)
        self.note.say("Starting…")
        self.restart_clock()

    def restart_clock(self) -> None:
        """Measure the pace anew, as standing still is not slowness."""
        self._pace = Pace()

    def _show(self, progress: Progress) -> None:
        self.bar.setRange(0, progress.total)
        self.bar.setValue(progress.done)
        left = self._pace.seconds_left(progress, monotonic())
        says = self._says_what and progress.message
        what = f"{progress.message}: " if says else ""
        parts = [f"{what}{progress.done} of {progress.total} {progress.unit}"]
        if left is None:
            parts.append("warming up")
        elif progress.done < progress.total:
            parts.append(f"about {time_in_words(left)} left")
        self.note.say(", ".join(parts))
