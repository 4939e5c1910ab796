"""The data sets, cut and split: scans to train on, and others to test on.

Prepared scans are written as ``NAME.tif`` with ``NAME_labels.tif`` beside it, as
``meunet train`` reads them.
"""

import tempfile
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from benchmarks.accuracy.settings import Setting
from napari_meunet.config import Turn
from napari_meunet.export.export import export_labels
from napari_meunet.training.phantoms.phantom import CLASSES, make_phantom
from napari_meunet.training.specimens.scans import (
    LABELS_SUFFIX,
    labelled_scans,
    open_pair,
)
from napari_meunet.volume.open import open_volume
from napari_meunet.volume.volume import Spacing, Volume

Part = Literal["train", "test"]
Grey = NDArray[np.uint8]
Labels = NDArray[np.uint8]

SPLIT_SEED = 2022
"""Names are sorted and shuffled with it; 70 % train, 10 % validation, the rest test."""

FIRST_PHANTOM, FIRST_TEST_PHANTOM = 100, 2000
"""Seeds of the phantoms to train and to test on begin here; the flies are others, too.
Those from 0 and from 1000 served to choose between recipes of ours."""

SCANNER = 8
"""Of all phantoms: a laboratory has one. Recipes were chosen on those of scanner 7."""

MOUSE_VALUES = (0, 1, 2, 21, 3, 15)
"""Values in the silver labels, in the order of our classes."""

WEAVE_BLOCK = 43
"""Planes of the weave to train on, and to test on: 150 less a patch, halved."""

WEAVE_PATCH = 64
"""No network is shown more of the weave at once, and so far apart lie the blocks."""


@dataclass(frozen=True)
class Scan:
    """A scan with labels, uint8 ``(z, y, x)`` both; micrometres a voxel if known."""

    part: Part
    name: str
    image: Grey
    labels: Labels
    um: tuple[float, float, float] | None


@dataclass(frozen=True)
class DataSet:
    """A data set of the benchmark.

    Attributes
    ----------
    title
        For people.
    classes
        Names of the classes 1, 2, ...
    mirror
        Whether patches may be mirrored.
    turn
        About which axes patches may be turned by right angles.
    scans
        Makes the scans from the folder of shared data.
    greatest_patch
        Edge that patches of this data set do not exceed.
    unit
        Of distances.
    """

    title: str
    classes: tuple[str, ...]
    mirror: bool
    turn: Turn
    scans: Callable[[Path, Setting], Iterator[Scan]]
    greatest_patch: int = 10_000
    unit: str = "um"

    def patch_size(self, setting: Setting) -> int:
        """Return the edge of the patches that all networks are trained on."""
        return min(setting.patch_size, self.greatest_patch)


def split(names: list[str]) -> dict[str, list[str]]:
    """Return the names to train on, to validate on and to test on."""
    names = sorted(names)
    np.random.default_rng(SPLIT_SEED).shuffle(names)
    train, validation = int(0.7 * len(names)), int(0.8 * len(names))
    return {
        "train": names[:train],
        "validation": names[train:validation],
        "test": names[validation:],
    }


def fly_phantoms(data: Path, setting: Setting) -> Iterator[Scan]:
    """Yield phantoms with the organs of real flies, split by fly."""
    organs = data / "fly_organs"
    numbers: dict[Part, range] = {
        "train": range(FIRST_PHANTOM, FIRST_PHANTOM + setting.n_phantoms),
        "test": range(FIRST_TEST_PHANTOM, FIRST_TEST_PHANTOM + setting.n_tested),
    }
    for part, seeds in numbers.items():
        for seed in seeds:
            made = make_phantom(
                setting.phantom_shape, seed, organs=organs, split=part, scanner=SCANNER
            )
            name = f"phantom_{seed:04d}"
            yield Scan(part, name, made.image, made.labels, made.spacing)


def mouse_heads(data: Path, setting: Setting) -> Iterator[Scan]:
    """Yield the heads with silver labels, split by strain: each scan is of another."""
    folder = data / "mouse_heads"
    files = (folder / "silver_label").glob("*.nii.gz")
    parts = split([path.name.removesuffix(".nii.gz") for path in files])
    numbers = np.zeros(256, np.uint8)
    numbers[list(MOUSE_VALUES)] = range(len(MOUSE_VALUES))
    wanted: tuple[Part, ...] = ("train", "test")
    for part, name in ((each, name) for each in wanted for name in parts[each]):
        scan = open_volume(folder / "target" / f"{name}.nii.gz")
        silver = open_volume(folder / "silver_label" / f"{name}.nii.gz")
        image = shrunk(scan.read(0, scan.shape[0]), setting.shrink)
        values = silver.read(0, silver.shape[0]).astype(np.uint8)
        labels = shrunk_labels(numbers[values], setting.shrink)
        um = scan.spacing and tuple(size * setting.shrink for size in scan.spacing.zyx)
        yield Scan(part, name, image, labels, um)


def weave(data: Path, _: Setting) -> Iterator[Scan]:
    """Yield one end of the weave to train on, and the other in four to test on.

    The ends lie along x, where the classes are alike in both. Each is cut out before
    a network sees it, so that nothing of one reaches the other.
    """
    folder = data / "weave"
    names = ("small_weave.tif", "small_weave_tag.tif")
    image, labels = (open_volume(folder / name) for name in names)
    grey, truth = (volume.read(0, volume.shape[0]) for volume in (image, labels))
    for name, box in weave_boxes(grey.shape).items():
        part: Part = "train" if name == "train" else "test"
        yield Scan(part, f"weave_{name}", grey[box], truth[box], None)


def weave_boxes(shape: tuple[int, ...]) -> dict[str, tuple[slice, slice, slice]]:
    """Return the block ``train`` and the quarters of the other block by name."""
    n_z, n_y, n_x = shape
    boxes = {"train": (slice(None), slice(None), slice(0, WEAVE_BLOCK))}
    for i, j in product(range(2), repeat=2):
        boxes[f"test_{i}{j}"] = (
            slice(i * n_z // 2, (i + 1) * n_z // 2),
            slice(j * n_y // 2, (j + 1) * n_y // 2),
            slice(n_x - WEAVE_BLOCK, n_x),
        )
    return boxes


def shrunk(image: Grey, factor: int) -> Grey:
    """Return the mean of every ``factor ** 3`` voxels; what is left over is cut off."""
    return np.rint(_blocks(image, factor).mean(axis=-1)).astype(np.uint8)


def shrunk_labels(labels: Labels, factor: int) -> Labels:
    """Return the most frequent of every ``factor ** 3`` labels, the least of equals."""
    blocks = _blocks(labels, factor)
    votes = [(blocks == value).sum(axis=-1) for value in range(labels.max() + 1)]
    return np.argmax(votes, axis=0).astype(np.uint8)


def _blocks(volume: NDArray[np.uint8], factor: int) -> NDArray[np.uint8]:
    """Return ``(z, y, x, factor ** 3)``: the voxels that become one."""
    z, y, x = (n // factor for n in volume.shape)
    cut = volume[: z * factor, : y * factor, : x * factor]
    parts = cut.reshape(z, factor, y, factor, x, factor)
    return parts.transpose(0, 2, 4, 1, 3, 5).reshape(z, y, x, factor**3)


DATA_SETS = {
    "phantoms": DataSet(
        "Phantoms with the organs of real flies, split by fly",
        tuple(label.name for label in CLASSES[1:]),
        True,
        "any",
        fly_phantoms,
    ),
    "mouse_heads": DataSet(
        "Mouse heads with silver labels, split by strain",
        ("cranium", "right mandible", "left mandible", "atlas vertebra", "endocast"),
        False,
        "about_z",
        mouse_heads,
    ),
    "weave": DataSet(
        "Carbon weave, two ends of one scan",
        ("yarn A", "yarn B"),
        True,
        "none",
        weave,
        greatest_patch=WEAVE_PATCH,
        unit="voxels",
    ),
}


def prepare(name: str, setting: Setting, data: Path, work: Path) -> Path:
    """Return the folder of a prepared data set; make it if it is not there yet."""
    folder = work / setting.scans / name
    if folder.exists():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
        unfinished = Path(temporary) / name
        for scan in DATA_SETS[name].scans(data, setting):
            place = unfinished / scan.part
            place.mkdir(parents=True, exist_ok=True)
            spacing = Spacing(scan.um, "benchmark") if scan.um else None
            arrays = {"": scan.image, LABELS_SUFFIX: scan.labels}
            for suffix, array in arrays.items():
                path = place / f"{scan.name}{suffix}.tif"
                deque(export_labels(array, path, spacing), maxlen=0)
        unfinished.rename(folder)
    return folder


def opened(folder: Path) -> dict[str, tuple[Volume, Volume]]:
    """Return scans and labels by name, all in memory."""
    return {
        scan.stem: tuple(map(_in_memory, open_pair(scan, labels)))
        for scan, labels in labelled_scans(folder)
    }


def _in_memory(volume: Volume) -> Volume:
    voxels = np.array(volume.read(0, volume.shape[0]))
    return Volume.from_array(voxels, volume.spacing)
