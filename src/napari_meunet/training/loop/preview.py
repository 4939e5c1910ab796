"""A plane of a scan as the network in training labels it, to look at meanwhile."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import torch
from numpy.typing import NDArray

from napari_meunet.training.evaluation.validation import Predict
from napari_meunet.training.patches.specimen import Specimen
from napari_meunet.training.patches.synthesis import synthesised

WINDOWS = 4
"""Windows along y and x that are labelled at most: a large section is cut."""

SECONDS_BETWEEN = 10.0
"""At least this long between two looks."""

SHARE = 0.1
"""Fraction of the time that looking may take."""

RAW_WHITE = 255
"""Greatest grey value of scans that are not normalised: they are of 8 bits."""


@dataclass(frozen=True)
class Look:
    """A plane, what a person drew there, and what the network finds.

    Attributes
    ----------
    image
        float32 ``(y, x)`` in [0, 1].
    labels
        uint8 ``(y, x)``, the classes numbered from 0; 255 where there is no label.
    found
        Likewise; without 255.
    z
        Number of the plane.
    scan
        Name of the scan.
    trained_on
        Whether the network learns from this scan.
    made_up
        Whether there is no scan, and the image is made up from the labels.
    """

    image: NDArray[np.float32]
    labels: NDArray[np.uint8]
    found: NDArray[np.uint8]
    z: int
    scan: str
    trained_on: bool
    made_up: bool


Show = Callable[[Look], None]
"""What to do with a look; called in the thread that trains."""


class Preview:
    """Looks at the plane with the most classes, now and then.

    What is learned does not depend on it: it only predicts.

    Parameters
    ----------
    specimens
        What is trained on.
    held_out
        What is not; the first of these is looked at, if there is one.
    size
        Edge of a window, in voxels.
    show
        Gets every look.
    """

    def __init__(
        self,
        specimens: Sequence[Specimen],
        held_out: Sequence[Specimen],
        size: int,
        show: Show,
    ) -> None:
        self._trained_on = not held_out
        self._specimen = (held_out or specimens)[0]
        self._made_up = self._specimen.image is None
        is_scaled = self._specimen.intensity or self._made_up
        self._white = 1 if is_scaled else RAW_WHITE
        self._size = size
        self._show = show
        most = 1 if self._made_up else WINDOWS  # each would be made up in its own way
        self._z, self._corner, self._counts = _choose(self._specimen, size, most)
        self._next = 0.0

    def look_when_due(self, predict: Predict) -> None:
        """Predict the plane and show it, if the last look was long enough ago."""
        start = time.monotonic()
        if start < self._next:
            return
        self._show(self._look(predict))
        end = time.monotonic()
        self._next = end + max(SECONDS_BETWEEN, (end - start) / SHARE)

    def _look(self, predict: Predict) -> Look:
        """Label windows that have the plane in their middle, side by side."""
        size, (n_y, n_x) = self._size, self._counts
        shape = (n_y * size, n_x * size)
        image = np.zeros(shape, np.float32)
        labels, found = np.zeros(shape, np.uint8), np.zeros(shape, np.uint8)
        for y, x in product(range(n_y), range(n_x)):
            place = (
                slice(y * size, (y + 1) * size),
                slice(x * size, (x + 1) * size),
            )
            start = np.array((self._z - size // 2, *self._corner))
            start[1:] += (y * size, x * size)
            window, drawn = self._window(start)
            image[place] = window[size // 2] / self._white
            labels[place] = drawn[size // 2]
            found[place] = predict(window)[size // 2]
        inside = self._inside()
        path = (self._specimen.image or self._specimen.labels).source.path
        return Look(
            image[inside],
            labels[inside],
            found[inside],
            self._z,
            path.name if path else "the scan",
            self._trained_on,
            self._made_up,
        )

    def _window(
        self, start: NDArray[np.intp]
    ) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        """Return image and labels at `start`; an image made up is always the same."""
        image, labels = self._specimen.patch(start, self._size)
        if self._made_up:
            generator = torch.Generator().manual_seed(0)
            image = synthesised(torch.from_numpy(labels), generator)[0].numpy()
        return image, labels

    def _inside(self) -> tuple[slice, ...]:
        """Return the part of the windows that lies within the scan."""
        return tuple(
            slice(max(-first, 0), min(n - first, count * self._size))
            for first, n, count in zip(
                self._corner, self._specimen.shape[1:], self._counts, strict=True
            )
        )


def _choose(
    specimen: Specimen, size: int, most: int
) -> tuple[int, NDArray[np.intp], tuple[int, int]]:
    """Return a plane, the corner of its windows along (y, x), and how many there are.

    There are `most` at most along each axis.

    It is the plane with the most classes, and of those the one in which the rarest
    class has the most of its voxels; the windows lie around the labels there.
    """
    depth, *section = specimen.shape
    organs = [found for value, found in specimen.voxels.items() if value] or [
        specimen.voxels[0]
    ]
    shares = np.array(
        [np.bincount(found[:, 0], minlength=depth) / len(found) for found in organs]
    )
    z = int(np.argmax((shares > 0).sum(axis=0) + shares.min(axis=0)))
    here = np.concatenate([found[found[:, 0] == z] for found in organs])
    n_y, n_x = (min(most, -(-n // size)) for n in section)
    reach = np.array((n_y, n_x)) * size
    room = np.array(section) - reach
    start = here[:, 1:].mean(axis=0).astype(np.intp) - reach // 2
    return (
        z,
        np.where(room > 0, np.clip(start, 0, np.maximum(room, 0)), room // 2),
        (
            n_y,
            n_x,
        ),
    )
