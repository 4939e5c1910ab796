"""OME-Zarr 0.4 (Zarr v2) and 0.5 (Zarr v3), and bare Zarr arrays."""

import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from napari_meunet.errors import MeUNetError
from napari_meunet.volume.formats.axes import (
    Selection,
    last_axes,
    select_zyx,
    selected_shape,
)
from napari_meunet.volume.formats.units import complete_spacing, micrometres
from napari_meunet.volume.volume import Source, Spacing, Volume

MARKERS = ("zarr.json", ".zarray", ".zgroup")
"""Files of which a Zarr folder has one."""

_LARGEST_SLAB = 512 * 2**20

Part = tuple[tuple[int, int], tuple[int, int]]
"""First row and the one after the last, and likewise the columns."""

_Level = tuple[zarr.Array, str, Spacing | None]
"""A resolution: array, axes, spacing."""


def open_ome_zarr(path: Path, channel: int | None, time: int | None) -> Volume:
    """Return the highest resolution of an OME-Zarr image, or a Zarr array (z, y, x).

    An image whose metadata name no z is a volume of one plane; an array without
    metadata must have three axes, for nobody knows what two would be.
    The folder that bioformats2raw writes is opened at its first image, ``0``.

    Raises
    ------
    MeUNetError
        If there is no image in the folder or its metadata are damaged, if an array
        is 2-D, or if the image asks for a channel or a time.
    """
    try:
        node = _image(zarr.open(path, mode="r"), path)
        if isinstance(node, zarr.Array):
            levels: list[_Level] = [(node, last_axes("tczyx", node.ndim), None)]
            name = f"Zarr v{node.metadata.zarr_format} array"
        else:
            levels = _levels(node)
            name = f"OME-Zarr, Zarr v{node.metadata.zarr_format}"
            name += "" if levels[0][2] else ", voxel size without a unit"
    except (OSError, ValueError, TypeError, LookupError, AttributeError) as error:
        raise MeUNetError(
            f"the metadata of a Zarr folder must be whole, got {path} ({error}); copy "
            "it again"
        ) from error
    volumes = []
    for array, axes, spacing in levels:
        if isinstance(node, zarr.Group) and "z" not in axes:
            array, axes = OnePlane(array), f"z{axes}"
        selection = select_zyx(axes, array.shape, channel, time)
        planes = ZarrPlanes(array, selection)
        chunks = selected_shape(array.chunks, selection)
        # Adding up the size on disk would touch each of perhaps a million files.
        volumes.append(Volume(planes, spacing, Source(path, name, None), chunks))
    full, *lower = volumes
    return replace(full, lower=tuple(lower))


def _image(node: zarr.Group | zarr.Array, path: Path) -> zarr.Group | zarr.Array:
    if isinstance(node, zarr.Array) or "multiscales" in _ome(node):
        return node
    if "bioformats2raw.layout" in _ome(node) and "0" in node:
        return node["0"]
    raise MeUNetError(
        f"a Zarr folder must be an OME-Zarr image or an array, got {path} with "
        f"{', '.join(sorted(node.keys())) or 'nothing'} in it; open one of these"
    )


def _ome(group: zarr.Group) -> Any:
    """Return the OME metadata: nested since version 0.5."""
    return group.attrs.get("ome", group.attrs)


def _levels(group: zarr.Group) -> list[_Level]:
    """Return array, axes and spacing of every resolution, finest first."""
    multiscale = _ome(group)["multiscales"][0]
    datasets = multiscale["datasets"]
    arrays = [group[dataset["path"]] for dataset in datasets]
    n_axes = arrays[0].ndim
    # Before version 0.4 axes had names only, and before 0.3 not even that.
    listed = [
        axis if isinstance(axis, dict) else {"name": axis}
        for axis in multiscale.get("axes") or last_axes("tczyx", n_axes)
    ]
    letters = {"channel": "c", "time": "t"}
    axes = "".join(
        letters.get(axis.get("type", ""), axis["name"][:1].lower()) for axis in listed
    )
    units = dict(zip(axes, (axis.get("unit") for axis in listed), strict=True))
    common = _scale(multiscale, n_axes)
    return [
        (array, axes, _spacing(axes, common * _scale(dataset, n_axes), units))
        for array, dataset in zip(arrays, datasets, strict=True)
    ]


def _spacing(
    axes: str, scale: NDArray[np.float64], units: dict[str, str | None]
) -> Spacing | None:
    """Return a spacing if z, y and x have a size and a unit of length."""
    sizes = dict(zip(axes, scale, strict=True))
    zyx = [micrometres(sizes.get(axis, 0.0), units.get(axis)) for axis in "zyx"]
    return complete_spacing(zyx, "OME-Zarr")


def _scale(holder: dict[str, Any], n_axes: int) -> NDArray[np.float64]:
    """Return the product of the scales of a dataset or multiscale."""
    scales = [
        np.array(transformation["scale"], float)
        for transformation in holder.get("coordinateTransformations", [])
        if transformation["type"] == "scale"
    ]
    product: NDArray[np.float64] = np.prod([np.ones(n_axes), *scales], axis=0)
    return product


class OnePlane:
    """A Zarr array with an axis z of length 1 in front."""

    def __init__(self, array: zarr.Array) -> None:
        self.shape = (1, *array.shape)
        self.chunks = (1, *array.chunks)
        self.dtype: np.dtype[Any] = array.dtype
        self.store_path = array.store_path
        self._array = array

    def __getitem__(self, index: tuple[Any, ...]) -> NDArray[Any]:
        """Read a part."""
        z, *rest = index
        plane: NDArray[Any] = np.asarray(self._array[tuple(rest)])
        part: NDArray[Any] = plane[np.newaxis][z]
        return part


class ZarrPlanes:
    """A Zarr array that is also cheap to read a few planes at a time.

    A chunk is many planes deep. The slab of chunks that planes, or one part of them,
    were last read from is kept, if it takes no more than 512 MiB, so that reading
    plane after plane decodes every chunk once. Whole chunks, as viewers read them, are
    read side by side and not kept.

    Parameters
    ----------
    array
        The Zarr array, perhaps with an axis z in front.
    selection
        Leaves (z, y, x) of its axes.
    """

    def __init__(self, array: zarr.Array | OnePlane, selection: Selection) -> None:
        self.shape = selected_shape(array.shape, selection)
        self.dtype: np.dtype[Any] = array.dtype
        self._array = array
        self._selection = selection
        _, y, x = self.shape
        self._depth = selected_shape(array.chunks, selection)[0]
        self._lock = threading.Lock()
        self._slab_at: tuple[int, Part] | None = None
        self._slab: NDArray[Any] = np.empty((0, y, x), self.dtype)

    def kept_bytes(self, section: tuple[int, int]) -> int:
        """Return the bytes of a slab of such a section (y, x), 0 if it is not kept."""
        n_bytes = self._depth * section[0] * section[1] * self.dtype.itemsize
        return n_bytes if n_bytes <= _LARGEST_SLAB else 0

    def __getitem__(self, index: Any, /) -> NDArray[Any]:
        """Read a part.

        Raises
        ------
        MeUNetError
            If a chunk is damaged.
        """
        z, *yx = index if isinstance(index, tuple) else (index,)
        spans = [_span(part, n) for part, n in zip((z, *yx), self.shape, strict=False)]
        if None in spans or self._is_whole(spans[0]):
            return self._read((z, *yx))
        whole = [(0, n) for n in self.shape[len(spans) :]]
        (start, stop), rows, columns = (span for span in (*spans, *whole) if span)
        if not self.kept_bytes((rows[1] - rows[0], columns[1] - columns[0])):
            return self._read((z, *yx))
        return self._planes(start, stop, (rows, columns))

    def _is_whole(self, span: tuple[int, int] | None) -> bool:
        """Tell whether planes begin and end where chunks do."""
        start, stop = span or (0, 0)
        return all(n % self._depth == 0 or n == self.shape[0] for n in (start, stop))

    def _planes(self, start: int, stop: int, part: Part) -> NDArray[Any]:
        section = tuple(last - first for first, last in part)
        planes = np.empty((stop - start, *section), self.dtype)
        while start < stop:
            number, offset = divmod(start, self._depth)
            slab = self._slab_of_planes(number, part)[offset:][: stop - start]
            planes[len(planes) - (stop - start) :][: len(slab)] = slab
            start += len(slab)
        return planes

    def _slab_of_planes(self, number: int, part: Part) -> NDArray[Any]:
        with self._lock:
            if self._slab_at != (number, part):
                first = number * self._depth
                self._slab = self._slab[:0].copy()  # never hold two
                self._slab_at = None
                spans = ((first, first + self._depth), *part)
                self._slab = self._read(tuple(slice(*span) for span in spans))
                self._slab_at = number, part
            return self._slab

    def _read(self, index: tuple[Any, ...]) -> NDArray[Any]:
        parts = iter(index)
        index_of_array = tuple(
            next(parts, part) if isinstance(part, slice) else part
            for part in self._selection
        )
        try:
            return np.asarray(self._array[index_of_array])
        except (OSError, ValueError, RuntimeError) as error:
            raise MeUNetError(
                f"every chunk must decode, got {error} in {self._array.store_path}; "
                "the data are damaged, copy them again"
            ) from error


def _span(part: object, n: int) -> tuple[int, int] | None:
    """Return first and last of consecutive indices, the last one not included."""
    if not isinstance(part, slice):
        return None
    start, stop, step = part.indices(n)
    return (start, max(start, stop)) if step == 1 else None
