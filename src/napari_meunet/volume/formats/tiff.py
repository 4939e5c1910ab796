"""TIFF: plain, BigTIFF, ImageJ hyperstack, OME-TIFF."""

import threading
import weakref
from collections.abc import Sequence
from contextlib import ExitStack
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tifffile import COMPRESSION, RESUNIT, TiffFile, TiffPageSeries, xml2dict

from napari_meunet.errors import MeUNetError
from napari_meunet.volume.formats.axes import Selection, select_zyx, selected_shape
from napari_meunet.volume.formats.planes import DAMAGED, DecodedPlanes, plane_chunks
from napari_meunet.volume.formats.units import complete_spacing, micrometres
from napari_meunet.volume.volume import Planes, Source, Spacing, Volume


def open_tiff(path: Path, channel: int | None, time: int | None) -> Volume:
    """Return the largest image series of a TIFF.

    Uncompressed series that lie in one piece are memory-mapped; others are decoded
    plane by plane, in several threads.

    Raises
    ------
    MeUNetError
        If the file is damaged or truncated, has one plane only, is in colour, or
        asks for a channel or a time.
    """
    try:
        return _opened(path, channel, time)
    except DAMAGED as error:
        raise MeUNetError(
            f"a TIFF must be whole, got {path} ({error}); copy the file again"
        ) from error


def _opened(path: Path, channel: int | None, time: int | None) -> Volume:
    with ExitStack() as stack:
        tif = stack.enter_context(TiffFile(path))
        series = _largest_series(tif)
        axes, shape = _named_axes(series)
        selection = select_zyx(axes, shape, channel, time)
        spacing = _spacing(tif, series)
        planes: Planes
        if series.dataoffset is None:
            planes = _decoded(tif, series, selection)
            stack.pop_all()  # its reader closes the file
        else:
            planes = _mapped(tif, series, series.dataoffset)[selection]
        return Volume(
            planes,
            spacing,
            Source(path, _format(tif, series, spacing), path.stat().st_size),
            plane_chunks(selected_shape(shape, selection), planes.dtype),
        )


def _largest_series(tif: TiffFile) -> TiffPageSeries:
    """Return the series with the most voxels; previews and thumbnails are smaller."""
    _check_chain_of_pages(tif)
    series = max(tif.series, key=lambda series: series.size)
    # A header that claims more planes than the file can hold makes tifffile fall
    # back to the pages that are there.
    if tif.is_imagej and series.kind in {"uniform", "generic"}:
        raise ValueError("fewer planes than its ImageJ header says")
    return series


def _check_chain_of_pages(tif: TiffFile) -> None:
    """Refuse a file whose last page points to a next one that is missing."""
    position = tif.pages.next_page_offset
    if len(tif.pages) > 0 and position is not None:
        tif.filehandle.seek(position)
        pointer = tif.filehandle.read(tif.tiff.offsetsize)
        if len(pointer) == tif.tiff.offsetsize and not any(pointer):
            return
    raise ValueError("its list of pages breaks off")


def _named_axes(series: TiffPageSeries) -> tuple[str, tuple[int, ...]]:
    """Return a letter for each axis of the series, and its lengths.

    Axes of length 1 are "-": a TIFF with one plane is a slice, not a volume. A
    single axis without a meaning is z.
    """
    shape = series.get_shape(squeeze=False)
    axes = "".join(
        "-" if size == 1 and axis not in "YX" else axis.lower()
        for axis, size in zip(series.get_axes(squeeze=False), shape, strict=True)
    )
    unnamed = [axis for axis in axes if axis in "qi"]
    if "z" not in axes and len(unnamed) == 1:
        axes = axes.replace(unnamed[0], "z")
    return axes, shape


def _mapped(tif: TiffFile, series: TiffPageSeries, offset: int) -> NDArray[Any]:
    shape = series.get_shape(squeeze=False)
    end = offset + prod(shape) * series.dtype.itemsize
    if end > tif.filehandle.size:
        raise MeUNetError(
            f"a TIFF must be as long as its header says, got {tif.filehandle.size} "
            f"of {end} bytes in {tif.filehandle.path}; the file is truncated, copy it "
            "again"
        )
    stored = series.dtype.newbyteorder(tif.byteorder)
    return np.memmap(tif.filehandle.path, stored, "r", offset, shape)


def _decoded(
    tif: TiffFile, series: TiffPageSeries, selection: Selection
) -> DecodedPlanes:
    shape = series.get_shape(squeeze=False)
    n_axes_of_a_page = 2 + series.get_axes(squeeze=False).endswith("S")
    leading = shape[:-n_axes_of_a_page]
    if prod(leading) != len(series):
        raise MeUNetError(
            f"every page of a TIFF must hold one plane, got {len(series)} pages for "
            f"{prod(leading)} planes in {tif.filehandle.path}; save it as a plain "
            "TIFF stack"
        )
    for number, page in enumerate(series):
        _check_page(page, number, tif.filehandle.path)
    pages = np.arange(len(series)).reshape(leading)[selection[: len(leading)]]
    return DecodedPlanes(
        selected_shape(shape, selection),
        series.dtype.newbyteorder("="),
        _PageReader(tif, series, pages),
        tif.filehandle.name,
    )


def _check_page(page: Any, number: int, path: str) -> None:
    if page is None or end_of_page(page) > page.parent.filehandle.size:
        raise MeUNetError(
            f"every plane of a TIFF must be in the file, got none for page {number} "
            f"of {path}; the file is truncated or a file beside it is missing, copy "
            "it again"
        )


def end_of_page(page: Any) -> int:
    """Return where in the file the last strip or tile of a page ends."""
    segments = zip(page.dataoffsets, page.databytecounts, strict=True)
    return max((offset + count for offset, count in segments), default=0)


class _PageReader:
    """Decodes pages of a TIFF; keeps the file open for as long as it lives."""

    def __init__(
        self, tif: TiffFile, series: TiffPageSeries, pages: NDArray[np.intp]
    ) -> None:
        self._tif = tif
        self._series = series
        self._pages = pages
        # One reading at a time: tifffile itself decodes pages in several threads.
        self._lock = threading.Lock()
        weakref.finalize(self, tif.close)

    def __call__(self, planes: Sequence[int]) -> NDArray[Any]:
        keys = [int(self._pages[plane]) for plane in planes]
        with self._lock:
            decoded = self._tif.asarray(key=keys, series=self._series)
        return decoded.reshape(len(keys), *decoded.shape[-2:])


def _format(tif: TiffFile, series: TiffPageSeries, spacing: Spacing | None) -> str:
    kind = {"imagej": "ImageJ TIFF", "ome": "OME-TIFF"}.get(series.kind, "TIFF")
    if tif.is_bigtiff:
        kind += ", BigTIFF"
    compression = COMPRESSION(series.keyframe.compression)
    if compression != COMPRESSION.NONE:
        kind += f", {compression.name.lower()}"
    if len(tif.series) > 1:
        kind += f", the largest of {len(tif.series)} images"
    if spacing is None and series.kind == "imagej":
        unit = (tif.imagej_metadata or {}).get("unit")
        return f"{kind}, voxel size {f'in {unit!r}' if unit else 'without a unit'}"
    return kind


def _spacing(tif: TiffFile, series: TiffPageSeries) -> Spacing | None:
    """Return what the ImageJ or OME metadata say.

    The resolution tags of other TIFFs are not read: they say dots per inch of a
    print, are filled with a default by most writers, and know no z.
    """
    if series.kind == "imagej":
        return _imagej_spacing(tif)
    if series.kind == "ome":
        return _ome_spacing(tif.ome_metadata or "", tif.series.index(series))
    return None


def _imagej_spacing(tif: TiffFile) -> Spacing | None:
    tags = tif.pages.first.tags
    metadata = tif.imagej_metadata or {}
    if "XResolution" not in tags or "YResolution" not in tags:
        return None
    x_per_unit, x_units = tags["XResolution"].value
    y_per_unit, y_units = tags["YResolution"].value
    if 0 in (x_per_unit, y_per_unit):
        return None
    unit = xy_unit = metadata.get("unit")
    # ImageJ leaves a spacing of 1 out, takes a negative one as positive, and knows
    # micrometres whose resolution is per centimetre:
    # FileSaver.getDescriptionString and FileOpener.decodeDescriptionString in ij.io.
    resolution_unit = tags.get("ResolutionUnit")
    if unit == "um" and resolution_unit and resolution_unit.value == RESUNIT.CENTIMETER:
        xy_unit = "cm"
    sizes = (
        micrometres(abs(metadata.get("spacing", 1.0)), metadata.get("zunit", unit)),
        micrometres(y_units / y_per_unit, metadata.get("yunit", xy_unit)),
        micrometres(x_units / x_per_unit, xy_unit),
    )
    return complete_spacing(sizes, "ImageJ TIFF")


def _ome_spacing(xml: str, number: int) -> Spacing | None:
    # The XML of a file of several may refer to another file and hold no image.
    images = xml2dict(xml)["OME"].get("Image", [])
    images = images if isinstance(images, list) else [images]
    if number >= len(images):
        return None
    pixels = images[number]["Pixels"]
    # The default unit is that of the OME schema, 2016-06.
    sizes = [
        micrometres(
            pixels.get(f"PhysicalSize{axis}", 0.0),
            pixels.get(f"PhysicalSize{axis}Unit", "µm"),
        )
        for axis in "ZYX"
    ]
    return complete_spacing(sizes, "OME-TIFF")
