"""Where a viewer looks."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_meunet.config import Shape
from napari_meunet.labels.box import Box, intersection, planes_of

if TYPE_CHECKING:
    from napari.components import Camera, ViewerModel
    from napari.layers import Layer

    from napari_meunet.labels.review import ReviewItem

PIXELS = 300
"""Of the canvas, for the edge of a place: large enough to paint in, with some of what
lies around it."""


@dataclass(frozen=True)
class Cut:
    """The plane of a volume ``(z, y, x)`` that a viewer shows.

    Attributes
    ----------
    axis
        Across which it lies: 0, 1 or 2 for z, y or x.
    plane
        Its number.
    """

    axis: int
    plane: int

    def of(self, box: Box, n_beside: int = 0) -> Box:
        """Return the part of a box that lies in the plane, or so many beside it."""
        part = box[self.axis]
        first, last = self.plane - n_beside, self.plane + n_beside
        near = slice(max(part.start, first), min(part.stop, last + 1))
        return planes_of(box, self.axis, near)


def shown_cut(viewer: "ViewerModel", layer: "Layer") -> Cut | None:
    """Return which plane of a volume is shown; None in 3-D, or beside the volume."""
    dims = viewer.dims
    axes = [axis - (dims.ndim - layer.ndim) for axis in dims.not_displayed]
    across = [axis for axis in axes if axis >= 0]
    if len(across) != 1:
        return None
    plane = round(float(layer.world_to_data(dims.point)[across[0]]))
    if not 0 <= plane < layer.data.shape[across[0]]:
        return None
    return Cut(across[0], plane)


def voxel_at_mouse(viewer: "ViewerModel", layer: "Layer", cut: Cut) -> Shape | None:
    """Return the voxel of a plane that is under the mouse; None beside the volume."""
    place = layer.world_to_data(viewer.cursor.position[-layer.ndim :])
    at = [round(float(coordinate)) for coordinate in place]
    at[cut.axis] = cut.plane  # the slider may have moved since the mouse did
    z, y, x = at
    inside = all(0 <= i < n for i, n in zip(at, layer.data.shape, strict=True))
    return (z, y, x) if inside else None


def seen_box(layer: "Layer", cut: Cut) -> Box:
    """Return the voxels of a layer that the canvas has room for, in all planes."""
    first, last = layer.corner_pixels
    z, y, x = (
        slice(0, n)
        if axis == cut.axis
        else slice(max(0, int(first[axis])), min(n, int(last[axis]) + 1))
        for axis, n in enumerate(layer.data.shape)
    )
    return z, y, x


def camera_of(viewer: "ViewerModel") -> "Camera":
    """Return the camera, where napari has it since 0.9 or had it before."""
    return viewer.scene.camera if hasattr(viewer, "scene") else viewer.camera


def show_box(viewer: "ViewerModel", layer: "Layer", box: Box) -> None:
    """Move the sliders and the camera, if need be, to where a box of a layer is."""
    middle = [(part.start + part.stop - 1) // 2 for part in box]
    place = list(layer.world_to_data(viewer.dims.point))
    for axis, part in enumerate(box):
        if not part.start <= round(place[axis]) < part.stop:
            place[axis] = middle[axis]
    _move_sliders(viewer, layer, tuple(place))
    cut = shown_cut(viewer, layer)
    if cut is not None and intersection(box, seen_box(layer, cut)) is None:
        camera_of(viewer).center = layer.data_to_world(middle)


def fly_to(viewer: "ViewerModel", layer: "Layer", item: "ReviewItem") -> None:
    """Show a place: the voxel of most doubt in the middle, and near enough to paint."""
    _move_sliders(viewer, layer, item.center)
    camera = camera_of(viewer)
    camera.center = layer.data_to_world(item.center)
    edges = [part.stop - part.start for part in item.box]
    zooms = [
        PIXELS / (edge * abs(size))
        for edge, size in zip(edges, layer.scale, strict=True)
    ]
    camera.zoom = max(camera.zoom, min(zooms))


def _move_sliders(
    viewer: "ViewerModel", layer: "Layer", place: tuple[float, ...]
) -> None:
    dims = viewer.dims
    n_before = dims.ndim - layer.ndim  # axes that the layer does not have
    for axis, value in enumerate(layer.data_to_world(place), start=n_before):
        if axis not in dims.displayed:
            dims.set_point(axis, value)
