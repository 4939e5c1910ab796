"""A picture of labelled planes, for a first look and for reports."""

import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageColor, ImageDraw, ImageFont

from napari_meunet.atomic import replacing, writing
from napari_meunet.config import LabelClass
from napari_meunet.export.export import require_absent
from napari_meunet.export.sections import Sections, cut_sections, labelled_centre
from napari_meunet.volume.volume import Planes, Volume

_LONGEST_SIDE = 640
"""Pixels of the longest edge of the volume."""

_NARROWEST = 320
"""Pixels; leaves room for the legend below a narrow specimen."""

_OPACITY = 0.45
_DARKEST, _BRIGHTEST = 0.5, 99.5
_GAP, _ROW = 12, 24
_PAPER, _INK = "#101010", "#f0f0f0"


def save_picture(
    volume: Volume,
    labels: Planes,
    classes: tuple[LabelClass, ...],
    path: Path,
    *,
    overwrite: bool = False,
) -> None:
    """Write a PNG of three orthogonal planes through the middle of the labelled part.

    xy lies at the upper left, zy beside it, xz below it, in the proportions of the
    specimen. Labels lie over the grey values in the colours of their classes, with a
    legend, and with a scale bar if the spacing is known.

    Parameters
    ----------
    volume
        The scan.
    labels
        Labels ``(z, y, x)`` of the same shape.
    classes
        Names and colours; the background stays grey.
    path
        Where to write.
    overwrite
        Replace what lies at `path`.

    Raises
    ------
    MeUNetError
        If `path` exists and may not be replaced, or cannot be written.
    ValueError
        If the shapes differ.
    """
    if tuple(labels.shape) != volume.shape:
        raise ValueError(
            f"labels must have the shape of the volume {volume.shape}, got "
            f"{labels.shape}"
        )
    require_absent(path, overwrite=overwrite)
    picture = _compose(volume, labels, tuple(c for c in classes if c.value != 0))
    with writing(path), replacing(path) as temporary:
        picture.save(temporary, format="PNG")


def _compose(
    volume: Volume, labels: Planes, classes: tuple[LabelClass, ...]
) -> Image.Image:
    zyx = volume.spacing.zyx if volume.spacing else (1.0, 1.0, 1.0)
    sizes = [n * size for n, size in zip(volume.shape, zyx, strict=True)]
    pixels_per_um = _LONGEST_SIDE / max(sizes)
    depth, height, width = (max(1, round(size * pixels_per_um)) for size in sizes)

    at, step = labelled_centre(labels), max(1, volume.shape[0] // depth)
    grey = _stretched(cut_sections(volume.planes, at, step))
    marks = cut_sections(labels, at, step)

    legend = height + depth + 3 * _GAP
    rows = len(classes) + (volume.spacing is not None)
    size = max(width + depth + 3 * _GAP, _NARROWEST), legend + rows * _ROW + _GAP
    picture = Image.new("RGB", size, _PAPER)
    right, below = width + 2 * _GAP, height + 2 * _GAP
    xy = _blend(grey.xy, marks.xy, classes, (width, height))
    zy = _blend(grey.zy, marks.zy, classes, (depth, height))
    xz = _blend(grey.xz, marks.xz, classes, (width, depth))
    picture.paste(xy, (_GAP, _GAP))
    picture.paste(zy, (right, _GAP))
    picture.paste(xz, (_GAP, below))
    _draw_legend(picture, legend, classes)
    if volume.spacing:
        _draw_scale_bar(picture, legend + _ROW * len(classes), pixels_per_um)
    return picture


def _stretched(sections: Sections) -> Sections:
    """Return grey values 0 to 255, the same range for all three planes."""
    parts = (sections.xy, sections.xz, sections.zy)
    values = np.concatenate([part.ravel() for part in parts]).astype(np.float32)
    finite = values[np.isfinite(values)]
    low, high = np.percentile(finite, [_DARKEST, _BRIGHTEST]) if finite.size else (0, 0)
    span = high - low or 1
    xy, xz, zy = (
        np.clip((np.nan_to_num(part.astype(np.float32)) - low) / span, 0, 1) * 255
        for part in parts
    )
    return Sections(xy.astype(np.uint8), xz.astype(np.uint8), zy.astype(np.uint8))


def _blend(
    grey: NDArray[np.uint8],
    labels: NDArray[Any],
    classes: tuple[LabelClass, ...],
    size: tuple[int, int],
) -> Image.Image:
    """Return one plane as a picture of (width, height) pixels."""
    base = Image.fromarray(grey).resize(size).convert("RGB")
    overlay, opacity = base.copy(), Image.new("L", size, 0)
    for label in classes:
        # each class alone, so that labels of any data type are resized as a mask
        mask = Image.fromarray((labels == label.value).astype(np.uint8) * 255)
        mask = mask.resize(size, Image.Resampling.NEAREST)
        overlay.paste(label.color, mask=mask)
        opacity.paste(round(255 * _OPACITY), mask=mask)
    return Image.composite(overlay, base, opacity)


def _draw_legend(
    picture: Image.Image, top: int, classes: tuple[LabelClass, ...]
) -> None:
    draw = ImageDraw.Draw(picture)
    for row, label in enumerate(classes):
        y = top + row * _ROW
        color = ImageColor.getrgb(label.color)
        draw.rectangle((_GAP, y, _GAP + 2 * _GAP, y + _GAP), fill=color)
        draw.text((5 * _GAP, y - 3), label.name, fill=_INK, font=_font())


def _draw_scale_bar(picture: Image.Image, top: int, pixels_per_um: float) -> None:
    """Draw a bar of a round length, at most a quarter of the longest edge."""
    length = round_length(_LONGEST_SIDE / 4 / pixels_per_um)
    draw = ImageDraw.Draw(picture)
    end = _GAP + round(length * pixels_per_um)
    draw.rectangle((_GAP, top + 4, end, top + 8), fill=_INK)
    draw.text((end + _GAP, top - 3), length_text(length), fill=_INK, font=_font())


def round_length(longest: float) -> float:
    """Return the largest of 1, 2 and 5 times a power of ten that is not longer."""
    power = 10.0 ** math.floor(math.log10(longest))
    return max(step * power for step in (1, 2, 5) if step * power <= longest * 1.000001)


def length_text(um: float) -> str:
    """Return a length in micrometres for people: ``"2 mm"``."""
    return f"{um / 1000:g} mm" if um >= 1000 else f"{um:g} um"  # the font has no µ


def _font() -> ImageFont.ImageFont | ImageFont.FreeTypeFont:
    return ImageFont.load_default(size=16)
