"""Tools for what hangs together: islands of a label, and holes in it."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from math import prod
from typing import ClassVar
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from napari_meunet.config import Shape
from napari_meunet.errors import MeUNetError
from napari_meunet.labels.box import Box, box_at, chunks, contains, extent
from napari_meunet.labels.tools.canvas import Canvas
from napari_meunet.labels.tools.pieces import Faces, Mask, Pieces, Survey
from napari_meunet.progress import Progress, Steps

SLAB_VOXELS = 2**24
"""That are looked at together, if that is a plane or more; some 20 bytes each."""

FACES, CORNERS = 1, 3
"""What voxels must share to hang together. Islands may share corners and holes may not,
so that a surface that is closed for one is closed for the other."""


class PieceTool(ABC):
    """Gives some pieces of a mask another label.

    The labels are read twice: pieces must be known whole before one can be chosen.
    """

    name: ClassVar[str]

    @property
    def connectivity(self) -> int:
        """What voxels must share to hang together."""
        return CORNERS

    @abstractmethod
    def mask(self, labels: NDArray[np.uint8]) -> Mask:
        """Return where the pieces are, of labels ``(z, y, x)``."""

    @abstractmethod
    def chosen(self, pieces: Pieces, voxel: float) -> Mask:
        """Return which pieces change, ``(n_pieces,)``.

        Parameters
        ----------
        pieces
            All of them.
        voxel
            The volume of one.
        """

    @abstractmethod
    def change(self, labels: NDArray[np.uint8], place: Mask) -> None:
        """Change labels ``(z, y, x)`` at a place that was chosen."""

    @property
    def seed(self) -> Shape | None:
        """A voxel that matters, along (z, y, x)."""
        return None

    def faces(self, canvas: Canvas) -> Faces:
        """Return the faces of the box at which a piece is open: it may go on there."""
        z, y, x = (
            (False, False) if is_flat else ends
            for is_flat, ends in zip(canvas.flat, canvas.faces, strict=True)
        )
        return z, y, x

    def steps(self, canvas: Canvas) -> Steps:
        """Look at all labels, then change some.

        Raises
        ------
        MeUNetError
            If somebody else changes the labels meanwhile.
        """
        slabs = _slabs(canvas.box)
        total = 2 * extent(canvas.box)[0]
        survey = Survey(self.connectivity, self.faces(canvas))
        done, seen = 0, []
        for slab in slabs:
            mask = self.mask(canvas.read(slab))
            survey.add(mask, _voxel_in(slab, self.seed))
            seen.append(_fingerprint(mask))
            done += extent(slab)[0]
            yield Progress(done, total, "planes", "looking")
        pieces = survey.pieces()
        chosen = self.chosen(pieces, prod(canvas.voxel)) & (pieces.voxels > 0)
        for slab, piece_of, known in zip(slabs, pieces.of_slab, seen, strict=True):
            if chosen[piece_of].any():
                before = canvas.read(slab)
                mask = self.mask(before)
                _require_known(mask, known)
                after = before.copy()
                self.change(after, chosen[piece_of][survey.ids(mask)])
                canvas.write(slab, before, after)
            done += extent(slab)[0]
            yield Progress(done, total, "planes", "changing")


@dataclass(frozen=True)
class FillHoles(PieceTool):
    """Fills the background that a label encloses.

    Attributes
    ----------
    label
        What encloses. Other labels in a hole stay.
    """

    label: int

    name = "fill holes"

    @property
    def connectivity(self) -> int:
        """That of background."""
        return FACES

    def faces(self, canvas: Canvas) -> Faces:
        """Return all: what reaches the end of the volume is no hole either."""
        z, y, x = ((not is_flat, not is_flat) for is_flat in canvas.flat)
        return z, y, x

    def mask(self, labels: NDArray[np.uint8]) -> Mask:
        """Return what is not the label."""
        return np.asarray(labels != self.label)

    def chosen(self, pieces: Pieces, voxel: float) -> Mask:
        """Return what does not reach the faces of the box."""
        return ~pieces.is_open

    def change(self, labels: NDArray[np.uint8], place: Mask) -> None:
        """Let the background there be of the label."""
        labels[place & (labels == 0)] = self.label


@dataclass(frozen=True)
class _Islands(PieceTool):
    """Makes some islands of a label background."""

    label: int

    def mask(self, labels: NDArray[np.uint8]) -> Mask:
        """Return the label."""
        return np.asarray(labels == self.label)

    def change(self, labels: NDArray[np.uint8], place: Mask) -> None:
        """Remove what is there."""
        labels[place] = 0


@dataclass(frozen=True)
class KeepLargest(_Islands):
    """Removes all islands of a label but the largest one.

    And but those that go on beside the box.
    """

    name = "keep largest"

    def chosen(self, pieces: Pieces, voxel: float) -> Mask:
        """Return all but one."""
        is_largest = np.arange(len(pieces.voxels)) == pieces.voxels.argmax()
        return np.asarray(~(is_largest | pieces.is_open))


@dataclass(frozen=True)
class RemoveSmall(_Islands):
    """Removes small islands of a label, if they do not go on beside the box.

    Attributes
    ----------
    below
        Those of a smaller volume go, in cubes of the unit of the canvas's voxels.
    """

    below: float

    name = "remove small"

    def chosen(self, pieces: Pieces, voxel: float) -> Mask:
        """Return those that are too small."""
        return ~pieces.is_open & (pieces.voxels * voxel < self.below)


@dataclass(frozen=True)
class FillIsland(PieceTool):
    """Gives the island around a voxel another label.

    Attributes
    ----------
    at
        The voxel along (z, y, x).
    old
        Its label.
    label
        What its island becomes; 0 removes it.
    """

    at: Shape
    old: int
    label: int

    name = "fill"

    @property
    def connectivity(self) -> int:
        """That of background or of a label."""
        return FACES if self.old == 0 else CORNERS

    @property
    def seed(self) -> Shape:
        """The voxel."""
        return self.at

    def steps(self, canvas: Canvas) -> Steps:
        """Look for the island, then fill it.

        Raises
        ------
        MeUNetError
            If the voxel lies outside, has another label, or as `PieceTool.steps`.
        """
        place = box_at(self.at, (1, 1, 1))
        if not contains(canvas.box, place):
            raise MeUNetError(
                f"the voxel to fill from must lie in {canvas.box}, got {self.at}; "
                "choose another one, or a larger part"
            )
        if (found := canvas.read(place).item()) != self.old:
            raise MeUNetError(
                f"voxel {self.at} must have label {self.old}, got {found}; click again"
            )
        yield from super().steps(canvas)

    def mask(self, labels: NDArray[np.uint8]) -> Mask:
        """Return what has the label of the voxel."""
        return np.asarray(labels == self.old)

    def chosen(self, pieces: Pieces, voxel: float) -> Mask:
        """Return the piece with the voxel."""
        return np.asarray(np.arange(len(pieces.voxels)) == pieces.seeded)

    def change(self, labels: NDArray[np.uint8], place: Mask) -> None:
        """Set the label."""
        labels[place] = self.label


def _slabs(box: Box) -> list[Box]:
    z, y, x = box
    _, height, width = extent(box)
    n = max(1, SLAB_VOXELS // (height * width))
    return [(planes, y, x) for planes in chunks(z, n)]


def _voxel_in(box: Box, voxel: Shape | None) -> Shape | None:
    """Return a voxel as an index of the array that holds a box, None if outside."""
    if voxel is None or not contains(box, box_at(voxel, (1, 1, 1))):
        return None
    z, y, x = (at - part.start for at, part in zip(voxel, box, strict=True))
    return z, y, x


def _fingerprint(mask: Mask) -> int:
    return crc32(mask.tobytes())


def _require_known(mask: Mask, known: int) -> None:
    if _fingerprint(mask) != known:
        raise MeUNetError(
            "labels must stay as they are while a tool works on them, got others at "
            "the second look; let the run that writes them finish, and try again"
        )
