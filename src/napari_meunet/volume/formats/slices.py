"""A folder of slices: one image a plane, in natural order of the names."""

import re
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from tifffile import TiffFile

from napari_meunet.errors import MeUNetError
from napari_meunet.volume.formats.axes import select_zyx
from napari_meunet.volume.formats.planes import DAMAGED, DecodedPlanes, plane_chunks
from napari_meunet.volume.formats.skyscan import spacing_from_log
from napari_meunet.volume.formats.tiff import end_of_page
from napari_meunet.volume.volume import Source, Volume

KINDS = {
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".png": "PNG",
    ".bmp": "BMP",
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
}
_MODES = {
    "1": np.dtype(bool),
    "L": np.dtype(np.uint8),
    "I;16": np.dtype(np.uint16),
    "I": np.dtype(np.int32),
}
"""Grey modes of Pillow."""

_THREADS = 8  # most of the time goes to waiting for the disk


@dataclass(frozen=True)
class _Header:
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    def __str__(self) -> str:
        return f"{' x '.join(map(str, self.shape))} {self.dtype}"


def open_slices(folder: Path, channel: int | None, time: int | None) -> Volume:
    """Return the slices of a folder as a volume.

    The most frequent kind of image in the folder is read: TIFF, PNG, BMP or JPEG.
    Other files, hidden ones and the previews of SkyScan (``*_spr.*``) are left out.
    The header of every slice is read here, its voxels are not. The spacing comes
    from a SkyScan log in the folder.

    Raises
    ------
    MeUNetError
        If there are fewer than two slices, if one differs from the first in shape
        or type, or if one is damaged, in colour or holds several planes.
    """
    paths = _slices(folder)
    with ThreadPoolExecutor(_THREADS) as pool:
        headers = list(pool.map(_read_header, paths))
    first = headers[0]
    for path, header in zip(paths, headers, strict=True):
        if header != first:
            raise MeUNetError(
                f"every slice must be like the first, {paths[0].name} with {first}; "
                f"got {path.name} with {header}; take it out of the folder, or crop "
                "or convert it"
            )
    y, x = first.shape
    shape = (len(paths), y, x)
    select_zyx("zyx", shape, channel, time)
    return Volume(
        DecodedPlanes(shape, first.dtype, _SliceReader(tuple(paths)), str(folder)),
        spacing_from_log(folder, paths[0].name),
        Source(
            folder,
            f"folder of {len(paths)} {KINDS[paths[0].suffix.lower()]} slices",
            sum(path.stat().st_size for path in paths),
        ),
        plane_chunks(shape, first.dtype),
    )


def _slices(folder: Path) -> list[Path]:
    images = [
        path
        for path in folder.iterdir()
        if path.suffix.lower() in KINDS
        and not path.name.startswith(".")
        and not path.stem.endswith("_spr")
    ]
    kinds = Counter(KINDS[path.suffix.lower()] for path in images)
    if not kinds:
        raise MeUNetError(
            f"a folder must hold slices (TIFF, PNG, BMP or JPEG), got none in "
            f"{folder}; give the folder that holds them"
        )
    kind, number = kinds.most_common(1)[0]
    slices = [path for path in images if KINDS[path.suffix.lower()] == kind]
    if number == 1:
        raise MeUNetError(
            f"a folder must hold at least two slices, got {slices[0].name} alone; if "
            "it is a volume, open the file itself"
        )
    return sorted(slices, key=_natural_order)


def _natural_order(path: Path) -> tuple[list[int | str], str]:
    """Return a key that puts ``slice_10`` after ``slice_9``."""
    parts = re.split(r"(\d+)", path.name.lower())
    # Text and numbers take turns in every name, so that like meets like.
    return [int(part) if part.isdecimal() else part for part in parts], path.name


def _read_header(path: Path) -> _Header:
    read = _tiff_header if KINDS[path.suffix.lower()] == "TIFF" else _picture_header
    try:
        header = read(path)
    except (*DAMAGED, Image.DecompressionBombError) as error:
        raise MeUNetError(
            f"every slice must be a whole image, got {path} ({error}); copy it again "
            "or take it out of the folder"
        ) from error
    if len(header.shape) != 2:
        raise MeUNetError(
            f"every slice must have one grey value a voxel, got {path} in colour; "
            "convert the slices to 8-bit or 16-bit grey"
        )
    return header


def _tiff_header(path: Path) -> _Header:
    with TiffFile(path) as tif:
        if len(tif.pages) == 0:
            raise ValueError("no page in it")
        # ImageJ may keep a whole stack behind a single page.
        if tif.pages.is_multipage or (tif.imagej_metadata or {}).get("images", 1) > 1:
            raise MeUNetError(
                f"every slice must hold one plane, got several in {path}; open that "
                "file itself, or take it out of the folder"
            )
        page = tif.pages.first
        if end_of_page(page) > tif.filehandle.size:
            raise ValueError("the file is truncated")
        return _Header(page.shape, np.dtype(page.dtype))


def _picture_header(path: Path) -> _Header:
    with Image.open(path) as picture:
        width, height = picture.size
        if picture.mode not in _MODES:
            return _Header((height, width, len(picture.getbands())), np.dtype(np.uint8))
        return _Header((height, width), _MODES[picture.mode])


@dataclass(frozen=True)
class _SliceReader:
    """Decodes slices, several at a time."""

    paths: tuple[Path, ...]

    def __call__(self, planes: Sequence[int]) -> NDArray[Any]:
        with ThreadPoolExecutor(_THREADS) as pool:
            return np.stack(
                list(pool.map(_read_slice, (self.paths[plane] for plane in planes)))
            )


def _read_slice(path: Path) -> NDArray[Any]:
    if KINDS[path.suffix.lower()] == "TIFF":
        with TiffFile(path) as tif:
            return tif.pages.first.asarray(maxworkers=1)
    with Image.open(path) as picture:
        return np.asarray(picture)
