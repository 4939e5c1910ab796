"""Dice of a network in training, by windows."""

from collections.abc import Callable, Generator, Iterator, Sequence
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_meunet.progress import Progress
from napari_meunet.training.evaluation.metrics import N_VALUES, confusion, overlaps
from napari_meunet.training.label_values import IGNORE
from napari_meunet.training.patches.specimen import Specimen, read_mask

Predict = Callable[[NDArray[np.float32]], NDArray[Any]]
"""From an image ``(z, y, x)`` in [0, 1] to its labels."""


def validation_dice(
    predict: Predict, specimens: Sequence[Specimen], size: int, message: str
) -> Generator[Progress, None, dict[int, float]]:
    """Measure the mean Dice of every class above 0 that some specimen holds.

    The specimens are cut into windows that do not overlap, as the authors' notebook
    validates (cell 45). That is quicker than the engine, and a little worse, because
    a window sees nothing of its neighbours. What lies beyond the scan does not count.

    Parameters
    ----------
    predict
        The network.
    specimens
        Scans that are not trained on.
    size
        Edge of the windows, in voxels.
    message
        What is going on.

    Yields
    ------
    Progress
        Windows of all specimens.

    Returns
    -------
    dict
        Dice by class.
    """
    scores: dict[int, list[float]] = {}
    windows = [list(_windows(specimen.shape, size)) for specimen in specimens]
    done, total = 0, sum(map(len, windows))
    for specimen, starts in zip(specimens, windows, strict=True):
        table = np.zeros((N_VALUES, N_VALUES), np.int64)
        for start in starts:
            image, labels = specimen.patch(start, size)
            labels[~read_mask(specimen.shape, start, size)] = IGNORE
            table += confusion(predict(image), labels)
            done += 1
            yield Progress(done, total, "windows", message)
        for value, row in overlaps(table, specimen.voxels.keys() - {0}).items():
            if row.dice is not None:
                scores.setdefault(value, []).append(row.dice)
    return {value: float(np.mean(found)) for value, found in sorted(scores.items())}


def _windows(shape: tuple[int, ...], size: int) -> Iterator[NDArray[np.intp]]:
    """Yield the corners of windows that cover the volume, centred on it."""
    counts = [-(-n // size) for n in shape]
    corner = [(n - count * size) // 2 for n, count in zip(shape, counts, strict=True)]
    for index in product(*map(range, counts)):
        yield np.array(corner) + np.array(index) * size
