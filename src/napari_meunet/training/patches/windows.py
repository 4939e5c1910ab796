"""The regular windows that the authors trained on, where others draw patches."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_meunet.errors import MeUNetError
from napari_meunet.training.patches.specimen import Specimen
from napari_meunet.volume.volume import Volume

MOST_BACKGROUND = 0.98
"""Windows with less background are all kept (the notebook's threshold, cell 11)."""

KEPT_ANYWAY = 0.05
"""Probability that another one is kept (the notebook's roulette, cell 11)."""

ROULETTE_SEED = 1928
"""The notebook's, cell 8; the numbers are not theirs, for NumPy draws them."""


@dataclass(frozen=True)
class Windows:
    """The windows of a specimen that a network is trained on.

    Attributes
    ----------
    size
        Edge in voxels.
    starts
        ``(n, 3)`` corners along (z, y, x); a window may reach beyond the volume.
    counts
        ``(n_classes,)`` voxels of each class in all of them, what lies beyond the
        volume as background. A voxel counts in every window that it is in.
    """

    size: int
    starts: NDArray[np.intp]
    counts: NDArray[np.int64]


def kept_windows(
    labels: Volume, n_classes: int, size: int, rng: np.random.Generator
) -> Windows:
    """Return the windows that the notebook keeps (cell 8), reading the labels once.

    Windows lie half their size apart and cover the volume, which is padded with zeros
    alike on both sides. All with a fraction of background below `MOST_BACKGROUND` are
    kept, and the others with the probability `KEPT_ANYWAY`. Only labelled voxels
    count, and a window without any is never kept.

    Parameters
    ----------
    labels
        Integers below `n_classes`, or `IGNORE`.
    n_classes
        The background counts.
    size
        Edge of the windows in voxels, even.
    rng
        Decides about the windows of little but background.
    """
    axes = [_Axis.covering(n, size) for n in labels.shape]
    counts = _counts_of_blocks(labels, axes, n_classes)
    for axis in range(3):  # a window is two blocks wide along each axis
        counts = np.delete(counts, -1, axis) + np.delete(counts, 0, axis)
    is_labelled = counts[..., :n_classes].any(axis=-1)
    counts[..., 0] += size**3 - counts.sum(axis=-1)
    counts = counts[..., :n_classes]
    background = counts[..., 0] / np.maximum(counts.sum(axis=-1), 1)
    lucky = rng.random(background.shape) < KEPT_ANYWAY
    kept = is_labelled & ((background < MOST_BACKGROUND) | lucky)
    step, before = size // 2, [axis.before for axis in axes]
    return Windows(size, np.argwhere(kept) * step - before, counts[kept].sum(axis=0))


class WindowSampler:
    """Shows every window once an epoch, in random order.

    It has no state: the turn decides which window it is, so that a training can be
    resumed at any step.

    Parameters
    ----------
    specimens, windows
        The specimens, and the windows of each.
    seed
        Of the order, which processes that train together share.

    Raises
    ------
    MeUNetError
        If there is no window.
    """

    def __init__(
        self,
        specimens: Sequence[Specimen],
        windows: Sequence[Windows],
        seed: int,
    ) -> None:
        self._windows: list[tuple[Specimen, NDArray[np.intp]]] = [
            (specimen, start + each.size // 2)
            for specimen, each in zip(specimens, windows, strict=True)
            for start in each.starts
        ]
        self._seed = seed
        if not self._windows:
            raise MeUNetError(
                f"some window must hold less than {MOST_BACKGROUND:.0%} background to "
                "train on windows, got none; choose a smaller patch size or balanced "
                "sampling"
            )

    def draw(
        self, size: int, _: np.random.Generator, turn: int
    ) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        """Return image and labels of the cube about the window whose turn it is.

        Beyond the volume lie zeros: air, and background.

        Parameters
        ----------
        size
            Edge of the cube in voxels, even.
        turn
            Counts through the windows, epoch by epoch.
        """
        epoch, place = divmod(turn, len(self._windows))
        rng = np.random.default_rng((self._seed, epoch))
        order = rng.permutation(len(self._windows))
        specimen, center = self._windows[int(order[place])]
        return specimen.patch(center - size // 2, size)


@dataclass(frozen=True)
class _Axis:
    """How windows lie along an axis.

    For 1072 voxels and windows of 160: 13 windows 80 apart are 1120 voxels, of which 24
    lie before the volume and 24 behind it.
    """

    n_windows: int
    before: int
    block: NDArray[np.intp]
    """Of every voxel, the number of the half window that it lies in."""

    @classmethod
    def covering(cls, n: int, size: int) -> "_Axis":
        step = size // 2
        n_windows = max(0, -(-(n - size) // step)) + 1
        before = ((n_windows - 1) * step + size - n) // 2
        return cls(n_windows, before, (np.arange(n) + before) // step)


def _counts_of_blocks(
    labels: Volume, axes: Sequence[_Axis], n_classes: int
) -> NDArray[np.int64]:
    """Return ``(z, y, x, n_classes + 1)`` voxels of each class in every half window.

    The last are those without a label.
    """
    n_z, n_y, n_x = (axis.n_windows + 1 for axis in axes)
    n_values = n_classes + 1
    counts = np.zeros((n_z, n_y, n_x, n_values), np.int64)
    block = axes[1].block[:, None] * n_x + axes[2].block
    for z, block_z in enumerate(axes[0].block):
        values = np.minimum(labels.read(z, z + 1)[0].astype(np.intp), n_classes)
        keys = (block * n_values + values).ravel()
        found = np.bincount(keys, minlength=n_y * n_x * n_values)
        counts[block_z] += found.reshape(n_y, n_x, n_values)
    return counts
