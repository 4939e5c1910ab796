"""Reads scans and labels folders when napari opens a path."""

from collections.abc import Callable, Sequence
from pathlib import Path

import napari

from napari_meunet.errors import ChoiceError, MeUNetError
from napari_meunet.plugin.layers import (
    LayerData,
    Shown,
    holds_labels,
    labels_layers,
    scan_layers,
)
from napari_meunet.plugin.watch import watch_current_viewer
from napari_meunet.volume.open import open_volume

Path_ = str | Sequence[str]
_SLICES = {".tif", ".tiff", ".png", ".bmp", ".jpg", ".jpeg"}


def get_reader(path: Path_) -> Callable[[Path_], list[LayerData]] | None:
    """Return the reader, or None for a folder that cannot be one of ours."""
    first = Path(path if isinstance(path, str) else path[0])
    if not isinstance(path, str) and len(path) > 1:
        return None  # napari asks to stack files; a folder of slices is one scan
    if first.is_dir() and not _may_be_ours(first):
        return None
    return read


def read(path: Path_) -> list[LayerData]:
    """Return the layers of a scan and its labels, whichever of the two is opened.

    Raises
    ------
    MeUNetError
        If the path cannot be read; the message says why and what to do.
    """
    watch_current_viewer()
    scan = Path(path if isinstance(path, str) else path[0])
    shown = Shown.in_viewer(napari.current_viewer())
    if holds_labels(scan):
        return labels_layers(scan, shown)
    try:
        return scan_layers(open_volume(scan), shown)
    except ChoiceError as error:
        raise MeUNetError(f"{error}, or choose it in the Open dock") from error


def _may_be_ours(folder: Path) -> bool:
    if folder.suffix == ".zarr" or holds_labels(folder):
        return True
    return any(file.suffix.lower() in _SLICES for file in folder.iterdir())
