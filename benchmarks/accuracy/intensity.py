"""How well grey values alone tell the classes apart.

Every class gets the set of grey values that suits it best, and may share them with
others: on the training scans together, no rule that looks at single voxels is better.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from statistics import fmean

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.accuracy.data import DATA_SETS, opened
from benchmarks.accuracy.loop import RULE
from napari_meunet.inference.images import scaled
from napari_meunet.volume.intensity import intensity_range

N_GREYS = 256

Counts = NDArray[np.int64]
"""``(1 + classes, N_GREYS)``: voxels of each label and grey value in a scan."""


def write_intensity(prepared: dict[str, Path], results: Path) -> None:
    """Write the Dice that grey values alone reach, by data set and class."""
    found = {name: dice_of_greys(folder, name) for name, folder in prepared.items()}
    path = intensity_file(results)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(read_intensity(results) | found, indent=1) + "\n")


def read_intensity(results: Path) -> dict[str, dict[str, float]]:
    """Return what `write_intensity` wrote; nothing if there is no such file."""
    path = intensity_file(results)
    return json.loads(path.read_text()) if path.exists() else {}


def intensity_file(results: Path) -> Path:
    """Return where the figures lie."""
    return results / "intensity.json"


def dice_of_greys(prepared: Path, data_set: str) -> dict[str, float]:
    """Return the mean Dice by class on the test scans that hold it."""
    classes = DATA_SETS[data_set].classes
    pooled = np.sum(list(counted(prepared / "train", len(classes))), axis=0)
    tests = list(counted(prepared / "test", len(classes)))
    found = {}
    for value, name in enumerate(classes, start=1):
        greys = best_greys(pooled, value)
        holding = [scan for scan in tests if scan[value].any()]
        if holding:
            found[name] = fmean(dice(scan, value, greys) for scan in holding)
    return found


def counted(folder: Path, n_classes: int) -> Iterator[Counts]:
    """Yield the counts of every scan, grey values scaled as networks see them."""
    for image, labels in opened(folder).values():
        limits = intensity_range(image, RULE.low, RULE.high)
        voxels = torch.from_numpy(image.read(0, image.shape[0]))
        greys = (scaled(voxels, limits) * (N_GREYS - 1)).round().long().numpy()
        places = labels.read(0, labels.shape[0]).astype(np.int64) * N_GREYS + greys
        n_places = (1 + n_classes) * N_GREYS
        yield np.bincount(places.ravel(), minlength=n_places).reshape(-1, N_GREYS)


def best_greys(counts: Counts, value: int) -> NDArray[np.intp]:
    """Return the grey values that together give a label its greatest Dice.

    Those where the label is most frequent come first, as in any set that maximises
    Dice, so that one of 256 sets is the best of all.
    """
    wanted, total = counts[value], counts.sum(axis=0)
    order = np.argsort(-wanted / np.maximum(total, 1))
    overlap, marked = wanted[order].cumsum(), total[order].cumsum()
    return order[: np.argmax(overlap / (marked + wanted.sum())) + 1]


def dice(counts: Counts, value: int, greys: NDArray[np.intp]) -> float:
    """Return the Dice of a label if all voxels of these grey values get it."""
    overlap = counts[value, greys].sum()
    return float(2 * overlap / (counts[:, greys].sum() + counts[value].sum()))
