"""Lengths as files write them, in micrometres."""

import unicodedata
from collections.abc import Sequence
from decimal import Decimal
from math import inf

import numpy as np

from napari_meunet.volume.volume import Spacing

_PREFIXES = {
    ("", ""): "1e6",
    ("c", "centi"): "1e4",
    ("m", "milli"): "1e3",
    ("u", "micro"): "1",
    ("n", "nano"): "1e-3",
}
# Inches are left out: in a TIFF they are the size on paper, never that of a voxel.
_MICROMETRES = {
    name: Decimal(micrometres)
    for (symbol, prefix), micrometres in _PREFIXES.items()
    for name in (f"{symbol}m", f"{prefix}meter", f"{prefix}metre")
} | {"micron": Decimal(1)}


def micrometres(value: float | np.floating, unit: str | None) -> float | None:
    """Return a length in micrometres, or None if `unit` is not a metric length.

    The decimal digits are kept: 0.141 mm is 141.0, also when it was stored as a
    32-bit float.

    Parameters
    ----------
    value
        Length in `unit`.
    unit
        As found in a file: ``"um"``, ``"µm"`` (either code point, or escaped as
        ImageJ does), ``"micron"``, ``"millimeter"``, ``"nanometre"`` ...
    """
    factor = _MICROMETRES.get(_plain(unit or ""))
    return None if factor is None else float(Decimal(str(value)) * factor)


def complete_spacing(sizes_zyx: Sequence[float | None], origin: str) -> Spacing | None:
    """Return a spacing if the sizes along z, y and x are all known and positive."""
    z, y, x = (size or 0.0 for size in sizes_zyx)
    known = all(0 < size < inf for size in (z, y, x))
    return Spacing((z, y, x), origin) if known else None


def _plain(unit: str) -> str:
    unit = unit.strip().replace("\\u00B5", "u").replace("\\u00b5", "u")
    # NFKC turns the micro sign into the Greek letter mu
    unit = unicodedata.normalize("NFKC", unit).replace("\N{GREEK SMALL LETTER MU}", "u")
    return unit.lower().removesuffix("s")
