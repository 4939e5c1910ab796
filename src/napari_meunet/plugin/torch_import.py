"""Importing torch while the window stays alive."""

import ctypes
import importlib.util
import os
import sys
from pathlib import Path

_LIBRARY = {"linux": "libtorch.so", "darwin": "libtorch.dylib"}


def import_torch() -> None:
    """Import torch in a worker thread; the window goes on meanwhile.

    Python keeps its lock while it loads an extension, and torch's libraries take
    most of a second to set themselves up. Loaded before that by the system's own
    `dlopen`, which ctypes calls without the lock, they are there when Python asks.
    """
    spec = importlib.util.find_spec("torch")
    name = _LIBRARY.get(sys.platform)
    if "torch" not in sys.modules and name and spec and spec.origin:
        load = ctypes.CDLL(None).dlopen
        load.restype = ctypes.c_void_p
        library = Path(spec.origin).parent / "lib" / name
        # where this fails, the import does it, or says why it cannot
        load(os.fsencode(library), os.RTLD_NOW | os.RTLD_LOCAL)
    importlib.import_module("torch")
