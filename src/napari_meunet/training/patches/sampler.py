"""Random training patches, read on the fly from lazily opened volumes."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from napari_meunet.training.patches.specimen import Specimen


class Sampler(Protocol):
    """What chooses patches."""

    def draw(
        self, size: int, rng: np.random.Generator, turn: int, /
    ) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        """Return an image ``(size,) * 3`` and its labels, which may be finer."""
        ...


class PatchSampler:
    """Draws random patches; specimens take turns.

    So of corrections and what a model was sure of, every batch of two has one each, and
    steps pull the network in much the same direction. It has no state: the same
    generator and turn give the same patch, so that a training can be resumed at any
    step.

    Parameters
    ----------
    specimens
        At least one.
    foreground
        Fraction of patches drawn for a labelled voxel.
    shift
        Voxels along each axis that the middle of a patch may lie off the voxel that it
        was drawn for, so that this is seen anywhere in the local patch.
    turns
        Numbers of specimens in the order of their turns; one may come more than once.
        If not given, each comes once.
    """

    def __init__(
        self,
        specimens: Sequence[Specimen],
        foreground: float,
        shift: int,
        turns: Sequence[int] | None = None,
    ) -> None:
        self._specimens = specimens
        self._turns = list(range(len(specimens)) if turns is None else turns)
        self._foreground = foreground
        self._shift = shift

    def draw(
        self, size: int, rng: np.random.Generator, turn: int
    ) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        """Return an image patch ``(size,) * 3`` and its labels, which may be finer.

        Beyond the volume lie zeros: air, and background.

        Parameters
        ----------
        size
            Edge in voxels.
        rng
            Source of randomness.
        turn
            Whose turn it is: counts through the specimens, and through the classes of
            each.
        """
        n_rounds, within = divmod(turn, len(self._turns))
        number = self._turns[within]
        drawn = n_rounds * self._turns.count(number)
        drawn += self._turns[:within].count(number)
        specimen = self._specimens[number]
        start = self._center(specimen, rng, drawn) - size // 2
        start += rng.integers(-self._shift, self._shift + 1, 3)
        start = _kept_inside(start, size, specimen.shape)
        return specimen.fine_patch(start, size)

    def _center(
        self, specimen: Specimen, rng: np.random.Generator, drawn: int
    ) -> NDArray[np.intp]:
        """Return a voxel to draw for, after so many patches of the specimen."""
        anywhere = rng.random() >= self._foreground
        if anywhere and not specimen.is_sparse:
            return rng.integers(specimen.shape)
        classes = sorted(value for value in specimen.voxels if value) or [0]
        value = classes[drawn % len(classes)]
        if anywhere and 0 in specimen.voxels:
            value = 0
        positions = specimen.voxels[value]
        center: NDArray[np.intp] = positions[rng.integers(len(positions))]
        return center


def _kept_inside(
    start: NDArray[np.intp], size: int, shape: tuple[int, ...]
) -> NDArray[np.intp]:
    """Move a box into the volume where it fits, else centre the volume in it."""
    room = np.array(shape) - size
    return np.where(room >= 0, np.clip(start, 0, np.maximum(room, 0)), room // 2)
