"""Long work beside the window.

One guard for `Iterator[Progress]` in napari's generator workers, against their traps:
a `RuntimeError` in a generator ends the worker without any signal, and torch's errors
are of that class; `quit` leaves the generator open; a slot for every yield floods the
event loop; and the worker's own progress bar nests event loops until the process
aborts.
"""

import atexit
import logging
from collections.abc import Callable, Iterator
from contextlib import closing
from enum import Enum
from time import monotonic
from typing import Any

from napari.qt.threading import create_worker
from napari.utils.notifications import notification_manager, show_error
from qtpy.QtCore import QObject, QTimer, Signal
from superqt.utils import FunctionWorker, GeneratorWorker, WorkerBase
from superqt.utils import create_worker as create_unlisted_worker

from napari_meunet.errors import MeUNetError
from napari_meunet.progress import Progress, Steps

YIELD_SECONDS = 0.1
"""At least this long between two yields; a yield is where pause and cancel act."""

REFRESH_MILLISECONDS = 200
"""How often the window looks at the progress."""

EXIT_MILLISECONDS = 30_000
"""How long the end of the process waits for work that is asked to stop."""

logger = logging.getLogger(__name__)

# A script may end without an event loop, and so without napari's own waiting. What a
# thread then tells an object that is gone aborts the process.
atexit.register(WorkerBase.await_workers, EXIT_MILLISECONDS)


class Ending(Enum):
    """How a job ended."""

    COMPLETE = "complete"
    CANCELLED = "cancelled"
    FAILED = "failed"


class Job(QObject):
    """Runs steps in a worker thread and tells the window, at its own pace.

    Parameters
    ----------
    steps
        The work. It runs and is closed in the worker thread, however it ends.
    parent
        Owner; when it goes, the job is cancelled and its signals reach nothing.

    Attributes
    ----------
    late_error
        What went wrong after it was cancelled, while it came to its end; nobody has
        been told.
    """

    progressed = Signal(object)
    """The latest `Progress`; at most five times a second."""

    paused = Signal(bool)
    """True when the work stands still, False when it goes on."""

    failed = Signal(str)
    """What went wrong; the person has been told already."""

    ended = Signal(object)
    """The last signal, always: the `Ending`."""

    def __init__(self, steps: Steps, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.late_error = ""
        self._latest: Progress | None = None
        self._shown: Progress | None = None
        self._ending = Ending.COMPLETE
        self._worker = create_worker(
            _guarded, steps, self._report, _worker_class=_Worker, _ignore_errors=True
        )
        self._worker.errored.connect(self._tell_error)
        self._worker.warned.connect(_relay_warning)
        self._worker.paused.connect(self._stand_still)
        self._worker.resumed.connect(self._go_on)
        self._worker.finished.connect(self._end)
        # the dock was closed: nobody could stop the work any more
        self.destroyed.connect(self._worker.quit)
        self._timer = QTimer(self)
        self._timer.setInterval(REFRESH_MILLISECONDS)
        self._timer.timeout.connect(self._show_latest)

    def start(self) -> None:
        """Start the worker thread."""
        self._timer.start()
        self._worker.start()

    def when_over(self, act: Callable[[], None]) -> None:
        """Have something done when the work is over, be the owner there or gone."""
        self._worker.finished.connect(act)

    def pause(self) -> None:
        """Stand still after the current step; `paused` tells when."""
        self._worker.pause()

    def resume(self) -> None:
        """Go on after a pause."""
        self._worker.resume()

    def cancel(self) -> None:
        """Stop after the current step; what has been done stays."""
        self._worker.quit()

    def _report(self, progress: Progress) -> None:
        self._latest = progress  # called in the worker thread: one reference changes

    def _show_latest(self) -> None:
        if self._latest is not self._shown:
            self._shown = self._latest
            self.progressed.emit(self._latest)

    def _stand_still(self) -> None:
        self.paused.emit(True)

    def _go_on(self) -> None:
        self.paused.emit(False)

    def _tell_error(self, error: Exception) -> None:
        if self._worker.abort_requested:
            logger.info("an error after cancelling: %s", error)
            self.late_error = str(error)
            return
        self._ending = Ending.FAILED
        tell(error)
        self.failed.emit(str(error))

    def _end(self) -> None:
        self._timer.stop()
        self._show_latest()
        if self._worker.abort_requested:
            self._ending = Ending.CANCELLED
        self.ended.emit(self._ending)


class Question(QObject):
    """Asks a function in a worker thread; only the last question is answered.

    Parameters
    ----------
    parent
        Owner; when it goes, no answer reaches anything any more.
    """

    answered = Signal(object)
    """What the function returned."""

    failed = Signal(object)
    """What the function raised."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._worker: FunctionWorker[Any] | None = None

    @property
    def open(self) -> bool:
        """Whether an answer is still to come."""
        return self._worker is not None

    def ask(self, function: Callable[..., Any], *arguments: Any) -> None:
        """Ask; an answer to an earlier question will be dropped."""
        worker = create_unlisted_worker(function, *arguments, _ignore_errors=True)
        worker.returned.connect(self._answer)
        worker.errored.connect(self._fail)
        self._worker = worker
        worker.start()

    def drop(self) -> None:
        """Forget the question, if one is open."""
        self._worker = None

    def _answer(self, answer: Any) -> None:
        if self._closes():
            self.answered.emit(answer)

    def _fail(self, error: Exception) -> None:
        if self._closes():
            self.failed.emit(error)

    def _closes(self) -> bool:
        """Close the last question if the signal being received is about that one.

        Disconnecting earlier ones would not do: their signals may be under way.
        """
        if self._worker is None or self.sender() is not self._worker.signals:
            return False
        self._worker = None
        return True


def tell(error: Exception) -> None:
    """Show an error as a notification; only a bug comes with its traceback."""
    if isinstance(error, MeUNetError):
        logger.info("told the user", exc_info=error)
        show_error(str(error))
    else:
        notification_manager.receive_error(type(error), error, error.__traceback__)


class _Worker(GeneratorWorker):
    """Closes the steps in its own thread: their cleaning up may wait for a disk."""

    def __init__(self, function: Any, steps: Steps, report: Any) -> None:
        super().__init__(function, steps, report)
        self._steps = steps

    def work(self) -> Any:
        with closing(self._steps):
            return super().work()


def _guarded(
    steps: Iterator[Progress], report: Callable[[Progress], None]
) -> Iterator[None]:
    """Report every step, yield now and then, and let no `RuntimeError` through."""
    yielded = monotonic()
    try:
        for step in steps:
            report(step)
            if monotonic() - yielded >= YIELD_SECONDS:
                yielded = monotonic()
                yield
    except RuntimeError as error:
        raise MeUNetError(
            f"the work must run without errors of the device, got: {error}; lower the "
            "memory budget, or choose another device"
        ) from error


def _relay_warning(warning: tuple[Any, ...]) -> None:
    notification_manager.receive_warning(*warning)
