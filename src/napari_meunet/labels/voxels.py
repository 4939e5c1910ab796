"""The voxels of a labels folder: labels, who set them, and how sure the model was."""

import sys
import threading
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_meunet.atomic import flush_to_disk, writing
from napari_meunet.config import Shape
from napari_meunet.errors import MeUNetError
from napari_meunet.labels.box import Box, box_at
from napari_meunet.labels.confidence import Confidence, confidence_bytes
from napari_meunet.labels.corrected import Corrected, corrected_bytes
from napari_meunet.labels.edit import Edit, RecentEdits
from napari_meunet.labels.folder import WORKING_COPY
from napari_meunet.labels.tiff import (
    RESERVE,
    calibrate_tiff,
    create_tiff,
    hole_bytes,
    open_tiff,
    require_room,
)
from napari_meunet.volume.volume import Spacing


class Voxels:
    """Files that are read and written together.

    All are memory maps: what was written survives the death of the process.

    Parameters
    ----------
    folder
        Where `create` wrote.
    shape
        Voxels along (z, y, x).
    writable
        False maps the files for reading only.

    Attributes
    ----------
    labels
        uint8 ``(z, y, x)`` memory map.
    corrected
        The voxels that a person set.
    confidence
        How sure the model was.
    writable
        Whether they may be written to: opened so, and not closed.
    recent
        What a person did last, for undos.
    lock
        Held while voxels are compared and changed, for a box or a plane at a time.

    Raises
    ------
    MeUNetError
        If a file is missing or does not fit `shape`.
    """

    def __init__(self, folder: Path, shape: Shape, *, writable: bool) -> None:
        with writing(folder):
            self.labels = open_tiff(_tiff(folder), shape, writable=writable)
            self.corrected = Corrected(_mask(folder), shape, writable=writable)
            self.confidence = Confidence(folder, shape, writable=writable)
        self.lock = threading.RLock()
        self.recent = RecentEdits()
        self._folder = folder
        self.writable = writable

    @staticmethod
    def create(folder: Path, shape: Shape, spacing: Spacing | None) -> None:
        """Write labels of zeros that nobody has corrected.

        Raises
        ------
        MeUNetError
            If the disk could not hold all voxels.
        """
        z, y, x = shape
        n_bytes = z * y * x + corrected_bytes(shape) + confidence_bytes(shape)
        require_room(folder, n_bytes + RESERVE)
        create_tiff(_tiff(folder), shape, spacing)
        Corrected.create(_mask(folder), shape)

    def require_writable(self) -> None:
        """Refuse to write where that is not allowed.

        Raises
        ------
        MeUNetError
            If the labels were opened for reading, or closed.
        """
        if not self.writable:
            raise MeUNetError(
                f"the labels in {self._folder} must be open for writing, got a reader "
                "or a closed store; open them with writable=True"
            )

    def require_room(self, n_bytes: int) -> None:
        """Refuse to write `n_bytes` into holes that the disk has no room for.

        Raises
        ------
        MeUNetError
            If the labels cannot be written, or the disk is full.
        """
        self.require_writable()
        holes = hole_bytes(_tiff(self._folder)) + hole_bytes(_mask(self._folder))
        require_room(self._folder, min(n_bytes + RESERVE, holes))

    def write_model(
        self, start: Shape, block: NDArray[np.uint8], *, overwrite_corrected: bool
    ) -> None:
        """Write what the model says, see `LabelStore.write`."""
        box = box_at(start, block.shape)
        if block.dtype != np.uint8 or not _inside(box, self.labels.shape):
            raise ValueError(
                f"block must be uint8 and lie within {self.labels.shape}, got "
                f"{block.dtype} {block.shape} at {start}"
            )
        self.require_room(block.nbytes)
        z, y, x = box
        for index, plane in enumerate(block, start=z.start):
            place = slice(index, index + 1), y, x
            with self.lock:  # for a plane only, so that a brush need not wait
                self._write_plane(place, plane[None], overwrite_corrected)

    def _write_plane(
        self, place: Box, plane: NDArray[np.uint8], overwrite_corrected: bool
    ) -> None:
        if not self.corrected.any(place):
            self.labels[place] = plane
        elif overwrite_corrected:
            self.recent.forget(place)  # an undo of them is a person's edit like others
            self.corrected.write(place, np.zeros(plane.shape, bool))
            self.labels[place] = plane
        else:
            self.recent.note_model(place, plane)
            mine = self.corrected.read(place)
            np.copyto(self.labels[place], plane, where=~mine)

    def apply(self, edit: Edit, *, corrected: bool | NDArray[np.bool]) -> None:
        """Give the changed voxels of an edit their labels after it.

        Parameters
        ----------
        edit
            What changes.
        corrected
            Whether its voxels count as corrected from now on: one for all, or bool
            ``(n,)``. This is written first: a process that dies in between leaves a
            voxel too many protected, never one too few.
        """
        box = box_at(edit.start, edit.changed.shape)
        mask = self.corrected.read(box)
        mask[edit.changed] = corrected
        self.corrected.write(box, mask)
        self.labels[box][edit.changed] = edit.after

    def calibrate(self, spacing: Spacing) -> None:
        """Change the spacing that the labels' header claims."""
        self.require_writable()
        z, y, x = self.labels.shape
        with writing(self._folder):
            calibrate_tiff(_tiff(self._folder), (z, y, x), spacing)
            self.confidence.calibrate(spacing)

    def flush(self) -> None:
        """Return when all that was written is on the disk."""
        if self.writable:
            with writing(self._folder):
                if sys.platform == "win32":  # where a file knows nothing of its map
                    self.corrected.flush()
                    self.labels.flush()
                # not memmap.flush: it keeps Python's lock while the disk works, and
                # the window would stand still
                flush_to_disk(_mask(self._folder))
                flush_to_disk(_tiff(self._folder))
                self.confidence.flush()

    def unmap(self) -> None:
        """Let go of the files; nothing can be read any more."""
        del self.labels, self.corrected, self.confidence

    def close(self) -> None:
        """Flush, and refuse to write from now on; reading goes on."""
        try:
            self.flush()
        finally:
            self.writable = False


def _tiff(folder: Path) -> Path:
    return folder / WORKING_COPY


def _mask(folder: Path) -> Path:
    return folder / "corrected"


def _inside(box: Box, shape: tuple[int, ...]) -> bool:
    return all(
        0 <= part.start <= part.stop <= n for part, n in zip(box, shape, strict=True)
    )
