"""The voxels of a labels folder: labels, who set them, and what the model says."""

import sys
import threading
from math import prod
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_meunet.atomic import flush_to_disk, replacing, writing
from napari_meunet.config import Shape
from napari_meunet.errors import MeUNetError
from napari_meunet.labels.box import Box, extent
from napari_meunet.labels.confidence import Confidence, confidence_bytes
from napari_meunet.labels.corrected import Corrected, corrected_bytes
from napari_meunet.labels.edit import Edit
from napari_meunet.labels.folder import WORKING_COPY
from napari_meunet.labels.mapped import ByteMap, create_map, open_map
from napari_meunet.labels.reviewed import Reviewed
from napari_meunet.labels.tiff import (
    RESERVE,
    calibrate_tiff,
    create_tiff,
    hole_bytes,
    open_tiff,
    require_room,
)
from napari_meunet.mapped import give_back
from napari_meunet.volume.volume import Spacing

PAGE = 4096
"""Bytes that a disk holds together, at least so many on common file systems."""


class Voxels:
    """Files that are read and written together.

    Most are memory maps: what was written survives the death of the process. A label is
    that of the person where a person has set one, else that of the model.

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
    model
        uint8 ``(z, y, x)`` memory map: what the model says, also of corrected voxels.
        Only writers have it.
    confidence
        How sure the model was.
    reviewed
        Places that a person has found right.
    writable
        Whether they may be written to: opened so, and not closed.
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
            self.reviewed = Reviewed(folder, shape)
            if writable:
                self.model = self._opened_model(folder, shape)
        self.lock = threading.RLock()
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
        n_bytes = 2 * prod(shape) + corrected_bytes(shape) + confidence_bytes(shape)
        require_room(folder, n_bytes + RESERVE)
        create_tiff(_tiff(folder), shape, spacing)
        Corrected.create(_mask(folder), shape)
        create_map(_model(folder), shape)

    def _opened_model(self, folder: Path, shape: Shape) -> ByteMap:
        if _model(folder).exists():
            return open_map(_model(folder), shape, writable=True)
        # a folder of an earlier version, which did not keep what a person painted over
        require_room(folder, self.labels.nbytes + RESERVE)
        with replacing(_model(folder)) as temporary:
            create_map(temporary, shape)
            model = open_map(temporary, shape, writable=True)
            for plane, labels in zip(model, self.labels, strict=True):
                _update(plane, labels)
            del model, plane  # Windows gives no mapped file another name
        return open_map(_model(folder), shape, writable=True)

    def require_writable(self) -> None:
        """Refuse to write where that is not allowed.

        Raises
        ------
        MeUNetError
            If the labels were opened for reading, or closed.
        """
        if not self.writable:
            raise self.not_writable()

    def not_writable(self) -> MeUNetError:
        """Return what to raise where nothing can be written."""
        return MeUNetError(
            f"the labels in {self._folder} must be open for writing, got a reader or a "
            "closed store; open them with writable=True"
        )

    def require_room(self, n_bytes: int) -> None:
        """Refuse to write `n_bytes` into holes that the disk has no room for.

        Raises
        ------
        MeUNetError
            If the labels cannot be written, or the disk is full.
        """
        self.require_writable()
        files = _tiff(self._folder), _mask(self._folder), _model(self._folder)
        holes = sum(map(hole_bytes, files))
        require_room(self._folder, min(n_bytes + RESERVE, holes))

    def require_room_in(self, box: Box) -> None:
        """Refuse to write a box into holes that the disk has no room for.

        A disk fills holes page by page, so that a box that is thin along x may take
        many times its voxels.

        Raises
        ------
        MeUNetError
            If the labels cannot be written, or the disk is full.
        """
        n_planes, n_rows, n = extent(box)
        width = self.labels.shape[2]
        rows = min(n_rows * (n + 2 * PAGE), (n_rows - 1) * width + n + 2 * PAGE)
        self.require_room(2 * n_planes * rows)

    def require_block(self, start: Shape, block: NDArray[np.uint8]) -> None:
        """Refuse a block that is no labels, or that the disk has no room for.

        Raises
        ------
        MeUNetError
            If the labels cannot be written, or the disk is full.
        ValueError
            If the block is not uint8 or does not lie within the volume.
        """
        if block.dtype != np.uint8 or not _inside(start, block, self.labels.shape):
            raise ValueError(
                f"block must be uint8 and lie within {self.labels.shape}, got "
                f"{block.dtype} {block.shape} at {start}"
            )
        self.require_room(2 * block.nbytes)

    def write_plane(self, place: Box, plane: NDArray[np.uint8]) -> None:
        """Write what the model says of a plane.

        A person's voxels stay, and so do places that they have found right.
        """
        with self.lock:
            _update(self.model[place], plane)
            for mine in (self.corrected, self.reviewed):
                if mine.any(place):
                    plane = np.where(mine.read(place), self.labels[place], plane)
            _update(self.labels[place], plane)

    def edit(
        self,
        box: Box,
        changed: NDArray[np.bool],
        block: NDArray[np.uint8],
        *,
        by_person: bool = True,
    ) -> Edit:
        """Return the edit that writes some voxels of a block; it is not made yet.

        Parameters
        ----------
        box
            Where the block lies.
        changed
            Which of its voxels are written, ``(z, y, x)``.
        block
            Labels, uint8 ``(z, y, x)``.
        by_person
            Whether the voxels become corrected, or the model's again.
        """
        z, y, x = box
        return Edit(
            start=(z.start, y.start, x.start),
            changed=changed,
            before=self.labels[box][changed],
            after=block[changed],
            was_corrected=self.corrected.read(box)[changed],
            becomes_corrected=by_person,
        )

    def apply(self, edit: Edit) -> None:
        """Make an edit; doing it again changes nothing."""
        self._write(edit, edit.after, edit.becomes_corrected)

    def revert(self, edit: Edit) -> None:
        """Take an edit back; doing it again changes nothing."""
        self._write(edit, edit.before, edit.was_corrected)

    def _write(
        self, edit: Edit, labels: NDArray[np.uint8], corrected: bool | NDArray[np.bool]
    ) -> None:
        """Write labels where they count for a person, and elsewhere the model's.

        A process that dies in between leaves a voxel too many protected, never one
        too few.
        """
        mask = self.corrected.read(edit.box)
        mask[edit.changed] |= corrected
        self.corrected.write(edit.box, mask)
        stay = corrected | self.reviewed.read(edit.box)[edit.changed]
        model = self.model[edit.box][edit.changed]
        self.labels[edit.box][edit.changed] = np.where(stay, labels, model)
        mask[edit.changed] = corrected
        self.corrected.write(edit.box, mask)

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
                    self.model.flush()
                    self.corrected.flush()
                    self.labels.flush()
                # not memmap.flush: it keeps Python's lock while the disk works, and
                # the window would stand still
                flush_to_disk(_model(self._folder))
                flush_to_disk(_mask(self._folder))
                flush_to_disk(_tiff(self._folder))
                self.confidence.flush()

    def give_back(self) -> None:
        """Give back the memory that the maps have taken, see `mapped.give_back`."""
        give_back(self.labels)
        self.corrected.give_back()
        if self.writable:
            give_back(self.model)

    def unmap(self) -> None:
        """Let go of the files; nothing can be read any more."""
        self.writable = False
        del self.labels, self.corrected, self.confidence
        vars(self).pop("model", None)

    def close(self) -> None:
        """Refuse to write from now on; reading goes on."""
        self.writable = False


def _tiff(folder: Path) -> Path:
    return folder / WORKING_COPY


def _mask(folder: Path) -> Path:
    return folder / "corrected"


def _model(folder: Path) -> Path:
    return folder / "model"


def _update(there: NDArray[np.uint8], plane: NDArray[np.uint8]) -> None:
    """Write the rows of a plane that differ, so that files keep their holes."""
    rows = (there != plane).any(axis=-1)
    there[rows] = plane[rows]


def _inside(start: Shape, block: NDArray[np.uint8], shape: tuple[int, ...]) -> bool:
    return block.ndim == len(shape) and all(
        first >= 0 and first + n <= size
        for first, n, size in zip(start, block.shape, shape, strict=True)
    )
