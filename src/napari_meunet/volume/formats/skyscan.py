"""Logs that SkyScan (Bruker) scanners leave beside their slices."""

from configparser import ConfigParser, Error
from pathlib import Path

from napari_meunet.volume.volume import Spacing


def spacing_from_log(folder: Path, slice_name: str) -> Spacing | None:
    """Return the spacing that the reconstruction log of a folder of slices gives.

    The log is the one whose name the slices begin with, else the only one with a
    reconstruction in it. The size along z counts the step between sections.

    Parameters
    ----------
    folder
        The folder of slices.
    slice_name
        File name of one of them.
    """
    found = {
        path: spacing
        for path in sorted(folder.glob("*.log"))
        if (spacing := read_log(path)) is not None
    }
    named = [path for path in found if slice_name.startswith(path.stem)]
    if named:
        return found[max(named, key=lambda path: len(path.stem))]
    return next(iter(found.values())) if len(found) == 1 else None


def read_log(path: Path) -> Spacing | None:
    """Return the spacing of the reconstruction that a log describes.

    ``Pixel Size (um)`` of the section ``[Reconstruction]`` is read. ``Image Pixel
    Size (um)``, which the log of a bare scan has too, is that of the projections,
    rounded, and is not. None if there is no such entry.
    """
    parser = ConfigParser(
        strict=False, interpolation=None, allow_no_value=True, delimiters="="
    )
    try:
        parser.read_string(path.read_text(encoding="latin-1"))
        size = parser.getfloat("Reconstruction", "Pixel Size (um)")
        step = parser.getfloat("Reconstruction", "Section to Section Step", fallback=1)
    except (Error, ValueError, TypeError):
        return None
    return Spacing((size * step, size, size), path.name) if size * step > 0 else None
