"""Where large temporary files go."""

import os
import shutil
import tempfile
from pathlib import Path

_NAMED_BY_THE_USER = ("TMPDIR", "TEMP", "TMP")
_ON_DISK = Path("/var/tmp")  # noqa: S108  what is made there has random names


def folder_with_room(n_bytes: int, *preferred: Path) -> Path:
    """Return the first folder with room for `n_bytes`; of none, that with the most.

    A folder named by ``TMPDIR`` is the only one. Else the `preferred` ones come first,
    where one may write, and the system's last: on many it lies in memory.
    """
    system = Path(tempfile.gettempdir())
    if any(os.environ.get(name) for name in _NAMED_BY_THE_USER):
        return system
    folders = [
        folder
        for folder in (*preferred, _ON_DISK, system)
        if folder.is_dir() and os.access(folder, os.W_OK)
    ]
    free = {folder: shutil.disk_usage(folder).free for folder in folders}
    return next(
        (folder for folder in folders if free[folder] >= n_bytes),
        max(free, key=free.__getitem__),
    )
