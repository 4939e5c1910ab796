"""A figure of agreement: a dot for every specimen, and the mean, per class."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING

import numpy as np

from napari_meunet.atomic import replacing, writing
from napari_meunet.errors import MeUNetError
from napari_meunet.training.evaluation.setting import Setting
from napari_meunet.training.evaluation.summary import Specimens

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SUFFIXES = (".png", ".pdf", ".svg")

PALETTE = (
    "#e69f00",
    "#56b4e9",
    "#009e73",
    "#f0e442",
    "#0072b2",
    "#d55e00",
    "#cc79a7",
)
"""For classes without a colour: B. Wong, "Points of view: Color blindness", Nature
Methods 8, 441 (2011), which people tell apart whatever colours they see."""

_HEIGHT = 0.5
"""Height over which the dots of a class are spread; classes are 1 apart."""

_INK = "#303030"


def require_drawable(path: Path) -> None:
    """Find out before the work whether a figure could be drawn at `path`.

    Raises
    ------
    MeUNetError
        If matplotlib is missing or the suffix is not one of `SUFFIXES`.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise MeUNetError(
            f"a figure must end in {', '.join(SUFFIXES)}, got {path.name!r}; change "
            "its name"
        )
    try:
        import matplotlib.figure  # noqa: F401
    except ImportError as error:
        raise MeUNetError(
            f"matplotlib must be installed to draw a figure, got: {error}; run 'pip "
            'install "napari-meunet[figures]"\', or leave out --figure'
        ) from error


def agreement_figure(specimens: Specimens, setting: Setting) -> "Figure":
    """Return a figure with a panel for Dice, for surface Dice and for HD95.

    A specimen lies at the same height in the cloud of every class and panel, so that
    the eye can follow it. It has no dot where the measure has no value; the number of
    dots stands beside them.

    Parameters
    ----------
    specimens
        The agreement of every class, by specimen.
    setting
        How they were compared.
    """
    from matplotlib.figure import Figure

    unit = setting.unit.replace("um", "µm")
    panels = {
        "dice": "Dice",
        "surface_dice": f"surface Dice within {setting.tolerance:.3g} {unit}",
        "hd95": f"HD95 ({unit})",
    }
    clouds = {measure: _clouds(specimens, measure, setting) for measure in panels}
    names = [cloud.name for cloud in clouds["dice"]]
    figure = Figure((9, 1 + 0.55 * len(names)), layout="constrained")  # inches
    for axes, (measure, title) in zip(
        figure.subplots(1, len(panels), sharey=True), panels.items(), strict=True
    ):
        _draw(axes, clouds[measure])
        _tidy(axes, title)
        end = axes.get_xlim()[1] if measure == "hd95" else 1.0
        axes.set_xlim(-0.02 * end, 1.02 * end)
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(max(1, len(names)) - 0.5, -0.5)  # the first class on top
    return figure


def save_figure(figure: "Figure", path: Path) -> None:
    """Write a figure; the file appears whole or not at all.

    Raises
    ------
    MeUNetError
        If it cannot be written.
    """
    with writing(path), replacing(path) as temporary:
        figure.savefig(temporary, dpi=200)


@dataclass(frozen=True)
class _Cloud:
    """The dots of one class: offsets from its middle, and scores."""

    name: str
    color: str
    offsets: list[float]
    scores: list[float]


def _clouds(specimens: Specimens, measure: str, setting: Setting) -> list[_Cloud]:
    """Return a cloud for every class; what has no value has no dot."""
    places = np.linspace(-_HEIGHT / 2, _HEIGHT / 2, len(specimens) + 2)[1:-1].tolist()
    clouds = []
    for value in sorted({value for rows in specimens.values() for value in rows}):
        dots = {
            place: getattr(rows[value], measure)
            for place, rows in zip(places, specimens.values(), strict=True)
            if value in rows
        }
        known = {place: score for place, score in dots.items() if score is not None}
        name, color = setting.class_name(value), _color(value, setting)
        clouds.append(_Cloud(name, color, list(known), list(known.values())))
    return clouds


def _draw(axes: "Axes", clouds: Sequence[_Cloud]) -> None:
    for middle, cloud in enumerate(clouds):
        axes.scatter(
            cloud.scores,
            [middle + offset for offset in cloud.offsets],
            s=26,
            color=cloud.color,
            edgecolors=_INK,
            linewidths=0.6,
            zorder=3,
            clip_on=False,
        )
        if cloud.scores:
            ends = middle - 0.7 * _HEIGHT, middle + 0.7 * _HEIGHT
            axes.plot([fmean(cloud.scores)] * 2, ends, color=_INK, lw=1.8, zorder=2)
        axes.text(
            1.02,
            middle,
            f"n = {len(cloud.scores)}",
            transform=axes.get_yaxis_transform(),
            color=_INK,
            fontsize=7,
            va="center",
        )


def _tidy(axes: "Axes", title: str) -> None:
    axes.set_title(title, fontsize=10, color=_INK)
    axes.tick_params(colors=_INK, length=0, labelsize=9)
    axes.grid(axis="x", color="#e4e4e4", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[:].set_visible(False)


def _color(value: int, setting: Setting) -> str:
    if value in setting.classes:
        return setting.classes[value].color
    return PALETTE[(value - 1) % len(PALETTE)]
