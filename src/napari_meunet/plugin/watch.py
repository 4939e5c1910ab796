"""What happens to labels folders as layers come and go, and as the view changes."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import napari
from napari.layers import Labels
from napari.utils.notifications import show_error, show_info

from napari_meunet.errors import MeUNetError
from napari_meunet.plugin.last_plane import reach_last_plane
from napari_meunet.plugin.layers import store_of
from napari_meunet.plugin.overviews import stand_down, stand_in, viewers
from napari_meunet.plugin.undo import use_journal

if TYPE_CHECKING:
    from napari.components import ViewerModel

    from napari_meunet.labels.store import LabelStore


def watch(viewer: "ViewerModel | None") -> None:
    """See to stores when their layers come and go; repeating this changes nothing.

    Parameters
    ----------
    viewer
        None, where there is no window, is allowed.
    """
    if viewer is None:
        return
    viewer = getattr(viewer, "__wrapped__", viewer)  # docks are given a proxy
    viewers[id(viewer)] = viewer
    viewer.layers.events.inserted.connect(_welcome)
    viewer.layers.events.removed.connect(_close)
    viewer.dims.events.ndisplay.connect(_look)
    viewer.dims.events.range.connect(_reach)
    reach_last_plane(viewer.dims)


def watch_current_viewer() -> None:
    """Watch the viewer in front: a reader is not told for which one it reads."""
    watch(napari.current_viewer())


def _reach(event: Any) -> None:
    reach_last_plane(event.source)


def _welcome(event: Any) -> None:
    layer = event.value
    store = store_of(layer)
    if store is None:
        return
    if not store.writable:
        layer.editable = False
        _look()
        return
    use_journal(layer, store.journal)
    _look()
    if n := store.journal.n_restored:
        show_info(
            f"{layer.name} was not closed last time. Changes restored from the "
            f"journal: {n}"
        )


def _close(event: Any) -> None:
    store = store_of(event.value)
    if store is None:
        return
    stand_down(event.source, event.value)
    try:
        store.close()
    except MeUNetError as error:  # the layer goes all the same
        show_error(str(error))


def _look(event: Any = None) -> None:
    """Let overviews stand in for large labels, where it is 3-D."""
    for viewer in viewers.values():
        for layer, store in _stored(viewer):
            if viewer.dims.ndisplay == 3:
                stand_in(viewer, layer, store.labels)
            else:
                stand_down(viewer.layers, layer)


def _stored(viewer: "ViewerModel") -> "Iterator[tuple[Labels, LabelStore]]":
    """Yield the layers of labels folders, and their stores."""
    for layer in list(viewer.layers):
        store = store_of(layer)
        if store is not None:
            yield layer, store
