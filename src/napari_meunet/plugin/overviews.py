"""Labels in 3-D: napari would read a volume whole, so a smaller one stands in for it.

The layer that a person paints on is hidden as long as the viewer is in 3-D, if it is
large; an overview is shown instead, as coarse as the scan is in 3-D.
"""

from math import prod
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

import numpy as np
from napari.layers import Labels, Layer

from napari_meunet.config import Shape
from napari_meunet.labels.box import Box, extent

if TYPE_CHECKING:
    from napari.components import LayerList, ViewerModel

    from napari_meunet.labels.overview import Overview
    from napari_meunet.labels.seen import View
    from napari_meunet.labels.tiff import LabelMap
    from napari_meunet.plugin.jobs import Job

READ_AT_ONCE = 2**26
"""Labels that a window may wait for; where there are more, a thread looks at them."""

_STANDS_IN, _HAS = "meunet stands in for", "meunet overview"  # keys in metadata

viewers: "WeakValueDictionary[int, ViewerModel]" = WeakValueDictionary()
"""Those in which overviews are shown, by their `id`."""

_readings: "dict[Labels, Job]" = {}  # those that have not come to their end


def view_of(shape: Shape) -> "View":
    """Return how labels are looked at by a viewer that asks for all of them."""
    from napari_meunet.labels.seen import View
    from napari_meunet.volume.pyramid import coarsest_factors

    if not any(viewer.dims.ndisplay == 3 for viewer in viewers.values()):
        return View.PLANES
    is_large = coarsest_factors(shape) != (1, 1, 1)
    return View.OVERVIEW if is_large else View.VOLUME


def stand_in(viewer: "ViewerModel", layer: Labels, labels: "LabelMap") -> None:
    """Show an overview instead of a layer that is seen; not if that is small.

    Parameters
    ----------
    viewer
        Is about to show 3-D.
    layer
        Of labels in a folder.
    labels
        Those labels.
    """
    from napari_meunet.labels.overview import Overview
    from napari_meunet.volume.pyramid import coarsest_factors

    factors = coarsest_factors(labels.shape)
    if factors == (1, 1, 1) or not layer.visible or _HAS in layer.metadata:
        return
    shown = _overview_layer(layer, Overview(labels, factors))
    active = viewer.layers.selection.active
    layer.visible = False
    layer.metadata[_HAS] = shown
    # or napari asks what is under the mouse, from a direction that it does not know yet
    over, viewer.mouse_over_canvas = viewer.mouse_over_canvas, False
    viewer.layers.insert(viewer.layers.index(layer) + 1, shown)
    viewer.layers.selection.active = active
    viewer.mouse_over_canvas = over
    shown.editable = False
    _read(shown)


def _overview_layer(layer: Labels, overview: "Overview") -> Labels:
    """Return a layer that lies where another one lies, and looks like it."""
    return Labels(
        overview,
        name=f"{layer.name} in 3-D",
        colormap=layer.colormap,
        features=layer.features,
        opacity=layer.opacity,
        blending=layer.blending,
        scale=np.multiply(layer.scale, overview.factors),
        rotate=layer.rotate,
        shear=layer.shear,
        affine=layer.affine,
        translate=layer.affine.inverse(layer.data_to_world(overview.first)),
        axis_labels=layer.axis_labels,
        units=layer.units,
        metadata={_STANDS_IN: layer},
    )


def stand_down(layers: "LayerList", layer: Labels) -> None:
    """Show a layer itself again, if something stood in for it and it is still there."""
    overview = layer.metadata.pop(_HAS, None)
    if overview is None:
        return
    _stop_reading(overview)
    if overview in layers:  # a person may have removed it
        layers.remove(overview)
    if layer in layers:
        layer.visible = True


def is_overview(layer: Layer) -> bool:
    """Tell whether a layer stands in for another one; it is nothing to work on."""
    return _STANDS_IN in layer.metadata


def refresh(layer: Layer, box: Box | None = None) -> None:
    """Draw a layer anew, or what stands in for it; a box if it changed nowhere else."""
    overview = layer.metadata.get(_HAS)
    if overview is None:
        layer.refresh(extent=False)
    else:
        _read(overview, box)


def _read(layer: Labels, box: Box | None = None) -> None:
    """Let an overview show what the labels are now, all or those of a box."""
    overview: Overview = layer.data
    box = box or overview.whole
    if prod(extent(box)) > READ_AT_ONCE:
        _begin_reading(layer)
    else:
        overview.read_again(box)
        layer.refresh(extent=False)


def _begin_reading(layer: Labels) -> None:
    """Read all labels in a thread, and show them when it is done."""
    from napari_meunet.plugin.jobs import Ending, Job

    def end(ending: Ending) -> None:
        if ending is Ending.COMPLETE:
            layer.refresh(extent=False)
        if _readings.get(layer) is job:
            del _readings[layer]

    _stop_reading(layer)
    job = _readings[layer] = Job(layer.data.reading())
    job.ended.connect(end)
    job.start()


def _stop_reading(layer: Labels) -> None:
    job = _readings.pop(layer, None)
    if job is not None:
        job.cancel()
