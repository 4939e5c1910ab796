"""OME-Zarr: labels with a pyramid, for viewers that load what they show."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numcodecs
import numpy as np
import zarr

from napari_meunet.config import LabelClass
from napari_meunet.progress import Progress, Steps
from napari_meunet.volume.volume import Planes, Spacing

_VERSION = "0.4"
"""OME-Zarr 0.4 is Zarr v2, which more programs read than 0.5 today."""

_CHUNKS = (32, 256, 256)
"""2 MB of uint8 a chunk; a slab of 32 planes is held while it is written."""

_SMALLEST = 256
"""The pyramid ends when no axis is longer."""


def write_ome_zarr(
    labels: Planes,
    path: Path,
    spacing: Spacing | None,
    classes: tuple[LabelClass, ...],
) -> Steps:
    """Write labels ``(z, y, x)`` as an OME-Zarr image-label.

    Every level takes each second voxel of the one before, so that labels stay labels
    and the first voxels of all levels coincide.

    References
    ----------
    https://ngff.openmicroscopy.org/0.4/#multiscale-md and #label-md
    """
    group = zarr.create_group(path, zarr_format=2, overwrite=True)
    levels = [labels]
    shapes = _shapes(labels.shape)
    total = sum(shape[0] for shape in shapes)
    done = 0
    for number, shape in enumerate(shapes):
        array = _create(group, str(number), shape, labels.dtype)
        for start in range(0, shape[0], _CHUNKS[0]):
            stop = min(start + _CHUNKS[0], shape[0])
            array[start:stop] = _level_slab(levels[-1], number, start, stop)
            done += stop - start
            yield Progress(done, total, "planes")
        levels.append(array)
    group.attrs.update(_metadata(shapes, spacing, classes))


def _level_slab(finer: Any, number: int, start: int, stop: int) -> Any:
    """Return planes of a level: those of the labels, or each second of `finer`."""
    if number == 0:
        return np.asarray(finer[start:stop])
    return np.asarray(finer[2 * start : 2 * stop : 2])[:, ::2, ::2]


def _shapes(shape: tuple[int, ...]) -> list[tuple[int, ...]]:
    shapes = [shape]
    while max(shapes[-1]) > _SMALLEST:
        shapes.append(tuple(-(-n // 2) for n in shapes[-1]))
    return shapes


def _scales(
    shapes: list[tuple[int, ...]], zyx: tuple[float, ...]
) -> Iterator[list[float]]:
    """Return the size of a voxel at every level; an axis of one voxel is not halved."""
    scale = list(zyx)
    for shape in shapes:
        yield scale
        steps = (2 if n > 1 else 1 for n in shape)
        scale = [size * step for size, step in zip(scale, steps, strict=True)]


def _create(group: Any, name: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Any:
    return group.create_array(
        name,
        shape=shape,
        chunks=tuple(min(c, n) for c, n in zip(_CHUNKS, shape, strict=True)),
        dtype=np.uint8 if dtype.kind == "b" else dtype,
        compressors=numcodecs.Blosc(cname="zstd", clevel=5),
        chunk_key_encoding={"name": "v2", "separator": "/"},
        fill_value=0,
    )


def _metadata(
    shapes: list[tuple[int, ...]],
    spacing: Spacing | None,
    classes: tuple[LabelClass, ...],
) -> dict[str, Any]:
    unit = {"unit": "micrometer"} if spacing else {}
    zyx = spacing.zyx if spacing else (1.0, 1.0, 1.0)
    datasets = [
        {
            "path": str(number),
            "coordinateTransformations": [{"type": "scale", "scale": scale}],
        }
        for number, scale in enumerate(_scales(shapes, zyx))
    ]
    multiscale = {
        "version": _VERSION,
        "name": "labels",
        "axes": [{"name": name, "type": "space", **unit} for name in "zyx"],
        "datasets": datasets,
        "type": "nearest",
    }
    return {"multiscales": [multiscale], "image-label": _image_label(classes)}


def _image_label(classes: tuple[LabelClass, ...]) -> dict[str, Any]:
    metadata: dict[str, Any] = {"version": _VERSION}
    if classes:
        metadata["colors"] = [
            {"label-value": label.value, "rgba": _rgba(label)} for label in classes
        ]
        metadata["properties"] = [
            {"label-value": label.value, "name": label.name} for label in classes
        ]
    return metadata


def _rgba(label: LabelClass) -> list[int]:
    """Return red, green, blue and opacity, 0 to 255; the background is clear."""
    return [*bytes.fromhex(label.color[1:]), 255 if label.value else 0]
