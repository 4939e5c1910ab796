"""Scans with their labels beside them, by name."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from napari_meunet.errors import MeUNetError
from napari_meunet.labels.folder import scan_name
from napari_meunet.network.card import SpacingRange
from napari_meunet.training.patches.sparse import only_painted_planes
from napari_meunet.volume.open import open_volume
from napari_meunet.volume.volume import Volume
from napari_meunet.words import some_of

LABELS_SUFFIX = "_labels"
"""`fly.tif` goes with `fly_labels.tif`."""

Pair = tuple[Volume | None, Volume]
"""A scan, if there is one, and its labels."""


def labelled_scans(folder: Path) -> list[tuple[Path, Path]]:
    """Return the scans of a folder that have labels beside them, in name order.

    Raises
    ------
    MeUNetError
        If there is none, or labels have no scan.
    """
    found = _found(folder)
    lonely = [labels.name for scan, labels in found if not scan]
    if lonely:
        raise MeUNetError(
            f"labels must have their scan beside them, as fly{LABELS_SUFFIX}.tif has "
            f"fly.tif, got {some_of(lonely)} alone in {folder}; add the scan, or move "
            "the labels away"
        )
    pairs = [(scan, labels) for scan, labels in found if scan]
    if not pairs:
        raise MeUNetError(
            f"a folder of labelled scans must hold scans with labels beside them "
            f"(fly.tif and fly{LABELS_SUFFIX}.tif), got {str(folder)!r} without any; "
            "check the path"
        )
    return pairs


def label_maps(folder: Path) -> list[tuple[Path | None, Path]]:
    """Return the labels of a folder in name order, with their scans where there are.

    Raises
    ------
    MeUNetError
        If there are no labels.
    """
    pairs = _found(folder)
    if not pairs:
        raise MeUNetError(
            f"a training folder must hold labels, and scans beside them "
            f"(fly{LABELS_SUFFIX}.tif and fly.tif), got {str(folder)!r} without any; "
            "check the path"
        )
    return pairs


def _found(folder: Path) -> list[tuple[Path | None, Path]]:
    """Return the labels, going by their names, with their scans where there are.

    Tables such as ``fly_labels.csv`` are none, nor are the hidden files that macOS
    puts beside others.

    Raises
    ------
    MeUNetError
        If there is no such folder, or there are several for one name.
    """
    if not folder.is_dir():
        raise MeUNetError(
            "scans must lie in a folder with their labels beside them, got "
            f"{str(folder)!r}, which is no folder; check the path"
        )
    pairs: list[tuple[Path | None, Path]] = []
    for labels in sorted(folder.glob(f"*{LABELS_SUFFIX}.*"), key=_by_name):
        name = scan_name(labels)
        if not name.endswith(LABELS_SUFFIX) or name.startswith("."):
            continue
        pairs.append((_scan_of(labels, name.removesuffix(LABELS_SUFFIX)), labels))
    for (_, one), (_, other) in pairwise(pairs):
        if scan_name(one) == scan_name(other):
            raise MeUNetError(
                f"a scan must have one file of labels, got {one.name} and {other.name} "
                f"in {folder}; move one of them away"
            )
    return pairs


def _by_name(path: Path) -> tuple[str, str]:
    """Sort files of one name in several formats beside each other."""
    return scan_name(path), path.name


def _scan_of(labels: Path, name: str) -> Path | None:
    """Return the scan of a name beside its labels, in their format if there is one.

    Raises
    ------
    MeUNetError
        If there are several in other formats.
    """
    suffix = labels.name.removeprefix(name + LABELS_SUFFIX)
    alike = labels.with_name(name + suffix)
    if alike.exists():
        return alike
    scans = sorted(path for path in labels.parent.iterdir() if scan_name(path) == name)
    if len(scans) > 1:
        raise MeUNetError(
            f"labels must have one scan beside them, got {labels.name} with "
            f"{some_of([path.name for path in scans])}; move all but one away"
        )
    return scans[0] if scans else None


def open_label_maps(folder: Path, *, painted: bool = False) -> list[Pair]:
    """Open the labels of a folder, with their scans where there are, see `open_pair`.

    Raises
    ------
    MeUNetError
        As `label_maps` and `open_pair`.
    """
    return [
        open_pair(scan, labels, painted=painted)
        if scan
        else (None, _open_labels(labels, painted))
        for scan, labels in label_maps(folder)
    ]


def _open_labels(labels: Path, painted: bool) -> Volume:
    drawn = open_volume(labels)
    if not painted:
        return drawn
    try:
        return only_painted_planes(drawn)
    except MeUNetError as error:
        raise MeUNetError(f"{labels.name}: {error}") from error


def open_pair(
    scan: Path, labels: Path, *, painted: bool = False
) -> tuple[Volume, Volume]:
    """Open a scan and its labels as training shall see them.

    Parameters
    ----------
    scan, labels
        Files.
    painted
        Only the planes that hold labels count, see
        `napari_meunet.training.patches.sparse`.

    Raises
    ------
    MeUNetError
        If one of them cannot be opened, or nothing is painted.
    """
    return open_volume(scan), _open_labels(labels, painted)


def spacing_range(scans: Sequence[Volume]) -> SpacingRange | None:
    """Return the finest and the coarsest spacing of the scans that have one."""
    known = [scan.spacing.zyx for scan in scans if scan.spacing]
    if not known:
        return None
    axes = list(zip(*known, strict=True))
    return SpacingRange.checked(
        finest=tuple(map(min, axes)), coarsest=tuple(map(max, axes))
    )
