"""Undo and redo of labels by their journal, in the place of napari's own.

napari remembers a hundred strokes and forgets them with the window. The journal lies on
the disk, and knows the tools that are not napari's, too.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import napari
from app_model.types import KeyCode, KeyMod
from napari.layers import Labels
from napari.utils.notifications import show_error

from napari_meunet.errors import MeUNetError

if TYPE_CHECKING:
    from napari.components import ViewerModel

    from napari_meunet.labels.box import Box
    from napari_meunet.labels.journal.history import Stroke
    from napari_meunet.labels.journal.journal import Journal

UNDO = KeyMod.CtrlCmd | KeyCode.KeyZ
REDO = KeyMod.CtrlCmd | KeyMod.Shift | KeyCode.KeyZ


def use_journal(layer: Labels, journal: "Journal") -> None:
    """Let a journal undo what is done to its layer; repeating this changes nothing.

    Parameters
    ----------
    layer
        Its data are `EditableLabels`.
    journal
        That of the same store.
    """
    layer.data.grouped = True
    layer.events.paint.connect(_end_stroke)
    layer.bind_key(UNDO, _step(journal.undo), overwrite=True)
    layer.bind_key(REDO, _step(journal.redo), overwrite=True)


def show_box(viewer: "ViewerModel", layer: Labels, box: "Box") -> None:
    """Move the sliders of a viewer, if need be, to where a box of a layer is seen."""
    dims = viewer.dims
    n_before = dims.ndim - layer.ndim  # axes that the layer does not have
    place = list(layer.world_to_data(dims.point))
    for axis, part in enumerate(box):
        if not part.start <= round(place[axis]) < part.stop:
            place[axis] = (part.start + part.stop - 1) // 2
    for axis, value in enumerate(layer.data_to_world(place), start=n_before):
        if axis not in dims.displayed:
            dims.set_point(axis, value)


def _end_stroke(event: Any) -> None:
    event.source.data.end_stroke(len(event.value))


def _step(step: "Callable[[], Stroke | None]") -> Callable[[Labels], None]:
    """Return what a key does: a step back or forth, and a look at where it was."""

    def act(layer: Labels) -> None:
        try:
            stroke = step()
        except MeUNetError as error:
            show_error(str(error))
            return
        if stroke is None:
            return
        viewer = napari.current_viewer()
        if viewer is not None and layer in viewer.layers:
            show_box(viewer, layer, stroke.box)
        layer.refresh()

    return act
