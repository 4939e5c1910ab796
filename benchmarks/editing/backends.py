"""Labels on disk that a napari layer can be given, all zeros at first."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from napari.layers import Labels, Layer
from numpy.typing import NDArray

from napari_meunet.config import Shape

CHUNK = 64
"""Voxels along the edges of a chunk, where there are chunks."""


@dataclass(frozen=True)
class Backend:
    """One kind of labels.

    Attributes
    ----------
    title
        For people.
    layer
        Makes the files in a folder, and the layer.
    on_disk
        Reads a box from the files, as another process would.
    """

    title: str
    layer: Callable[[Path, Shape], Labels]
    on_disk: Callable[[Path, Any], NDArray[np.uint8]]


def _ours(folder: Path, shape: Shape) -> Labels:
    from napari_meunet.labels.store import LabelStore
    from napari_meunet.plugin.layers import labels_layer
    from napari_meunet.volume.volume import Volume

    scan = Volume.from_array(np.broadcast_to(np.uint8(0), shape))
    store = LabelStore.create(folder / "labels.meunet", scan, ())
    return Layer.create(*labels_layer(store))


def _ours_on_disk(folder: Path, box: Any) -> NDArray[np.uint8]:
    import tifffile

    return np.array(tifffile.memmap(folder / "labels.meunet" / "labels.tif")[box])


def _memmap(folder: Path, shape: Shape) -> Labels:
    return Labels(np.memmap(folder / "labels", np.uint8, "w+", shape=shape))


def _memmap_on_disk(folder: Path, box: Any) -> NDArray[np.uint8]:
    side = round(np.cbrt((folder / "labels").stat().st_size))
    return np.array(np.memmap(folder / "labels", np.uint8, "r", shape=(side,) * 3)[box])


def _zarr_array(folder: Path, shape: Shape) -> Any:
    import zarr

    return zarr.create_array(
        folder / "labels.zarr", shape=shape, chunks=(CHUNK,) * 3, dtype="uint8"
    )


def _zarr(folder: Path, shape: Shape) -> Labels:
    return Labels(_zarr_array(folder, shape))


def _tensorstore(folder: Path, shape: Shape) -> Labels:
    import tensorstore

    _zarr_array(folder, shape)
    kvstore = {"driver": "file", "path": str(folder / "labels.zarr")}
    return Labels(tensorstore.open({"driver": "zarr3", "kvstore": kvstore}).result())


def _dask(folder: Path, shape: Shape) -> Labels:
    import dask.array as da

    return Labels(da.from_zarr(_zarr_array(folder, shape)))


def _zarr_on_disk(folder: Path, box: Any) -> NDArray[np.uint8]:
    import zarr

    return np.asarray(zarr.open_array(folder / "labels.zarr", mode="r")[box])


BACKENDS = {
    "ours": Backend("ours", _ours, _ours_on_disk),
    "memmap": Backend("NumPy memory map", _memmap, _memmap_on_disk),
    "tensorstore": Backend("tensorstore, zarr of 64^3", _tensorstore, _zarr_on_disk),
    "zarr": Backend("zarr of 64^3", _zarr, _zarr_on_disk),
    "dask": Backend("dask over zarr of 64^3", _dask, _zarr_on_disk),
}
