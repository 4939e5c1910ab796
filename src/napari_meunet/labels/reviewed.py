"""Which places of a volume a person has looked at and found right, on disk."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_meunet.atomic import replacing, writing
from napari_meunet.config import Shape
from napari_meunet.labels.box import Box, cubes_reached, spread

PLACE_EDGE = 32
"""Voxels along the edge of a place: what a person sees at a glance."""


class Reviewed:
    """Marks of places; the model leaves their labels alone.

    Parameters
    ----------
    folder
        The labels folder. Its file comes with the first mark.
    shape
        Voxels of the volume along (z, y, x).

    Attributes
    ----------
    places
        Those that are marked, bool ``(z, y, x)``; the last ones along each axis may be
        smaller.
    """

    def __init__(self, folder: Path, shape: Shape) -> None:
        self._path = folder / "reviewed"
        z, y, x = (-(-n // PLACE_EDGE) for n in shape)
        marks = self._path.read_bytes() if self._path.exists() else b""
        if len(marks) != z * y * x:  # it is of other places
            marks = bytes(z * y * x)
        self.places = np.frombuffer(marks, bool).reshape(z, y, x).copy()

    def read(self, box: Box) -> NDArray[np.bool]:
        """Return which voxels of a box lie in places that are marked."""
        return spread(self.places, PLACE_EDGE, box)

    def any(self, box: Box) -> bool:
        """Tell whether a place that is marked reaches into a box."""
        return bool(self.places[cubes_reached(box, PLACE_EDGE)].any())

    def mark(self, index: Shape, *, reviewed: bool = True) -> None:
        """Say that a person has looked at a place, or has not.

        Raises
        ------
        MeUNetError
            If the folder cannot be written.
        """
        self.places[index] = reviewed
        self._write()

    def forget(self, box: Box) -> None:
        """Forget the places that reach into a box: its labels are about to change.

        Raises
        ------
        MeUNetError
            If the folder cannot be written.
        """
        if self.any(box):
            self.places[cubes_reached(box, PLACE_EDGE)] = False
            self._write()

    def _write(self) -> None:
        with writing(self._path.parent), replacing(self._path) as temporary:
            temporary.write_bytes(self.places.tobytes())
