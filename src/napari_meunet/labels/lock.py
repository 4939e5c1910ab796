"""One writer at a time."""

import getpass
import os
import socket
from datetime import datetime
from pathlib import Path

from filelock import FileLock, Timeout

from napari_meunet.atomic import writing
from napari_meunet.errors import MeUNetError


class WriteLock:
    """The right to write into a labels folder.

    The operating system holds the lock and drops it when the process ends, however
    it ends; a small text beside it says who holds it.

    Parameters
    ----------
    folder
        The labels folder.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._owner = folder / "owner.txt"
        # not per thread: a worker may close what the viewer has opened
        self._lock = FileLock(folder / "lock", thread_local=False)

    def acquire(self) -> None:
        """Take the lock.

        Raises
        ------
        MeUNetError
            If another opening, in this process or elsewhere, holds it, or the folder
            is read-only.
        """
        with writing(self._folder):
            try:
                self._lock.acquire(timeout=0)
            except Timeout as error:
                raise MeUNetError(
                    "labels can be changed in one place at a time, got "
                    f"{self._folder}, which {self._owner_text()} has open; close it "
                    "there, or open the labels for reading only"
                ) from error
            try:
                self._owner.write_text(_me(), encoding="utf-8")
            except OSError:
                self._lock.release()
                raise

    def release(self) -> None:
        """Give the lock back; without it, nothing happens."""
        if not self._lock.is_locked:
            return  # the owner may be another one by now
        try:
            self._owner.unlink(missing_ok=True)
        finally:
            self._lock.release()

    def _owner_text(self) -> str:
        try:
            return self._owner.read_text(encoding="utf-8")
        except OSError:
            return "a program that has just opened it"


def _me() -> str:
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a user without a name, as in some containers
        user = "unknown user"
    since = datetime.now().astimezone().strftime("%Y-%m-%d %H:%M")
    return f"{user}@{socket.gethostname()} (process {os.getpid()}, since {since})"
