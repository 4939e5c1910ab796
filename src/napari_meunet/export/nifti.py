"""NIfTI-1: what medical viewers and ITK open."""

import gzip
from contextlib import AbstractContextManager
from pathlib import Path
from typing import BinaryIO, cast

import nibabel as nib
import numpy as np

from napari_meunet.errors import MeUNetError
from napari_meunet.export.planes import planes_of
from napari_meunet.progress import Progress, Steps
from napari_meunet.volume.volume import Planes, Spacing

_LONGEST_AXIS = 2**15 - 1
"""The header of NIfTI-1 counts voxels in 16-bit integers."""

_GZIP_LEVEL = 4
"""For label maps twice as fast as level 6, and files less than a tenth larger."""


def write_nifti(labels: Planes, path: Path, spacing: Spacing | None) -> Steps:
    """Write labels ``(z, y, x)`` as NIfTI, gzipped if `path` ends in ``.gz``.

    NIfTI stores x fastest, so that the planes are written as they are. The affine is
    that of the scan, so that labels and scan lie on each other in ITK and Slicer. A
    scan without one gets ITK's default: the axes of NIfTI point right, anterior,
    superior, and x and y are turned.

    Raises
    ------
    MeUNetError
        If an axis is longer than NIfTI-1 can say.
    """
    header = _header(labels, spacing)
    with _opened(path) as file:
        header.write_to(file)
        file.write(bytes(int(header["vox_offset"]) - file.tell()))
        for done, plane in enumerate(planes_of(labels, header.get_data_dtype()), 1):
            file.write(plane.data)
            yield Progress(done, labels.shape[0], "planes")


def _opened(path: Path) -> AbstractContextManager[BinaryIO]:
    if path.suffix.lower() == ".gz":
        return cast(BinaryIO, gzip.open(path, "wb", compresslevel=_GZIP_LEVEL))
    return path.open("wb")


def _header(labels: Planes, spacing: Spacing | None) -> nib.Nifti1Header:
    z, y, x = labels.shape
    if max(z, y, x) > _LONGEST_AXIS:
        raise MeUNetError(
            f"an axis of a NIfTI file must have at most {_LONGEST_AXIS} voxels, got "
            f"{(z, y, x)}; choose TIFF or OME-Zarr"
        )
    header = nib.Nifti1Header(endianness="<")
    kind = np.dtype(np.uint8) if labels.dtype.kind == "b" else labels.dtype
    header.set_data_dtype(kind)
    header.set_data_shape((x, y, z))
    header.set_slope_inter(1, 0)
    header["vox_offset"] = header.single_vox_offset
    if spacing is None:
        return header
    mm = [size / 1000 for size in reversed(spacing.zyx)]
    header.set_zooms(mm)
    header.set_xyzt_units("mm")
    affine = spacing.affine or np.diag([-mm[0], -mm[1], mm[2], 1])
    header.set_qform(affine, code="scanner")
    header.set_sform(affine, code="scanner")
    return header
