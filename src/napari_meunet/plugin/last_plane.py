"""The last plane along every axis, within reach of napari's sliders.

napari counts the steps of a slider by a division of floats that it rounds down: of 60
planes 18.58 um apart it offers 59 (napari 0.9, `Dims.nsteps`).
"""

from typing import TYPE_CHECKING

from napari.components.dims import RangeTuple

if TYPE_CHECKING:
    from napari.components import Dims

NEARLY = 1e-6
"""Steps by which a range may miss a whole number of them: that is rounding."""

BEYOND = 1e-12
"""Of the range, by which it ends later: more than a division is off."""


def reach_last_plane(dims: "Dims") -> None:
    """Let ranges end a little later where the last step would be lost."""
    ranges = tuple(map(_reaching, dims.range))
    if ranges != tuple(dims.range):
        dims.range = ranges


def _reaching(whole: RangeTuple) -> RangeTuple:
    start, stop, step = whole
    if not step:
        return whole
    n_steps = (stop - start) / step
    nearest = round(n_steps)
    if int(n_steps) >= nearest or nearest - n_steps > NEARLY:
        return whole
    return RangeTuple(start, start + nearest * step * (1 + BEYOND), step)
