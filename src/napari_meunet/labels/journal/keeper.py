"""Work that is done soon, by another thread."""

import threading
from collections.abc import Callable


class Keeper:
    """A thread that does some work a moment after it was asked to.

    It begins when it is first asked. What is asked for meanwhile is done together.

    Parameters
    ----------
    work
        What to do. If it raises, the keeper ends, and `require_health` raises the same.
    seconds
        How long a moment is.
    """

    def __init__(self, work: Callable[[], None], seconds: float) -> None:
        self._work = work
        self._seconds = seconds
        self._asked, self._closed = threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None
        self._error: Exception | None = None

    def ask(self) -> None:
        """Have the work done within a moment."""
        self._asked.set()
        if self._thread is None:
            self._thread = threading.Thread(
                target=self._keep, name="meunet journal", daemon=True
            )
            self._thread.start()

    def require_health(self) -> None:
        """Raise what the work has raised, if it has."""
        if self._error is not None:
            raise self._error

    def close(self) -> None:
        """End, without doing what was asked for."""
        self._closed.set()
        self._asked.set()
        # the garbage collector may close a store in any thread, this one, too
        if self._thread not in (None, threading.current_thread()):
            self._thread.join()

    def _keep(self) -> None:
        while not self._closed.is_set():
            self._asked.wait()
            self._closed.wait(self._seconds)
            self._asked.clear()
            if self._closed.is_set():
                return
            try:
                self._work()
            except Exception as error:  # noqa: BLE001 - it is raised where it is seen
                self._error = error
                return
