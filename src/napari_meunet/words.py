"""Sizes, times, voxels and names in words."""

from collections.abc import Collection, Sequence


def size_in_words(n_bytes: float) -> str:
    """Return bytes in powers of 1000: ``"237 MB"``."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if n_bytes < 999.5:  # else it would be rounded to 1e+03
            return f"{n_bytes:.3g} {unit}"
        n_bytes /= 1000
    return f"{n_bytes:.3g} TB"


def time_in_words(seconds: float) -> str:
    """Return a duration for people: ``"40 s"``, ``"3 min"``, ``"2 h 5 min"``."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    if minutes < 90:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min"


def shape_in_words(shape: Sequence[int]) -> str:
    """Return voxels along (z, y, x): ``"1072 x 470 x 470 (z, y, x)"``."""
    return " x ".join(map(str, shape)) + " (z, y, x)"


def spacing_in_words(zyx: Sequence[float]) -> str:
    """Return micrometres per voxel along (z, y, x): ``"12.4 x 3 x 3 um (z, y, x)"``."""
    return " x ".join(f"{size:.4g}" for size in zyx) + " um (z, y, x)"


def some_of(names: Collection[str]) -> str:
    """Return the first names, and how many others there are."""
    first, n_others = sorted(names)[:3], len(names) - 3
    return ", ".join(first) + (f" and {n_others} others" if n_others > 0 else "")
