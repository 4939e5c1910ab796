"""Any microCT file as a volume."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from napari_meunet.errors import MeUNetError
from napari_meunet.volume.formats import ome_zarr
from napari_meunet.volume.formats.nifti import open_nifti
from napari_meunet.volume.formats.ome_zarr import open_ome_zarr
from napari_meunet.volume.formats.planes import ConvertedPlanes
from napari_meunet.volume.formats.slices import KINDS, open_slices
from napari_meunet.volume.formats.tiff import open_tiff
from napari_meunet.volume.volume import Volume

Opener = Callable[[Path, int | None, int | None], Volume]
"""Opens a path at a channel and a time."""

_TIFF_MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")  # classic TIFF and BigTIFF
_DICOM_MAGIC_OFFSET = 128
_NOT_READ = {
    ".nrrd": "NRRD",
    ".nhdr": "NRRD",
    ".mha": "MetaImage",
    ".mhd": "MetaImage",
    ".dcm": "DICOM",
    ".hdr": "Analyze",
    ".img": "Analyze",
    ".h5": "HDF5",
    ".hdf5": "HDF5",
    ".vgi": "VGStudio",
    ".vol": "VGStudio",
    ".isq": "Scanco ISQ",
}


def open_volume(
    path: str | Path, *, channel: int | None = None, time: int | None = None
) -> Volume:
    """Return a scan as a lazy volume ``(z, y, x)``; no voxel is read.

    TIFF (plain, BigTIFF, ImageJ, OME), folders of slices (TIFF, PNG, BMP, JPEG),
    OME-Zarr 0.4 and 0.5, Zarr arrays and NIfTI (plain or gzipped) are told apart by
    their content. Voxels are presented in the byte order of the machine, and truth
    values as 0 and 1.

    Parameters
    ----------
    path
        File or folder.
    channel, time
        Which one to take, counted from 0, if the file has several.

    Raises
    ------
    MeUNetError
        If there is nothing at `path`, it is not a volume, its format is not read, or
        it is damaged or truncated; the message says which and what to do.
    """
    path = Path(path).expanduser()
    if not path.exists():
        raise MeUNetError(f"a scan must exist, got {path}; check the path")
    opener = _opener_of_folder(path) if path.is_dir() else _opener_of_file(path)
    return in_native_numbers(opener(path, channel, time))


def _opener_of_folder(path: Path) -> Opener:
    if any((path / marker).exists() for marker in ome_zarr.MARKERS):
        return open_ome_zarr
    names = [file for file in path.iterdir() if not file.name.startswith(".")]
    if not any(file.suffix.lower() in KINDS for file in names):
        for file in filter(Path.is_file, names):
            _refuse_known_format(file)
    return open_slices


def _opener_of_file(path: Path) -> Opener:
    head = _head(path)
    if not head:
        raise MeUNetError(f"a scan must hold data, got the empty file {path}")
    if head.startswith(_TIFF_MAGIC):
        return open_tiff
    if path.name.lower().endswith((".nii", ".nii.gz")):
        return open_nifti
    _refuse_known_format(path)
    if path.suffix.lower() in KINDS.keys() - {".tif", ".tiff"}:
        raise MeUNetError(
            f"a volume has the axes z, y, x, got the 2-D image {path}; open the folder "
            "of all slices"
        )
    raise MeUNetError(
        f"a scan must be TIFF, a folder of slices, OME-Zarr or NIfTI, got {path} of "
        "another format; convert it to one of these"
    )


def _refuse_known_format(path: Path) -> None:
    """Raise if `path` is in a format that is known, but not read."""
    head = _head(path)
    name = _NOT_READ.get(path.suffix.lower())
    if head.startswith(b"NRRD"):
        name = "NRRD"
    elif head[_DICOM_MAGIC_OFFSET:].startswith(b"DICM"):
        name = "DICOM"
    if name is not None:
        raise MeUNetError(
            f"{name} files are not read yet, got {path}; convert it to TIFF, OME-Zarr "
            "or NIfTI"
        )


def _head(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_DICOM_MAGIC_OFFSET + 4)
    except OSError as error:
        raise MeUNetError(
            f"a scan must be readable, got {path} ({error.strerror}); check its "
            "permissions"
        ) from error


def in_native_numbers(volume: Volume) -> Volume:
    """Return the volume with voxels that are integers or floats of this machine."""
    dtype, name = volume.dtype, volume.source.path or volume.source.format
    if dtype.kind not in "buif" or dtype.itemsize > 8:
        raise MeUNetError(
            f"voxels must be integers or floats of up to 64 bits, got {dtype} in "
            f"{name}; convert it, for example to 16 bits"
        )
    if 0 in volume.shape:
        raise MeUNetError(
            f"a volume needs a voxel along every axis, got {volume.shape} in {name}"
        )
    native = np.dtype(np.uint8) if dtype.kind == "b" else dtype.newbyteorder("=")
    if native == dtype:
        return volume
    lower = tuple(in_native_numbers(level) for level in volume.lower)
    planes = ConvertedPlanes(volume.planes, native)
    return replace(volume, planes=planes, lower=lower, known={})
