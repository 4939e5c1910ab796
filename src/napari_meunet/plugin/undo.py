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
from napari_meunet.plugin.overviews import refresh
from napari_meunet.plugin.view import show_box

if TYPE_CHECKING:
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

    def undo(layer: Labels) -> None:
        step(layer, journal.undo)

    def redo(layer: Labels) -> None:
        step(layer, journal.redo)

    layer.bind_key(UNDO, undo, overwrite=True)
    layer.bind_key(REDO, redo, overwrite=True)


def _end_stroke(event: Any) -> None:
    from napari_meunet.labels.editable import EditableLabels

    labels = event.source.data  # which a person may have replaced
    if isinstance(labels, EditableLabels):
        labels.end_stroke(len(event.value))


def step(layer: Labels, act: "Callable[[], Stroke | None]") -> None:
    """Go a step back or forth, and look at where that was; not while a tool works."""
    if not layer.editable:
        return
    try:
        stroke = act()
    except MeUNetError as error:
        show_error(str(error))
        return
    if stroke is None:
        return
    viewer = napari.current_viewer()
    if viewer is not None and layer in viewer.layers:
        show_box(viewer, layer, stroke.box)
    refresh(layer)
