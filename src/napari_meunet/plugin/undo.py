"""Undo and redo of labels by their journal, in the place of napari's own.

napari remembers a hundred strokes and forgets them with the window. The journal lies on
the disk, and knows the tools that are not napari's, too.
"""

from functools import reduce
from math import prod
from typing import TYPE_CHECKING, Any

import napari
from app_model.types import KeyCode, KeyMod
from napari.layers import Labels
from napari.utils.notifications import show_error, show_info
from superqt.utils import create_worker

from napari_meunet.errors import MeUNetError
from napari_meunet.labels.box import extent, hull
from napari_meunet.plugin.hold import hold
from napari_meunet.plugin.jobs import tell
from napari_meunet.plugin.overviews import refresh
from napari_meunet.plugin.view import show_box

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_meunet.labels.journal.history import Stroke
    from napari_meunet.labels.journal.journal import Journal

UNDO = KeyMod.CtrlCmd | KeyCode.KeyZ
REDO = KeyMod.CtrlCmd | KeyMod.Shift | KeyCode.KeyZ

AT_ONCE = 2**24
"""Voxels of the boxes around strokes that are undone while the window waits."""


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
    layer.events.labels_update.connect(_draw_what_is_there)

    def undo(layer: Labels) -> None:
        step(layer, journal, 1)

    def redo(layer: Labels) -> None:
        step(layer, journal, -1)

    layer.bind_key(UNDO, undo, overwrite=True)
    layer.bind_key(REDO, redo, overwrite=True)


def _end_stroke(event: Any) -> None:
    from napari_meunet.labels.editable import EditableLabels

    labels = event.source.data  # which a person may have replaced
    if isinstance(labels, EditableLabels):
        labels.end_stroke(len(event.value))


def _draw_what_is_there(event: Any) -> None:
    """Draw the labels anew where not all is painted: napari draws what it asked for."""
    if getattr(event.source.data, "paintable", None) is not None:
        event.source.refresh(extent=False, thumbnail=False)


def step(layer: Labels, journal: "Journal", n: int) -> None:
    """Go `n` strokes back, or forth if negative, and look at where the last one was.

    Large strokes take their time, in a thread of their own; nothing happens while
    another one, or a tool, is at work.
    """
    history = journal.history
    strokes = history.done[-n:] if n > 0 else history.undone[n:]
    if not layer.editable or not strokes:
        return
    act = journal.undo if n > 0 else journal.redo

    def go() -> None:
        for _ in strokes:
            act()

    if sum(prod(extent(stroke.box)) for stroke in strokes) <= AT_ONCE:
        try:
            go()
        except MeUNetError as error:
            show_error(str(error))
        _show(layer, strokes)
        return
    worker = create_worker(go, _ignore_errors=True)
    worker.finished.connect(hold(layer))
    worker.errored.connect(tell)
    worker.returned.connect(lambda _: _show(layer, strokes))
    show_info(f"{'Undoing' if n > 0 else 'Redoing'} much; this may take a while.")
    worker.start()


def _show(layer: Labels, strokes: "Sequence[Stroke]") -> None:
    """Look at where the last of some strokes was, and draw them all anew."""
    viewer = napari.current_viewer()
    if viewer is not None and layer in viewer.layers:
        show_box(viewer, layer, strokes[0].box)
    refresh(layer, reduce(hull, (stroke.box for stroke in strokes)))
