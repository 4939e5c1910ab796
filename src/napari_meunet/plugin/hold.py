"""Labels that nobody may paint on for a while."""

from collections.abc import Callable

from napari.layers import Labels

from napari_meunet.plugin.overviews import refresh


def hold(layer: Labels) -> Callable[[], None]:
    """Let nobody paint on a layer.

    Returns
    -------
    callable
        Lets people paint again, with what they had in hand, and draws what is new.
    """
    mode = layer.mode
    layer.editable = False

    def release() -> None:
        layer.editable = True
        layer.mode = mode
        refresh(layer)

    return release
