"""Files that appear whole or not at all."""

import errno
import os
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from napari_meunet.errors import MeUNetError

PATIENCE = 2.0 if sys.platform == "win32" else 0.0
"""Seconds to wait for a file that another program reads."""


KNOWS_NO_FOLDERS = (errno.EACCES, errno.EBADF, errno.EINVAL, errno.ENOTSUP)
"""Errors where folders cannot be synced: on some file systems, mostly on networks, and
without the right to read the folder."""


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path that takes the place of `path` when the block ends.

    The temporary name lies in the same folder and keeps the suffixes of `path`, so
    that writers which look at them still work. If the block raises, or is
    cancelled, the temporary file or folder is removed and `path` is as it was. Only a
    disk that fails while it notes the new name may leave the new content there.
    """
    temporary = path.with_name(f".partial-{os.getpid()}-{path.name}")
    _remove(temporary)
    try:
        yield temporary
        if temporary.is_file():
            flush_to_disk(temporary)
        if temporary.is_dir() or path.is_dir():
            _replace_folder(path, temporary)
        else:
            put(temporary, path)
    finally:
        _remove(temporary)


def put(new: Path, path: Path) -> None:
    """Give a file or folder another name; a file that has it is replaced.

    The name is on the disk when this returns, where `sync_names` can see to it.
    """
    _rename(new, path)
    sync_names(path.parent)


def _rename(new: Path, path: Path) -> None:
    """Give a file or folder another name.

    On Windows, whoever reads a file keeps others from that. Virus scanners do so for
    moments; they are waited for.
    """
    last = time.monotonic() + PATIENCE
    while True:
        try:
            new.replace(path)
        except PermissionError:
            if time.monotonic() >= last:
                raise
            time.sleep(PATIENCE / 40)
        else:
            return


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn the system's refusal to write at `path` into words for the user.

    Raises
    ------
    MeUNetError
        If the block raises an `OSError`: a folder that is missing or read-only, a
        full disk.
    """
    try:
        yield
    except OSError as error:
        raise MeUNetError(
            f"{path} must be writable, got {error.strerror or error}; choose a folder "
            "that you may write to and that has room"
        ) from error


def flush_to_disk(path: Path) -> None:
    """Return when all that was written to a file, or into its map, is on the disk."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def sync_names(folder: Path) -> None:
    """Return when the disk knows which files a folder holds.

    A file that was flushed is not found after a power cut if its name was not. Windows
    offers no way to ask for it.

    Raises
    ------
    OSError
        If the disk fails.
    """
    if sys.platform == "win32":
        return
    try:
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        if error.errno not in KNOWS_NO_FOLDERS:
            raise


def _replace_folder(path: Path, new: Path) -> None:
    """Put `new` at `path`; what lay there is removed last, or put back."""
    old = path.with_name(f".replaced-{os.getpid()}-{path.name}")
    if path.exists():
        _rename(path, old)
    try:
        _rename(new, path)
    except OSError:
        if old.exists():
            _rename(old, path)
        raise
    sync_names(path.parent)
    _remove(old)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
