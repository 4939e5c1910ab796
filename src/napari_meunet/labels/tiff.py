"""The working copy of the labels: a valid TIFF that is written in place."""

import math
import shutil
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from napari_meunet.config import Shape
from napari_meunet.errors import MeUNetError
from napari_meunet.volume.volume import Spacing

RESERVE = 64 * 2**20
"""Bytes kept free for the file system's own blocks around what is written."""

LabelMap = np.memmap[tuple[int, ...], np.dtype[np.uint8]]
"""Labels ``(z, y, x)`` on disk, as an array."""


def create_tiff(path: Path, shape: Shape, spacing: Spacing | None) -> None:
    """Create a BigTIFF of zeros: uint8 ``(z, y, x)``, contiguous, uncompressed.

    The voxels are a hole in the file where the file system knows holes, so this
    takes milliseconds for any shape.
    """
    tifffile.imwrite(
        path,
        shape=shape,
        dtype=np.uint8,
        bigtiff=True,
        photometric="minisblack",
        **ome_calibration(spacing),
    )


def open_tiff(path: Path, shape: Shape, *, writable: bool) -> LabelMap:
    """Return the voxels of what `create_tiff` wrote as a memory map.

    Raises
    ------
    MeUNetError
        If the file is missing, was replaced by one that cannot be written in place,
        or holds other voxels than `shape`.
    """
    remedy = "restore the file, or remove the folder to start anew"
    try:
        found = tifffile.memmap(path, mode="r")
    except (OSError, ValueError, tifffile.TiffFileError) as error:
        raise MeUNetError(
            f"{path} must be an uncompressed TIFF that can be mapped into memory, got "
            f"{error}; {remedy}"
        ) from error
    # the size, not the shape: tifffile drops axes of one voxel
    if found.dtype != np.uint8 or found.size != math.prod(shape):
        raise MeUNetError(
            f"{path} must hold uint8 labels of shape {shape}, got {found.dtype} "
            f"{found.shape}; {remedy}"
        )
    return np.memmap(path, np.uint8, "r+" if writable else "r", found.offset, shape)


def calibrate_tiff(path: Path, shape: Shape, spacing: Spacing) -> None:
    """Change the spacing of what `create_tiff` wrote; the voxels stay untouched."""
    arguments = ome_calibration(spacing)
    z, y, x = shape
    xml = tifffile.OmeXml()
    xml.addimage("uint8", shape, (z, 1, 1, y, x, 1), **arguments["metadata"])
    with tifffile.TiffFile(path, mode="r+") as tif:
        tags = tif.pages.first.tags
        tags["ImageDescription"].overwrite(xml.tostring(declaration=True).encode())
        tags["ResolutionUnit"].overwrite(tifffile.RESUNIT.CENTIMETER)
        x_per_cm, y_per_cm = arguments["resolution"]
        tags["XResolution"].overwrite(x_per_cm)
        tags["YResolution"].overwrite(y_per_cm)


def ome_calibration(spacing: Spacing | None) -> dict[str, Any]:
    """Return the arguments that make tifffile write OME metadata ``(z, y, x)``.

    OME readers (Fiji) take the size of a voxel from the metadata, in micrometres;
    libtiff readers (ITK) take it from the resolution tags, which know only x and y.
    Without a spacing nothing is claimed.
    """
    if spacing is None:
        return {"ome": True, "metadata": {"axes": "ZYX"}}
    z, y, x = spacing.zyx
    metadata: dict[str, Any] = {"axes": "ZYX"}
    for axis, size in zip("ZYX", (z, y, x), strict=True):
        metadata |= {f"PhysicalSize{axis}": size, f"PhysicalSize{axis}Unit": "µm"}
    return {
        "ome": True,
        "metadata": metadata,
        "resolution": (_per_cm(x), _per_cm(y)),
        "resolutionunit": "CENTIMETER",
    }


def _per_cm(um: float) -> tuple[int, int]:
    """Return voxels per centimetre as a TIFF tag says it: a ratio of 32-bit integers.

    A voxel below 2.4e-6 um, which is a mistake of the unit, is said to be that large.
    """
    largest = 2**32 - 1
    per_cm = Fraction(1e4 / um)
    limit = min(largest, int(largest / per_cm))
    ratio = per_cm.limit_denominator(max(1, limit))
    return min(ratio.numerator, largest), ratio.denominator


def require_room(folder: Path, n_bytes: int) -> None:
    """Refuse to start what the disk cannot hold.

    Writing to a hole of a memory-mapped file on a full disk kills the process
    (SIGBUS), so this is asked before, never found out.

    Raises
    ------
    MeUNetError
        If the disk of `folder` has fewer than `n_bytes` free.
    """
    free = shutil.disk_usage(folder).free
    if free < n_bytes:
        raise MeUNetError(
            f"the disk must have {_gb(n_bytes)} free for {folder.name}, got "
            f"{_gb(free)}; make room or choose a folder on another disk"
        )


def hole_bytes(path: Path) -> int:
    """Return how much of a sparse file has no place on the disk yet."""
    status = path.stat()
    # Windows does not tell, and makes no holes unless asked
    blocks = getattr(status, "st_blocks", None)
    return 0 if blocks is None else max(0, status.st_size - 512 * blocks)


def _gb(n_bytes: int) -> str:
    return f"{n_bytes / 1e9:.3g} GB"
