"""Labels that napari paints on, larger than memory."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_meunet.config import Shape
from napari_meunet.errors import MeUNetError
from napari_meunet.labels.box import (
    Box,
    contains,
    extent,
    indexed_box,
    points_box,
    within,
)
from napari_meunet.labels.journal.history import PAINT
from napari_meunet.labels.journal.journal import Journal
from napari_meunet.labels.seen import View, is_whole
from napari_meunet.labels.voxels import Voxels

LARGEST_EDIT = 2**28
"""Voxels of the largest box that may be written at once; it is held in memory."""

LARGEST_FILL = 2**26
"""Voxels of the largest volume that napari may fill in all planes: it reads them all,
and the window stands still for seconds."""

_REMEMBERED_READ = 2**26
"""Voxels of the largest read that is remembered: a plane of 8192 x 8192."""


@dataclass(frozen=True, slots=True)
class _Read:
    """What a thread saw in a box, and after what a person had done."""

    box: Box
    labels: NDArray[np.uint8]
    age: tuple[int, int]


class EditableLabels:
    """A thin array over the labels on disk, for napari's Labels layer.

    Whatever is written counts as a person's work: voxels that change become
    corrected, and the journal can undo it. A program that undoes by itself, by writing
    what it has read before, makes an edit like any other.

    Every write is a stroke of its own, or as many as `end_stroke` says if the array is
    `grouped`.

    The model may write between the read and the write of an edit. A written array
    is therefore compared with what the same thread read last, if that covers the
    box: only what the person changed is written, and the model's new labels around
    it stay.

    Parameters
    ----------
    voxels
        The files, open for writing.
    journal
        Where edits go.

    Attributes
    ----------
    grouped
        Whether somebody says where strokes end.
    viewed_as
        Says what a viewer shows when it asks for all voxels: one in 3-D reads them,
        whatever their number, before it tells anybody. Where an overview is to be
        shown instead, it is given one voxel of background.
    paintable
        Says which voxels of a box may be written, bool ``(z, y, x)``; None allows all.
    """

    def __init__(self, voxels: Voxels, journal: Journal) -> None:
        self._voxels = voxels
        self._journal = journal
        self._last_read = threading.local()
        self._n_edits = 0
        self._n_writes = 0  # since the last stroke ended
        self._stroke_length: int | None = None  # in writes, where somebody has said it
        self.grouped = False
        self.viewed_as: Callable[[], View] = lambda: View.PLANES
        self.paintable: Callable[[Box], NDArray[np.bool]] | None = None

    @property
    def shape(self) -> Shape:
        """Voxels along (z, y, x)."""
        z, y, x = self._voxels.labels.shape
        return z, y, x

    @property
    def dtype(self) -> np.dtype[np.uint8]:
        """Always uint8."""
        return np.dtype(np.uint8)

    @property
    def ndim(self) -> int:
        """Always 3."""
        return 3

    @property
    def size(self) -> int:
        """Number of voxels."""
        return self._voxels.labels.size

    def __array__(
        self, dtype: np.dtype[Any] | None = None, copy: bool | None = None
    ) -> NDArray[Any]:
        """Read all labels into memory, for programs that know only arrays."""
        return np.array(self._voxels.labels, dtype=dtype)

    def __deepcopy__(self, memo: dict[int, Any]) -> NDArray[np.uint8]:
        """Read all labels into memory: painting on a copy must not reach the disk."""
        return np.array(self._voxels.labels)

    def __getitem__(self, index: Any) -> Any:
        """Return a copy of the labels that NumPy's indexing addresses.

        An integer alone gives a plane that is neither copied nor can be changed:
        before every dab of the brush napari looks at ``data[0].dtype``.

        Raises
        ------
        MeUNetError
            If all voxels of a volume larger than `LARGEST_FILL` are addressed along
            each axis, as napari does to fill in 3-D. ``data[:]`` gives them.
        """
        if isinstance(index, int | np.integer):
            plane = np.asarray(self._voxels.labels[index]).view()
            plane.flags.writeable = False
            return plane
        box = indexed_box(index, self.shape)
        if is_whole(index, self.shape):
            view = self.viewed_as()
            if view is View.OVERVIEW:
                return np.zeros((1, 1, 1), np.uint8)
            if view is View.PLANES:
                self._require_fillable()
        age = self._age  # before reading: what is done in between counts
        labels = np.array(self._voxels.labels[index])
        if box is not None and labels.size <= _REMEMBERED_READ:
            known = labels.reshape(extent(box)).copy()
            self._last_read.read = _Read(box, known, age)
        return labels[()]  # a single voxel as a number, as NumPy returns it

    def __setitem__(self, index: Any, labels: Any) -> None:
        """Set voxels as a person's work.

        Parameters
        ----------
        index
            Integers, slices of step 1 and an Ellipsis; or three arrays of integers,
            one for each axis.
        labels
            Integers from 0 to 255 that broadcast to the indexed shape.

        Raises
        ------
        IndexError
            If the index is of another kind, or outside.
        ValueError
            If a label is no integer from 0 to 255, or the shapes do not fit.
        MeUNetError
            If the labels cannot be written, or the box is larger than
            `LARGEST_EDIT`.
        """
        try:
            self._set(index, _as_labels(labels))
        finally:  # napari counts a write that was refused, too
            self._n_writes += 1
            self._end_if_complete()

    @property
    def _age(self) -> tuple[int, int]:
        """What a person has done so far: edits, and undos and redos."""
        return self._n_edits, self._journal.n_steps

    def _set(self, index: Any, labels: NDArray[np.uint8]) -> None:
        box = indexed_box(index, self.shape)
        if box is None:
            self._set_points(_as_points(index, self.shape), labels)
            return
        self._require_small(box)
        wanted = self._voxels.labels[index].shape
        block = np.broadcast_to(labels, wanted).reshape(extent(box))
        # one number for all says nothing of what was seen there
        self._set_box(box, block, self._known(box) if labels.ndim else None)

    def end_stroke(self, n_writes: int) -> None:
        """Say that a stroke is made of so many writes.

        napari says so after the last one where there may be several, and before it
        where there is but one.
        """
        self._stroke_length = n_writes
        self._end_if_complete()

    def _set_points(
        self, points: tuple[NDArray[np.intp], ...], labels: NDArray[np.uint8]
    ) -> None:
        if points[0].size == 0:
            return
        box = points_box(points)
        self._require_small(box)
        block = self[box]
        block[tuple(p - part.start for p, part in zip(points, box, strict=True))] = (
            labels
        )
        self._set_box(box, block, self._known(box))

    def _set_box(
        self, box: Box, block: NDArray[np.uint8], known: NDArray[np.uint8] | None
    ) -> None:
        """Write what differs between `block` and what was `known` before."""
        voxels = self._voxels
        voxels.require_room_in(box)
        # before the lock: it may read a scan, and a run waits for that
        allowed = self.paintable(box) if self.paintable is not None else True
        with voxels.lock:
            before = np.asarray(voxels.labels[box]) if known is None else known
            changed = (block != before) & allowed
            if changed.any():
                # not from `before`: the model may have written since that was read
                edit = voxels.edit(box, changed, block)
                self._n_edits += 1
                self._journal.record(edit, PAINT)

    def _end_if_complete(self) -> None:
        if self._stroke_length is None and self.grouped:
            return
        if self._n_writes >= (self._stroke_length or 1):
            self._journal.end_stroke()
            self._n_writes, self._stroke_length = 0, None

    def _known(self, box: Box) -> NDArray[np.uint8] | None:
        """Return what this thread last read of a box, if nothing was written since."""
        read: _Read | None = getattr(self._last_read, "read", None)
        if read is None or read.age != self._age:
            return None
        return read.labels[within(read.box, box)] if contains(read.box, box) else None

    def _require_fillable(self) -> None:
        if self.size > LARGEST_FILL:
            raise MeUNetError(
                f"napari fills at most {LARGEST_FILL} voxels in all planes, got "
                f"{self.size}; press G in the Correct dock, which fills part by part"
            )

    def _require_small(self, box: Box) -> None:
        z, y, x = extent(box)
        if z * y * x > LARGEST_EDIT:
            raise MeUNetError(
                f"one edit must cover at most {LARGEST_EDIT} voxels, got a box of "
                f"{extent(box)}; edit smaller parts"
            )


def _as_labels(values: Any) -> NDArray[np.uint8]:
    labels = np.asarray(values)
    if labels.dtype == np.uint8:
        return labels
    whole = labels.dtype.kind in "iub"
    if not whole or (labels.size and not 0 <= labels.min() <= labels.max() <= 255):
        raise ValueError(f"labels must be integers from 0 to 255, got {values!r}")
    return labels.astype(np.uint8)


def _as_points(index: Any, shape: Shape) -> tuple[NDArray[np.intp], ...]:
    """Return index arrays, one for each axis, with negative indices resolved."""
    axes = [np.asarray(part) for part in index] if isinstance(index, tuple) else []
    if len(axes) != len(shape) or any(axis.dtype.kind not in "iu" for axis in axes):
        raise IndexError(
            "an edit must be indexed by integers and slices of step 1, or by one array "
            f"of integers for each axis, got {index!r}"
        )
    for axis, n in zip(axes, shape, strict=True):
        if axis.size and not -n <= axis.min() <= axis.max() < n:
            raise IndexError(f"indices must lie within an axis of {n}, got {axis!r}")
    points = np.broadcast_arrays(*axes)
    return tuple(p.astype(np.intp) % n for p, n in zip(points, shape, strict=True))
