"""Paint on one kind of labels, and measure it."""

import json
import resource
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

import numpy as np
from napari.components import ViewerModel
from napari.layers import Labels
from napari.utils.key_bindings import coerce_keybinding

from benchmarks.editing.backends import BACKENDS, Backend
from napari_meunet.plugin.undo import UNDO
from napari_meunet.plugin.watch import watch

SEED = 0

BRUSH = 20
"""Voxels: the diameter of the brush."""

DRAG = 50
"""Stamps of a stroke that is dragged."""


def execute(name: str, side: int, n_stamps: int, n_drags: int, path: Path) -> None:
    """Measure one backend, and write a result as JSON.

    Parameters
    ----------
    name
        In `BACKENDS`.
    side
        Voxels along each axis.
    n_stamps
        Single stamps of the brush, each a stroke that is undone later.
    n_drags
        Strokes of `DRAG` stamps, likewise.
    path
        Of the result.
    """
    backend = BACKENDS[name]
    with TemporaryDirectory(dir=path.parent) as folder:
        result = measured(backend, Path(folder), side, n_stamps, n_drags)
    path.write_text(json.dumps({"backend": name, **result}, indent=1) + "\n")


def measured(
    backend: Backend, folder: Path, side: int, n_stamps: int, n_drags: int
) -> dict[str, float | bool | int]:
    """Return milliseconds and megabytes."""
    rng = np.random.default_rng(SEED)
    viewer = ViewerModel()
    watch(viewer)
    layer = viewer.add_layer(backend.layer(folder, (side,) * 3))
    layer.brush_size = BRUSH
    middle = side // 2
    viewer.dims.set_current_step(0, middle)
    places = rng.uniform(BRUSH, side - BRUSH, (n_stamps, 2))
    stamps = [timed(lambda y=y, x=x: layer.paint((middle, y, x), 1)) for y, x in places]
    is_kept = bool(np.array(layer.data[middle]).any()) and np.array_equal(
        backend.on_disk(folder, middle), np.asarray(layer.data[middle])
    )
    drags = [timed(lambda: drag(layer, middle, side, rng)) for _ in range(n_drags)]
    undos_of_drags = [timed(lambda: undo(layer)) for _ in range(n_drags)]
    undos = [timed(lambda: undo(layer)) for _ in range(min(n_stamps, 50))]
    planes = [
        timed(lambda z=z: viewer.dims.set_current_step(0, middle + z))
        for z in range(1, 21)
    ]
    viewer.layers.clear()
    return {
        "side": side,
        "stamps": n_stamps,
        "drags": n_drags,
        "stamp_median": float(np.median(stamps)),
        "stamp_95": float(np.percentile(stamps, 95)),
        "undo_95": float(np.percentile(undos, 95)),
        "drag_median": float(np.median(drags)),
        "undo_of_drag_95": float(np.percentile(undos_of_drags, 95)),
        "plane_median": float(np.median(planes)),
        "peak_megabytes": peak_megabytes(),
        "is_kept": is_kept,
    }


def drag(layer: Labels, z: int, side: int, rng: np.random.Generator) -> None:
    """Paint a line of stamps, as a dragged mouse does."""
    y, x = rng.uniform(BRUSH, side - BRUSH - DRAG, 2)
    with layer.block_history():
        for i in range(DRAG):
            layer.paint((z, y + i, x + i), 2)


def undo(layer: Labels) -> None:
    """Do what the keys for undo do: ours are the layer's, else it is napari's own."""
    act = layer.keymap.get(coerce_keybinding(UNDO), Labels.undo)
    act(layer)


def timed(act: Callable[[], None]) -> float:
    """Return the milliseconds that something takes."""
    start = perf_counter()
    act()
    return 1000 * (perf_counter() - start)


def peak_megabytes() -> float:
    """Return the largest memory that the process has held."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6
