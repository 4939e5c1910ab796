"""TIFF: what Fiji opens with the size of its voxels."""

from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from napari_meunet.export.planes import planes_of
from napari_meunet.labels.tiff import ome_calibration
from napari_meunet.progress import Progress, Steps
from napari_meunet.volume.volume import Planes, Spacing

_CLASSIC_BYTES = 2**32 - 2**25
"""Largest TIFF with 32-bit offsets, less room for the headers of many planes."""


def write_tiff(
    labels: Planes, path: Path, spacing: Spacing | None, *, ome: bool
) -> Steps:
    """Write labels ``(z, y, x)`` uncompressed, so that every program can map them.

    An ImageJ hyperstack if ImageJ knows the data type and it fits below 4 GB,
    otherwise OME-TIFF (BigTIFF above 4 GB), which Fiji reads through Bio-Formats.
    Data types are kept but for 64-bit integers, which become 32-bit ones.

    Parameters
    ----------
    labels, path, spacing
        See `napari_meunet.export.export.export_labels`.
    ome
        Write OME-TIFF in any case.
    """
    dtype = _stored(labels.dtype)
    n_bytes = int(np.prod(labels.shape, dtype=object)) * dtype.itemsize
    classic = n_bytes < _CLASSIC_BYTES
    imagej = classic and not ome and dtype in (np.uint8, np.uint16)
    tifffile.imwrite(
        path,
        shape=labels.shape,
        dtype=dtype,
        byteorder="<",
        bigtiff=not classic,
        photometric="minisblack",
        **(_imagej_calibration(spacing) if imagej else ome_calibration(spacing)),
    )
    with tifffile.TiffFile(path) as tif:
        voxels_at = tif.pages.first.dataoffsets[0]
    # the header is complete; plain writes fail cleanly where a memory map could not
    with path.open("rb+") as file:
        file.seek(voxels_at)
        for done, plane in enumerate(planes_of(labels, dtype), start=1):
            file.write(plane.data)
            yield Progress(done, labels.shape[0], "planes")


def _stored(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return a little-endian data type that OME-TIFF knows."""
    if dtype.kind == "b":
        return np.dtype("<u1")
    return np.dtype(f"<{dtype.kind}{min(dtype.itemsize, 4)}")


def _imagej_calibration(spacing: Spacing | None) -> dict[str, Any]:
    """Return the arguments that make tifffile write ImageJ's metadata.

    The tags count per centimetre, which ITK understands; ImageJ turns that into
    micrometres (FileOpener.decodeDescriptionString in ij.io).
    """
    if spacing is None:
        return {"imagej": True, "metadata": {"axes": "ZYX"}}
    z, y, x = spacing.zyx
    return {
        "imagej": True,
        "metadata": {"axes": "ZYX", "spacing": z, "unit": "um"},
        "resolution": (1e4 / x, 1e4 / y),
        "resolutionunit": "CENTIMETER",
    }
