"""The tools that change labels, for people."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum
from typing import TYPE_CHECKING

from napari_meunet.errors import MeUNetError
from napari_meunet.labels.box import Box, box_at, extent
from napari_meunet.labels.tools.interpolate import Interpolate
from napari_meunet.labels.tools.islands import (
    FillHoles,
    FillIsland,
    KeepLargest,
    RemoveSmall,
)
from napari_meunet.labels.tools.merge import Merge
from napari_meunet.labels.tools.planes import CopyPlane
from napari_meunet.labels.tools.regions import Snap, Split
from napari_meunet.labels.tools.shapes import Close, Grow, Open, Shrink, Smooth
from napari_meunet.plugin.view import Cut, seen_box, voxel_at_mouse

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Labels

    from napari_meunet.labels.tools.tool import Tool
    from napari_meunet.volume.volume import Planes


class Where(Enum):
    """What part of the labels a tool may change."""

    PLANE = "this plane"
    VIEW = "in view, and planes beside"
    ALL = "everywhere"


class Amount(Enum):
    """What else a tool has to know."""

    NOTHING = ""
    DISTANCE = "Distance"
    VOLUME = "Below"
    LABEL = "Into"


@dataclass(frozen=True)
class Aim:
    """What a person has chosen.

    Attributes
    ----------
    label
        The one to change.
    cut
        The plane that is shown.
    size
        A distance or volume, in micrometres or voxels as the labels are.
    into
        Another label.
    scan
        Returns the voxels of the scan.
    """

    label: int
    cut: Cut
    size: float
    into: int
    scan: "Callable[[], Planes]"


@dataclass(frozen=True)
class Offer:
    """A tool in a list.

    Attributes
    ----------
    title, does
        In a few words, and in a sentence.
    make
        Returns the tool.
    amount
        What it has to know.
    places
        Where it can work; the first is proposed.
    needs_scan
        Whether it looks at grey values.
    """

    title: str
    does: str
    make: "Callable[[Aim], Tool]"
    amount: Amount = Amount.NOTHING
    places: tuple[Where, ...] = tuple(Where)
    needs_scan: bool = False


INTERPOLATE = Offer(
    "Interpolate",
    "draw the label between the planes in which you have painted it",
    lambda aim: Interpolate(aim.label, aim.cut.axis),
    places=(Where.ALL, Where.VIEW),
)
INTERPOLATE_HERE = replace(
    INTERPOLATE,
    make=lambda aim: Interpolate(aim.label, aim.cut.axis, around=aim.cut.plane),
)
COPY_NEXT = Offer(
    "Copy from the plane before",
    "draw the label in this plane as it is in the one before",
    lambda aim: CopyPlane(aim.label, aim.cut.axis, 1),
    places=(Where.PLANE,),
)
COPY_BACK = Offer(
    "Copy from the plane after",
    "draw the label in this plane as it is in the one after",
    lambda aim: CopyPlane(aim.label, aim.cut.axis, -1),
    places=(Where.PLANE,),
)
OFFERS = (
    INTERPOLATE,
    COPY_NEXT,
    COPY_BACK,
    Offer(
        "Fill holes",
        "fill the background that the label encloses",
        lambda aim: FillHoles(aim.label),
    ),
    Offer(
        "Keep the largest island",
        "remove all of the label that does not hang together with its largest part",
        lambda aim: KeepLargest(aim.label),
        places=(Where.ALL, Where.VIEW, Where.PLANE),
    ),
    Offer(
        "Remove small islands",
        "remove parts of the label that hang together and are small",
        lambda aim: RemoveSmall(aim.label, aim.size),
        Amount.VOLUME,
        places=(Where.ALL, Where.VIEW, Where.PLANE),
    ),
    Offer(
        "Smooth",
        "smooth the surface; the distance is the standard deviation of a Gaussian",
        lambda aim: Smooth(aim.label, aim.size),
        Amount.DISTANCE,
    ),
    Offer(
        "Grow",
        "add the background within a distance",
        lambda aim: Grow(aim.label, aim.size),
        Amount.DISTANCE,
    ),
    Offer(
        "Shrink",
        "remove what lies within a distance of the surface",
        lambda aim: Shrink(aim.label, aim.size),
        Amount.DISTANCE,
    ),
    Offer(
        "Open: remove what is thin",
        "shrink and grow: bridges and spikes thinner than twice the distance go",
        lambda aim: Open(aim.label, aim.size),
        Amount.DISTANCE,
    ),
    Offer(
        "Close: fill what is narrow",
        "grow and shrink: gaps narrower than twice the distance are filled",
        lambda aim: Close(aim.label, aim.size),
        Amount.DISTANCE,
    ),
    Offer(
        "Snap to edges",
        "move the surface to the nearest edges of the scan, at most by the distance",
        lambda aim: Snap(aim.label, aim.size, aim.scan),
        Amount.DISTANCE,
        needs_scan=True,
    ),
    Offer(
        "Split at marks",
        "divide the label among marks of other labels that you have painted into it",
        lambda aim: Split(aim.label),
        places=(Where.VIEW, Where.PLANE, Where.ALL),
    ),
    Offer(
        "Merge",
        "turn the label into another one",
        lambda aim: Merge(aim.label, aim.into),
        Amount.LABEL,
        places=(Where.ALL, Where.VIEW, Where.PLANE),
    ),
)


def box_of(where: Where, layer: "Labels", cut: Cut | None, n_beside: int) -> Box | None:
    """Return what part of a layer is meant; None if the viewer shows nothing of it.

    Parameters
    ----------
    where
        As a person says it.
    layer
        Of labels ``(z, y, x)``.
    cut
        The plane that is shown.
    n_beside
        Planes on both sides of it that count as in view.
    """
    whole = box_at((0, 0, 0), layer.data.shape)
    if where is Where.ALL:
        return whole
    if cut is None:
        return None
    if where is Where.PLANE:
        return cut.of(whole)
    seen = cut.of(seen_box(layer, cut), n_beside)
    sides = [n for axis, n in enumerate(extent(seen)) if axis != cut.axis]
    return seen if min(sides) > 1 else None  # it was moved out of view


def island_at_cursor(
    viewer: "ViewerModel", layer: "Labels", cut: Cut | None
) -> "tuple[Tool, Box] | None":
    """Return what gives the island under the mouse the selected label, and where.

    In all planes, if the layer says that it is edited in 3-D; else in this one. None
    if there is nothing to do.

    Raises
    ------
    MeUNetError
        If it is background, in all planes: that is no island.
    """
    at = None if cut is None else voxel_at_mouse(viewer, layer, cut)
    if cut is None or at is None:
        return None
    everywhere = layer.n_edit_dimensions == layer.ndim
    old = int(layer.data[at])
    if old == layer.selected_label:
        return None
    if everywhere and old == 0:
        raise MeUNetError(
            "in all planes, islands of a label are filled, got background under the "
            'mouse; use "Fill holes", or set "n edit dim" to 2 to fill in this plane'
        )
    whole = box_at((0, 0, 0), layer.data.shape)
    box = whole if everywhere else cut.of(whole)
    return FillIsland(at, old, layer.selected_label), box
