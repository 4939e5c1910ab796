"""What is known before label maps are compared, and must hold for all of them."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from napari_meunet.config import LabelClass, Shape
from napari_meunet.errors import MeUNetError
from napari_meunet.training.evaluation.opened import opened_labels
from napari_meunet.training.evaluation.pairs import Pair
from napari_meunet.volume.volume import Spacing
from napari_meunet.words import spacing_in_words

SAME_SPACING = 1e-3
"""Relative difference that the rounding of file formats explains."""

ONE_VOXEL = (1.0, 1.0, 1.0)

Size = tuple[float, float, float]


@dataclass(frozen=True)
class Setting:
    """How specimens are compared.

    Attributes
    ----------
    spacings
        Size of a voxel of every specimen along (z, y, x), in `unit`.
    unit
        ``"um"``, or ``"voxels"`` if no specimen has a spacing.
    tolerance
        How far surfaces may lie apart for the surface Dice, in `unit`; the same for
        all specimens, so that its mean means something.
    classes
        What the label values stand for, where something says so.
    """

    spacings: dict[str, Size]
    unit: str
    tolerance: float
    classes: dict[int, LabelClass]

    def class_name(self, value: int) -> str:
        """Return the name of a class, or its value as text."""
        return self.classes[value].name if value in self.classes else str(value)


@dataclass(frozen=True)
class _Facts:
    """What a label map, or a scan, says without reading a voxel."""

    shape: Shape
    spacing: Size | None
    classes: tuple[LabelClass, ...]


def common_setting(
    pairs: Sequence[Pair],
    spacing: Spacing | None = None,
    tolerance: float | None = None,
    classes: tuple[LabelClass, ...] = (),
) -> Setting:
    """Return how the pairs are compared; only their headers are read.

    Parameters
    ----------
    pairs
        Label maps, or label maps and scans.
    spacing
        Holds for all of them, whatever the files say.
    tolerance
        Of the surface Dice, in micrometres, or in voxels if no specimen has a
        spacing. None takes the longest edge of a voxel of any specimen.
    classes
        What a model calls the values that it gives.

    Raises
    ------
    MeUNetError
        If the two of a pair differ in shape or spacing, some specimens have a spacing
        and others none, two names are given to one value, or the tolerance is
        negative.
    """
    if tolerance is not None and not tolerance >= 0:
        raise MeUNetError(
            f"the tolerance must not be negative, got {tolerance:g}; pass --tolerance "
            "UM in micrometres"
        )
    spacings: dict[str, Size | None] = {}
    named = {label.value: label for label in classes}
    for pair in pairs:
        truth, predicted = (_facts(path) for path in (pair.truth, pair.predicted))
        _require_same_shape(pair, truth, predicted)
        if spacing is None:
            _require_same_spacing(pair, truth, predicted)
        spacings[pair.name] = (
            spacing.zyx if spacing else truth.spacing or predicted.spacing
        )
        _add_names(named, chain(truth.classes, predicted.classes), pair)
    sizes, unit = _sizes(spacings)
    if tolerance is None:
        tolerance = max(chain.from_iterable(sizes.values()))
    return Setting(sizes, unit, tolerance, named)


def _sizes(spacings: dict[str, Size | None]) -> tuple[dict[str, Size], str]:
    """Return the spacings that are known, or one voxel each, and their unit."""
    unknown = [name for name, zyx in spacings.items() if zyx is None]
    if 0 < len(unknown) < len(spacings):
        raise MeUNetError(
            "all specimens must say how large a voxel is, or none, got no spacing of "
            f"{', '.join(unknown)}; pass --spacing Z Y X in micrometres"
        )
    unit = "voxels" if unknown else "um"
    return {name: zyx or ONE_VOXEL for name, zyx in spacings.items()}, unit


def _facts(path: Path) -> _Facts:
    with opened_labels(path) as labels:
        z, y, x = labels.planes.shape
        zyx = labels.spacing.zyx if labels.spacing else None
        return _Facts((z, y, x), zyx, labels.classes)


def _require_same_shape(pair: Pair, truth: _Facts, predicted: _Facts) -> None:
    if truth.shape != predicted.shape:
        raise MeUNetError(
            f"truth and prediction of {pair.name} must have the same shape, got "
            f"{truth.shape} in {pair.truth} and {predicted.shape} in {pair.predicted}; "
            "compare labels of the same scan"
        )


def _require_same_spacing(pair: Pair, truth: _Facts, predicted: _Facts) -> None:
    if truth.spacing is None or predicted.spacing is None:
        return
    sizes = zip(truth.spacing, predicted.spacing, strict=True)
    if not all(math.isclose(*both, rel_tol=SAME_SPACING) for both in sizes):
        raise MeUNetError(
            f"truth and prediction of {pair.name} must have the same spacing, got "
            f"{spacing_in_words(truth.spacing)} in {pair.truth} and "
            f"{spacing_in_words(predicted.spacing)} in {pair.predicted}; pass "
            "--spacing Z Y X in micrometres"
        )


def _add_names(
    named: dict[int, LabelClass], classes: Iterable[LabelClass], pair: Pair
) -> None:
    """Add what is new, and refuse what contradicts."""
    for label in classes:
        known = named.setdefault(label.value, label)
        if known.name != label.name:
            raise MeUNetError(
                f"a label value must mean the same everywhere, got {label.value} for "
                f"{known.name!r} and, in {pair.name}, for {label.name!r}; compare "
                "labels of the same classes, or export one of them as TIFF, which "
                "names none"
            )
