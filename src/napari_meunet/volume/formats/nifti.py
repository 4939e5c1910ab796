"""NIfTI-1 and NIfTI-2, plain or gzipped."""

import errno
import shutil
import tempfile
import threading
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

import nibabel
import numpy as np
from isal import igzip, isal_zlib
from nibabel.filebasedimages import ImageFileError
from nibabel.spatialimages import HeaderDataError
from nibabel.wrapstruct import WrapStructError
from numpy.typing import NDArray

from napari_meunet.errors import MeUNetError
from napari_meunet.temporary import folder_with_room
from napari_meunet.volume.formats.axes import (
    Selection,
    last_axes,
    select_zyx,
    selected_shape,
)
from napari_meunet.volume.formats.planes import ConvertedPlanes, plane_chunks
from napari_meunet.volume.formats.units import complete_spacing, micrometres
from napari_meunet.volume.volume import Planes, Source, Spacing, Volume

_DAMAGED = (
    ArithmeticError,
    EOFError,
    HeaderDataError,
    ImageFileError,
    LookupError,
    OSError,
    ValueError,
    WrapStructError,
    zlib.error,
)
"""What nibabel and numpy raise on a damaged header."""

_COPY_BYTES = 4 * 2**20


def open_nifti(path: Path, channel: int | None, time: int | None) -> Volume:
    """Return the volume in a NIfTI file; only the header is read.

    NIfTI stores x fastest, so that the array is (z, y, x) without moving a voxel.
    The orientation in the header is kept, not applied. A plain file is memory-mapped; a
    gzipped one is unpacked into a temporary file at the first access, see
    `GunzippedPlanes`. A scale in the header that changes values gives 32-bit floats.

    Raises
    ------
    MeUNetError
        If the header is damaged, the file is shorter than the header says, or it
        asks for a channel or a time.
    """
    try:
        return _opened(path, channel, time)
    except _DAMAGED as error:
        raise MeUNetError(
            f"a NIfTI file must be whole, got {path} ({error}); copy the file again"
        ) from error


def _opened(path: Path, channel: int | None, time: int | None) -> Volume:
    image = nibabel.load(path)
    stored = image.dataobj
    if stored.dtype.fields is not None:
        raise MeUNetError(
            f"a volume has one grey value a voxel, got a colour image in {path}; "
            "convert it to 8-bit or 16-bit grey"
        )
    shape = stored.shape[::-1]
    # The axes of the standard are x, y, z, time and one for vectors.
    selection = select_zyx(last_axes("ctzyx", len(shape)), shape, channel, time)
    planes: Planes
    if path.suffix.lower() == ".gz":
        planes = GunzippedPlanes(path, stored, selection)
    else:
        planes = _mapped(path, stored)[selection]
    if (stored.slope, stored.inter) != (1, 0):
        planes = ConvertedPlanes(
            planes, np.dtype(np.float32), float(stored.slope), float(stored.inter)
        )
    return Volume(
        planes,
        _spacing(image),
        Source(path, _format(path, image.header), path.stat().st_size),
        plane_chunks(selected_shape(shape, selection), planes.dtype),
    )


class GunzippedPlanes:
    """The voxels of a gzipped NIfTI, read at random.

    Gzip can only be read from its beginning. At the first access the voxels are
    therefore unpacked once, in order and a few MiB at a time, into an unnamed file
    beside it or where `folder_with_room` finds a place, and that file is
    memory-mapped. It is gone with the last reference to it.
    """

    def __init__(self, path: Path, stored: Any, selection: Selection) -> None:
        self.path = path
        self.dtype: np.dtype[Any] = stored.dtype
        self.shape = selected_shape(stored.shape[::-1], selection)
        self._stored = stored
        self._selection = selection
        self._lock = threading.Lock()
        self._voxels: NDArray[Any] | None = None

    def __getitem__(self, index: Any, /) -> NDArray[Any]:
        """Read a part.

        Raises
        ------
        MeUNetError
            If the file is truncated or damaged, or the disk too full to unpack it.
        """
        with self._lock:
            if self._voxels is None:
                self._voxels = self._unpacked()[self._selection]
        part: NDArray[Any] = self._voxels[index]
        return part

    def _unpacked(self) -> NDArray[Any]:
        shape = self._stored.shape[::-1]
        size = int(np.prod(shape, dtype=object)) * self.dtype.itemsize
        folder = folder_with_room(size, self.path.parent)
        _require_room(self.path, size, folder)
        # It lives as long as the memory map, which holds on to the file.
        file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115
        try:
            with igzip.open(self.path) as packed:
                packed.seek(self._stored.offset)
                copied = _copy(packed, file, size)
                packed.read(1)  # past the last voxel lies the checksum
        except (OSError, EOFError, isal_zlib.error) as error:
            file.close()
            if getattr(error, "errno", None) == errno.ENOSPC:
                raise _too_large(self.path, size, folder) from error
            raise MeUNetError(
                f"a gzipped file must unpack, got {self.path} ({error}); the file is "
                "truncated or damaged, copy it again"
            ) from error
        if copied < size:
            file.close()
            raise _truncated(self.path, copied, size)
        file.flush()
        return np.memmap(file, self.dtype, mode="r", shape=shape)


def _copy(source: BinaryIO, target: BinaryIO, size: int) -> int:
    """Copy up to `size` bytes and return how many there were."""
    copied = 0
    while copied < size and (part := source.read(min(_COPY_BYTES, size - copied))):
        target.write(part)
        copied += len(part)
    return copied


def _require_room(path: Path, size: int, folder: Path) -> None:
    if size > shutil.disk_usage(folder).free:
        raise _too_large(path, size, folder)


def _too_large(path: Path, size: int, folder: Path) -> MeUNetError:
    free = shutil.disk_usage(folder).free
    return MeUNetError(
        f"{path} must be unpacked to be read, which takes {size / 1e9:.1f} GB in "
        f"{folder}, got {free / 1e9:.1f} GB free; set TMPDIR to a folder on a "
        "larger disk, or convert the scan to .nii, TIFF or OME-Zarr"
    )


def _mapped(path: Path, stored: Any) -> NDArray[Any]:
    shape = stored.shape[::-1]
    size = int(np.prod(shape, dtype=object)) * stored.dtype.itemsize
    present = path.stat().st_size - stored.offset
    if present < size:
        raise _truncated(path, present, size)
    return np.memmap(path, stored.dtype, mode="r", offset=stored.offset, shape=shape)


def _truncated(path: Path, present: int, size: int) -> MeUNetError:
    return MeUNetError(
        f"a NIfTI file must be as long as its header says, got {max(present, 0)} of "
        f"{size} bytes of voxels in {path}; the file is truncated, copy it again"
    )


def _format(path: Path, header: Any) -> str:
    version = 2 if header.sizeof_hdr == 540 else 1
    return f"NIfTI-{version}{', gzipped' if path.suffix.lower() == '.gz' else ''}"


def _spacing(image: Any) -> Spacing | None:
    """Return pixdim in the header's unit, millimetres if it names none.

    Sizes of exactly 1 without a unit are what writers leave in a header that nobody
    filled in: they say nothing.
    """
    header = image.header
    x, y, z = header.get_zooms()[:3]
    unit = header.get_xyzt_units()[0]
    named = {"meter": "m", "mm": "mm", "micron": "um"}.get(unit)
    if named is None and z == y == x == 1:
        return None
    assumed = "" if named else ", unit missing, millimetres assumed"
    sizes = [micrometres(size, named or "mm") for size in (z, y, x)]
    spacing = complete_spacing(sizes, f"NIfTI header{assumed}")
    if spacing is None or not (header["qform_code"] or header["sform_code"]):
        return spacing
    to_mm = {"m": 1000, "um": 0.001}.get(named or "mm", 1)
    affine = np.diag([to_mm, to_mm, to_mm, 1]) @ image.affine
    return replace(spacing, affine=tuple(tuple(row) for row in affine.tolist()))
