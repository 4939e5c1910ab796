"""Volumes and label stores as napari layers, and back.

The docks import this module in the thread of the window. What loads slowly, such as
Dask and the file formats, is therefore imported in the functions that need it: they
run in worker threads, or where it is loaded already.
"""

import logging
import weakref
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np
import pint
from napari.layers import Image, Labels, Layer
from napari.utils.colormaps import DirectLabelColormap
from napari.utils.notifications import show_error, show_info, show_warning

from napari_meunet.config import LabelClass
from napari_meunet.errors import MeUNetError
from napari_meunet.labels.folder import is_labels_folder, labels_folder
from napari_meunet.network.card import IntensityRule
from napari_meunet.plugin.overviews import view_of

if TYPE_CHECKING:
    import pandas as pd
    from napari.components import ViewerModel

    from napari_meunet.labels.store import LabelStore
    from napari_meunet.volume.volume import Spacing, Volume

LayerData = tuple[Any, dict[str, Any], str]
"""Data, attributes and type of a layer, as readers return them."""

Scale = tuple[float, ...]
"""Of a layer along its axes, in its units."""

AXES = ("z", "y", "x")

_VOLUME, _STORE = "meunet volume", "meunet labels"  # keys in a layer's metadata
_volumes: "WeakKeyDictionary[Image, tuple[Any, Volume]]" = WeakKeyDictionary()

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Shown:
    """What a viewer shows already.

    Attributes
    ----------
    scans
        Their scales, by resolved path.
    labels
        Resolved folders.
    """

    scans: Mapping[Path, Scale] = field(default_factory=dict)
    labels: AbstractSet[Path] = frozenset()

    @classmethod
    def in_viewer(cls, viewer: "ViewerModel | None") -> "Shown":
        """Look at the layers of a viewer."""
        scans: dict[Path, Scale] = {}
        labels: set[Path] = set()
        for layer in viewer.layers if viewer is not None else ():
            volume = layer.metadata.get(_VOLUME) if isinstance(layer, Image) else None
            if volume is not None and volume.source.path is not None:
                scans[volume.source.path.resolve()] = tuple(layer.scale)
            if (store := store_of(layer)) is not None:
                labels.add(store.folder.resolve())
        return cls(scans, labels)


NOTHING = Shown()


def image_layer(volume: "Volume") -> LayerData:
    """Return a lazy image layer: a pyramid in micrometres, nothing read but samples."""
    from napari_meunet.plugin.lazy import for_viewing
    from napari_meunet.volume.pyramid import pyramid

    levels = [for_viewing(level) for level in pyramid(volume)]
    attributes = _space(volume.spacing) | {
        "name": volume.source.path.stem if volume.source.path else "volume",
        "multiscale": len(levels) > 1,
        "contrast_limits": _contrast_limits(volume),
        "metadata": {_VOLUME: volume},
    }
    return levels if len(levels) > 1 else levels[0], attributes, "image"


def labels_layer(store: "LabelStore") -> LayerData:
    """Return a labels layer on which painting goes to the disk at once.

    A store that is not open for writing gives a layer that cannot be painted on.
    """
    from napari_meunet.labels.seen import SeenLabels

    attributes = _space(store.spacing) | {
        "name": f"{store.folder.stem} labels",
        "colormap": colormap(store.classes),
        "features": _names(store.classes),
        "metadata": {_STORE: store},
    }
    data = store.editable() if store.writable else SeenLabels(store.labels)
    data.viewed_as = partial(view_of, store.shape)
    # layers that vanish without being removed, and the end of the process
    weakref.finalize(data, _let_go, store)
    return data, attributes, "labels"


def scan_layers(volume: "Volume", shown: Shown = NOTHING) -> list[LayerData]:
    """Return the image layer of a scan, and its labels if they are not shown yet."""
    path = volume.source.path
    folder = labels_folder(path) if path is not None else None
    if folder is not None and folder.exists() and folder.resolve() not in shown.labels:
        try:
            return _with_labels(volume, folder)
        except MeUNetError as error:
            show_error(str(error))
    return [image_layer(volume)]


def holds_labels(path: Path) -> bool:
    """Return whether a path is meant to be a labels folder, be it a damaged one."""
    return path.suffix == ".meunet" or is_labels_folder(path)


def labels_layers(folder: Path, shown: Shown = NOTHING) -> list[LayerData]:
    """Return the labels layer of a folder, and its scan if that lies beside it.

    Parameters
    ----------
    folder
        With the labels.
    shown
        A scan that it holds is not wanted again if it lies where it would.

    Raises
    ------
    MeUNetError
        If the labels cannot be read, or are shown already.
    """
    from napari_meunet.volume.open import open_volume

    if folder.resolve() in shown.labels:
        raise MeUNetError(
            f"labels must be opened once in a window, got {folder.name} again; choose "
            "their layer in the list of layers"
        )
    store = open_store(folder)
    scan = folder.parent / store.manifest.scan.name
    try:
        image, labels = _in_one_space(open_volume(scan), store)
    except MeUNetError as error:  # moved, or one of several channels was labelled
        show_info(f"These labels are shown without their scan: {error}")
        return [labels_layer(store)]
    scale = image[1].get("scale", (1.0,) * len(AXES))
    return [labels] if shown.scans.get(scan.resolve()) == scale else [image, labels]


def folder_name(layer: str) -> str:
    """Return the name of a labels folder for a layer whose image is no file."""
    return f"{layer.replace('/', '-')}.meunet"


def folder_of_labels(volume: "Volume", layer: str) -> Path:
    """Return where the labels of a scan go: beside it, else into the home folder."""
    path = volume.source.path
    return labels_folder(path) if path else Path.home() / folder_name(layer)


def open_store(folder: Path) -> "LabelStore":
    """Open a labels folder, for reading only if somebody else writes into it.

    Raises
    ------
    MeUNetError
        If it cannot be read either.
    """
    from napari_meunet.labels.store import LabelStore

    try:
        return LabelStore.open(folder)
    except MeUNetError as error:
        store = LabelStore.open(folder, writable=False)
        show_warning(f"These labels are shown but cannot be painted on: {error}")
        return store


def volume_of(layer: Image) -> "Volume":
    """Return the volume behind an image layer, wherever the layer comes from.

    Raises
    ------
    MeUNetError
        If the layer is not a volume of one channel.
    """
    array = layer.data[0] if layer.multiscale else layer.data
    if layer.rgb or len(array.shape) != len(AXES):
        raise MeUNetError(
            f"the image must be a volume (z, y, x) of one channel, got the layer "
            f"{layer.name!r} of shape {tuple(array.shape)}"
            f"{' in colour' if layer.rgb else ''}; open its file in the Open dock, "
            "which asks for channel and time"
        )
    volume = layer.metadata.get(_VOLUME)
    if volume is None or volume.shape != array.shape:
        volume = _remembered_volume(layer, array)
    spacing = spacing_of(layer.scale, layer.units)
    if volume.spacing is None and spacing is not None:
        return volume.with_spacing(spacing.zyx)
    return volume


def store_of(layer: Layer) -> "LabelStore | None":
    """Return the label store that a layer shows, None if it shows something else."""
    store: LabelStore | None = layer.metadata.get(_STORE)
    if store is None:
        return None
    from napari_meunet.labels.editable import EditableLabels
    from napari_meunet.labels.seen import SeenLabels

    # the metadata travel to duplicates, whose data lie in memory
    return store if isinstance(layer.data, EditableLabels | SeenLabels) else None


def writable_store_of(layer: Layer | None) -> "LabelStore | None":
    """Return the store of a layer if it can be written to."""
    store = None if layer is None else store_of(layer)
    return store if store is not None and store.writable else None


def labels_of(
    data: Any, attributes: Mapping[str, Any]
) -> tuple[Any, "Spacing | None", tuple[LabelClass, ...]]:
    """Return what is exported of a labels layer: its array, spacing and classes."""
    array = data[0] if isinstance(data, list | tuple) else data  # a pyramid
    store = attributes["metadata"].get(_STORE)
    classes = store.classes if store else ()
    return array, spacing_of(attributes["scale"], attributes["units"]), classes


def spacing_of(scale: Any, units: Any) -> "Spacing | None":
    """Return the spacing of a layer, None if its units are not lengths."""
    from napari_meunet.volume.volume import Spacing

    registry = pint.get_application_registry()
    try:
        z, y, x = (
            float(registry.Quantity(size, str(unit)).m_as("micrometer"))
            for size, unit in zip(scale, units or (), strict=True)
        )
    except (pint.DimensionalityError, ValueError):  # pixels, or not three axes
        return None
    return Spacing((z, y, x), "layer in napari")


def colormap(classes: tuple[LabelClass, ...]) -> DirectLabelColormap:
    """Return the colours of the classes; the background is transparent."""
    colors: dict[int | None, Any] = {label.value: label.color for label in classes}
    return DirectLabelColormap(color_dict=colors | {0: "transparent", None: "white"})


def show_classes(layer: Labels, classes: tuple[LabelClass, ...]) -> None:
    """Give a labels layer the colours and names of classes."""
    layer.colormap = colormap(classes)
    layer.features = _names(classes)


def shows_planes(viewer: "ViewerModel", layer: Layer, planes: range) -> bool:
    """Tell whether one of the planes of a layer is seen; in 3-D, none counts.

    A volume in 3-D is read whole to be drawn: too much while it is being written.
    """
    if viewer.dims.ndisplay != 2 or not planes:
        return False
    z = shown_plane(viewer, layer)
    return z is None or z in planes  # None is a cut along z


def shown_plane(viewer: "ViewerModel", layer: Layer) -> int | None:
    """Return the number of the z plane of a layer that is seen; None in other views.

    It may lie outside the layer.
    """
    dims = viewer.dims
    if dims.ndim - len(AXES) in dims.displayed:
        return None
    return round(layer.world_to_data(dims.point)[0])


def _let_go(store: "LabelStore") -> None:
    """Close a store that nobody sees any more, so that nobody could be told."""
    try:
        store.close()
    except MeUNetError as error:
        logger.warning("%s", error)


def _with_labels(volume: "Volume", folder: Path) -> list[LayerData]:
    store = open_store(folder)
    try:
        return _in_one_space(volume, store)
    except MeUNetError:
        store.close()
        raise


def _in_one_space(volume: "Volume", store: "LabelStore") -> list[LayerData]:
    """Return the layers of a scan and of its labels; either may know the spacing."""
    store.require_scan(volume)
    if store.writable:
        store.take_spacing(volume)
    if volume.spacing is None and store.spacing is not None:
        volume = volume.with_spacing(store.spacing.zyx)
    return [image_layer(volume), labels_layer(store)]


def _names(classes: tuple[LabelClass, ...]) -> "pd.DataFrame":
    """Return the feature table by which napari names the label under the mouse."""
    import pandas as pd  # slow, and here it is a worker that waits

    values = [label.value for label in classes]
    return pd.DataFrame({"index": values, "class": [label.name for label in classes]})


def _space(spacing: "Spacing | None") -> dict[str, Any]:
    """Return the attributes that place a layer; none are claimed without spacing."""
    if spacing is None:
        return {"axis_labels": AXES}
    return {"axis_labels": AXES, "scale": spacing.zyx, "units": ("um",) * len(AXES)}


def _contrast_limits(volume: "Volume") -> tuple[float, float]:
    from napari_meunet.volume.intensity import intensity_range

    rule = IntensityRule()
    try:
        return intensity_range(volume, rule.low, rule.high)
    except MeUNetError:  # a constant volume is no reason not to show it
        return 0.0, 1.0


def _remembered_volume(layer: Image, array: Any) -> "Volume":
    """Return the volume of a layer of others: opened once, as long as its data stay."""
    layer = getattr(layer, "__wrapped__", layer)  # docks are given a proxy
    known = _volumes.get(layer)
    if known is None or known[0] is not layer.data:
        known = layer.data, _volume_at(layer.source.path, array)
        _volumes[layer] = known
    return known[1]


def _volume_at(path: str | None, array: Any) -> "Volume":
    """Return the file if it holds what the layer shows, else the layer's array."""
    from napari_meunet.volume.open import in_native_numbers, open_volume
    from napari_meunet.volume.volume import Volume

    if path is not None:
        try:
            volume = open_volume(Path(path))
        except MeUNetError:  # a format of another reader, or one of several channels
            volume = None
        if volume and (volume.shape, volume.dtype) == (array.shape, array.dtype):
            return volume
    array = array if hasattr(array, "dtype") else np.asarray(array)
    return in_native_numbers(Volume.from_array(array))
