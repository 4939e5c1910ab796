"""Which label maps are compared: truth and prediction of a specimen, by name."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from napari_meunet.errors import ChoiceError, MeUNetError
from napari_meunet.labels.folder import (
    LABELS_FOLDER_SUFFIX,
    is_labels_folder,
    scan_name,
)
from napari_meunet.training.specimens.scans import LABELS_SUFFIX, labelled_scans
from napari_meunet.volume.open import open_volume
from napari_meunet.words import some_of

Kind = Literal["named", "folder", "plain"]
"""``fly_labels.tif``; the labels folder ``fly.meunet``; ``fly.tif``."""

TRUTH: tuple[Kind, ...] = ("named", "folder", "plain")
PREDICTED: tuple[Kind, ...] = ("folder", "named", "plain")
"""Of the kinds that a folder holds the first one is taken, and the others left out.

So a folder of scans with their labels and with what `meunet segment` made beside them
can be both, and a scan that was not segmented is not compared with itself.
"""


@dataclass(frozen=True)
class Pair:
    """What is compared of one specimen.

    Attributes
    ----------
    name
        Of the specimen: the file name without image suffix and ``_labels``.
    truth
        The true labels.
    predicted
        The labels to judge, or the scan from which a model shall make them.
    """

    name: str
    truth: Path
    predicted: Path


def paired_labels(truth: Path, predicted: Path) -> list[Pair]:
    """Return the pairs of two folders in name order, or the one of two label maps.

    In a folder ``fly_labels.tif``, ``fly.meunet`` and ``fly.tif``, or the same in
    another format, are label maps of ``fly``. Of a folder that holds several of these
    kinds one is taken, see `TRUTH` and `PREDICTED`.

    Raises
    ------
    MeUNetError
        If one is a folder of label maps and the other is not, a name is in one folder
        only or twice in the same, or truth and prediction are the same files.
    """
    are_folders = {path: _holds_label_maps(path) for path in (truth, predicted)}
    if not any(are_folders.values()):
        return [Pair(_specimen_name(truth), truth, predicted)]
    for path, is_folder in are_folders.items():
        if not is_folder:
            raise MeUNetError(
                "truth and prediction must both be folders of label maps, or both be "
                f"one label map, got {path}, which is not a folder of label maps; "
                "check both paths"
            )
    truths, predictions = _label_maps(truth, TRUTH), _label_maps(predicted, PREDICTED)
    _require_same_names(truth, truths, predicted, predictions)
    if any(truths[name].samefile(predictions[name]) for name in truths):
        raise MeUNetError(
            f"truth and prediction must be different files, got the same ones from "
            f"{truth}; segment the scans first, or pass --model to do so now"
        )
    return [Pair(name, truths[name], predictions[name]) for name in truths]


def labelled_pairs(folder: Path) -> list[Pair]:
    """Return true labels and scan of every labelled scan of a folder, in name order.

    Raises
    ------
    MeUNetError
        If there is none, or labels have no scan beside them.
    """
    scans = {labels: scan for scan, labels in labelled_scans(folder)}
    truths = _label_maps(folder, ("named",))
    return [Pair(name, path, scans[path]) for name, path in truths.items()]


def _holds_label_maps(path: Path) -> bool:
    """Return whether a folder holds volumes, and is not one itself, as slices are."""
    if not path.is_dir() or is_labels_folder(path):
        return False
    return any(_kind(entry) and _is_volume(entry) for entry in path.iterdir())


def _is_volume(path: Path) -> bool:
    if is_labels_folder(path):
        return True
    try:
        open_volume(path)
    except ChoiceError:
        return True
    except MeUNetError:
        return False
    return True


def _kind(path: Path) -> Kind | None:
    """Return what kind of label map a path may be, going by its name."""
    if path.name.startswith("."):
        return None
    if is_labels_folder(path):
        return "folder"
    name = scan_name(path)
    if name == path.name:
        return None
    return "named" if name.endswith(LABELS_SUFFIX) else "plain"


def _label_maps(folder: Path, kinds: Sequence[Kind]) -> dict[str, Path]:
    """Return the label maps of the first kind that a folder holds, by specimen."""
    paths = sorted(folder.iterdir())
    for kind in kinds:
        found: dict[str, Path] = {}
        for path in (path for path in paths if _kind(path) == kind):
            other = found.setdefault(_specimen_name(path), path)
            if other != path:
                raise MeUNetError(
                    f"a folder must hold one label map of a specimen, got {other.name} "
                    f"and {path.name} in {folder}; move one of them away"
                )
        if found:
            return found
    raise MeUNetError(f"a folder must hold label maps, got {folder}; check the path")


def _specimen_name(path: Path) -> str:
    name = scan_name(path).removesuffix(LABELS_FOLDER_SUFFIX)
    return name.removesuffix(LABELS_SUFFIX)


def _require_same_names(
    truth: Path, truths: dict[str, Path], predicted: Path, predictions: dict[str, Path]
) -> None:
    parts = [
        f"{some_of(names)} only in {folder}"
        for names, folder in (
            (truths.keys() - predictions.keys(), truth),
            (predictions.keys() - truths.keys(), predicted),
        )
        if names
    ]
    if parts:
        raise MeUNetError(
            f"every specimen must be in both folders under one name, got "
            f"{' and '.join(parts)}; rename or move away what has no partner"
        )
