"""Where a viewer looks."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Layer

    from napari_meunet.labels.box import Box
    from napari_meunet.labels.review import ReviewItem

PIXELS = 300
"""Of the canvas, for the edge of a place: large enough to paint in, with some of what
lies around it."""


def show_box(viewer: "ViewerModel", layer: "Layer", box: "Box") -> None:
    """Move the sliders of a viewer, if need be, to where a box of a layer is seen."""
    place = list(layer.world_to_data(viewer.dims.point))
    for axis, part in enumerate(box):
        if not part.start <= round(place[axis]) < part.stop:
            place[axis] = (part.start + part.stop - 1) // 2
    _move_sliders(viewer, layer, tuple(place))


def fly_to(viewer: "ViewerModel", layer: "Layer", item: "ReviewItem") -> None:
    """Show a place: the voxel of most doubt in the middle, and near enough to paint."""
    _move_sliders(viewer, layer, item.center)
    viewer.camera.center = layer.data_to_world(item.center)
    edges = [part.stop - part.start for part in item.box]
    zooms = [
        PIXELS / (edge * abs(size))
        for edge, size in zip(edges, layer.scale, strict=True)
    ]
    viewer.camera.zoom = max(viewer.camera.zoom, min(zooms))


def _move_sliders(
    viewer: "ViewerModel", layer: "Layer", place: tuple[float, ...]
) -> None:
    dims = viewer.dims
    n_before = dims.ndim - layer.ndim  # axes that the layer does not have
    for axis, value in enumerate(layer.data_to_world(place), start=n_before):
        if axis not in dims.displayed:
            dims.set_point(axis, value)
