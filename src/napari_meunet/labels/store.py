"""The labels of one scan on disk: who may write, and what the last run did."""

import threading
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray
from pydantic import JsonValue, ValidationError

from napari_meunet.atomic import put, writing
from napari_meunet.config import Calibration, LabelClass, Shape
from napari_meunet.errors import MeUNetError
from napari_meunet.labels.box import Box, box_at
from napari_meunet.labels.corrected import Corrected
from napari_meunet.labels.editable import EditableLabels
from napari_meunet.labels.journal.journal import Journal
from napari_meunet.labels.lock import WriteLock
from napari_meunet.labels.manifest import Manifest, RunRecord, ScanRecord, SpacingRecord
from napari_meunet.labels.mapped import ByteMap
from napari_meunet.labels.review import Review
from napari_meunet.labels.reviewed import Reviewed
from napari_meunet.labels.tiff import LabelMap
from napari_meunet.labels.tools.canvas import Canvas
from napari_meunet.labels.tools.tool import Tool, apply
from napari_meunet.labels.voxels import Voxels
from napari_meunet.progress import Steps
from napari_meunet.volume.fingerprint import fingerprint
from napari_meunet.volume.volume import GIVEN, Spacing, Volume

MODEL = "model"
"""The tool that writes over corrected voxels, as the journal calls it."""


class LabelStore:
    """A labels folder, opened; made by `create`, `open` or `open_or_create`.

    The model writes with `write`, a person through `editable`; both may do so at the
    same time. A person's voxels are corrected, and the model leaves them alone, as it
    does places that a person has reviewed. What was written survives the death of the
    process, and with `flush` that of the machine. It is a context manager that closes
    itself.

    Attributes
    ----------
    folder
        The labels folder.
    manifest
        What it says about itself.
    """

    def __init__(self, folder: Path, *, writable: bool) -> None:
        self.folder = folder
        self.manifest = Manifest.read(folder)
        self._manifest_lock = threading.Lock()
        self._lock = WriteLock(folder) if writable else None
        try:
            if self._lock:
                self._lock.acquire()
            # again: the last writer may have changed it until the lock was free
            self.manifest = Manifest.read(folder)
            self._voxels = Voxels(folder, self.manifest.scan.shape, writable=writable)
            scan, path = self.manifest.scan.fingerprint, folder / "journal"
            self._journal = Journal(path, self._voxels, scan) if writable else None
        except BaseException:
            self._unlock()
            raise

    @classmethod
    def create(
        cls, folder: Path, volume: Volume, classes: tuple[LabelClass, ...]
    ) -> Self:
        """Create a folder of zeros for a scan, and open it for writing.

        The folder appears complete or not at all. The voxels take no room on the
        disk before they are written, where the file system knows holes.

        Raises
        ------
        MeUNetError
            If `folder` exists, cannot be written, or its disk could not hold all
            voxels.
        """
        if folder.exists():
            raise MeUNetError(
                f"{folder} must not exist yet, got an existing one; open it, or remove "
                "it to start anew"
            )
        path = volume.source.path
        spacing = volume.spacing
        manifest = Manifest(
            scan=ScanRecord(
                name=path.name if path else volume.source.format,
                fingerprint=fingerprint(volume),
                shape=volume.shape,
            ),
            spacing=spacing and SpacingRecord.of(spacing),
            classes=classes,
        )
        with (
            writing(folder.parent),
            TemporaryDirectory(prefix=".partial-", dir=folder.parent) as temporary,
        ):
            unfinished = Path(temporary) / folder.name
            unfinished.mkdir()
            Voxels.create(unfinished, volume.shape, spacing)
            manifest.write(unfinished)
            put(unfinished, folder)
        return cls.open(folder)

    @classmethod
    def open(cls, folder: Path, *, writable: bool = True) -> Self:
        """Open a labels folder.

        Parameters
        ----------
        folder
            What `create` made.
        writable
            Only one opening at a time can be; reading is always allowed.

        Raises
        ------
        MeUNetError
            If `folder` is no labels folder, is damaged, of a newer format, read-only
            or open for writing elsewhere.
        """
        return cls(folder, writable=writable)

    @classmethod
    def open_or_create(
        cls, folder: Path, volume: Volume, classes: tuple[LabelClass, ...]
    ) -> Self:
        """Open the folder of a scan for writing; create it if there is none.

        An existing folder takes over the names and colours of `classes`, and the
        spacing of the scan if the folder has none or a person gave it.

        Raises
        ------
        MeUNetError
            As `create` and `open`, or if the folder belongs to another scan, or its
            classes have other values.
        """
        if not folder.exists():
            return cls.create(folder, volume, classes)
        store = cls.open(folder)
        try:
            store.require_scan(volume)
            store.rename_classes(classes)
            store.take_spacing(volume)
        except MeUNetError:
            store.close()
            raise
        return store

    @property
    def shape(self) -> Shape:
        """Voxels along (z, y, x)."""
        return self.manifest.scan.shape

    @property
    def spacing(self) -> Spacing | None:
        """Size of a voxel, None if unknown."""
        return self.manifest.spacing_um()

    @property
    def voxel(self) -> tuple[float, float, float]:
        """Size of a voxel along (z, y, x) in micrometres; ones if it is unknown."""
        return self.spacing.zyx if self.spacing else (1.0, 1.0, 1.0)

    @property
    def classes(self) -> tuple[LabelClass, ...]:
        """What the label values stand for."""
        return self.manifest.classes

    @property
    def writable(self) -> bool:
        """Whether the store is open for writing: opened so, and not closed."""
        return self._voxels.writable

    @property
    def labels(self) -> LabelMap:
        """The labels, uint8 ``(z, y, x)``, as a memory map; for reading."""
        return self._voxels.labels

    @property
    def model(self) -> ByteMap:
        """What the model says, also of corrected voxels, as `labels`; for reading.

        Raises
        ------
        MeUNetError
            If the store was opened for reading.
        """
        self._voxels.require_writable()
        return self._voxels.model

    @property
    def corrected(self) -> Corrected:
        """The mask of voxels that a person set; for reading."""
        return self._voxels.corrected

    @property
    def reviewed(self) -> Reviewed:
        """The places that a person has found right; writers may mark them."""
        return self._voxels.reviewed

    @property
    def confidence(self) -> LabelMap | None:
        """How sure the model was, a uint8 for every 4 x 4 x 4 voxels; for reading.

        See `napari_meunet.labels.confidence`; None if no model has said it.
        """
        return self._voxels.confidence.blocks

    @property
    def has_corrections(self) -> bool:
        """Whether there is a voxel that a person set."""
        return self.corrected.any(box_at((0, 0, 0), self.shape))

    def corrected_planes(self) -> NDArray[np.bool]:
        """Return which z planes hold voxels that a person set, ``(z,)``."""
        plane = (1, *self.shape[1:])
        starts = ((z, 0, 0) for z in range(self.shape[0]))
        return np.array([self.corrected.any(box_at(at, plane)) for at in starts])

    @property
    def journal(self) -> Journal:
        """What was done, to undo it and do it again.

        Raises
        ------
        MeUNetError
            If the store was opened for reading.
        """
        if self._journal is None:
            raise self._voxels.not_writable()
        return self._journal

    def editable(self) -> EditableLabels:
        """Return the labels as an array for a person to paint on.

        Raises
        ------
        MeUNetError
            If the store is not open for writing.
        """
        self._voxels.require_writable()
        return EditableLabels(self._voxels, self.journal)

    def use(self, tool: Tool, box: Box) -> Steps:
        """Let a tool change labels: all of it is one stroke, or nothing changes.

        Nothing else may change them meanwhile.

        Parameters
        ----------
        tool
            What to do.
        box
            Where; a box that is flat along an axis is a plane.

        Raises
        ------
        MeUNetError
            If the tool cannot do it, the store is not open for writing, or the disk is
            full.
        """
        canvas = Canvas(self._voxels, self.journal, box, self.voxel, tool.name)
        return apply(tool, canvas)

    def write(
        self,
        start: Shape,
        block: NDArray[np.uint8],
        *,
        overwrite_corrected: bool = False,
    ) -> None:
        """Write what the model says; safe beside a person who paints.

        Parameters
        ----------
        start
            First voxel along (z, y, x).
        block
            Labels, uint8 ``(z, y, x)``.
        overwrite_corrected
            False leaves corrected voxels and reviewed places as they are. True writes
            over them, and they are corrected no more, which the journal can undo; nor
            do those places count as reviewed.

        Raises
        ------
        MeUNetError
            If the store is not open for writing, or the disk is full.
        ValueError
            If the block is not uint8 or does not lie within the volume.
        """
        self._voxels.require_block(start, block)
        z, y, x = box = box_at(start, block.shape)
        if overwrite_corrected:
            self.reviewed.forget(box)
        for index, plane in enumerate(block, start=z.start):
            place = slice(index, index + 1), y, x
            # a plane at a time, so that a brush need not wait
            self._voxels.write_plane(place, plane[None])
            if overwrite_corrected:
                self._release(place, plane[None])

    def _release(self, place: Box, plane: NDArray[np.uint8]) -> None:
        """Let the corrected voxels of a plane be the model's again."""
        voxels = self._voxels
        with voxels.lock:
            self.journal.wait_for_tool()
            mine = voxels.corrected.read(place)
            if not mine.any():
                return
            edit = voxels.edit(place, mine, plane, by_person=False)
            self.journal.record(edit, MODEL)

    def write_confidence(self, start: Shape, block: NDArray[np.uint8]) -> None:
        """Write how sure the model is of what it has labelled.

        Parameters
        ----------
        start
            First block of 4 x 4 x 4 voxels along (z, y, x).
        block
            255 times a probability for every block, uint8 ``(z, y, x)``.

        Raises
        ------
        MeUNetError
            If the store is not open for writing, or the disk is full.
        """
        self._voxels.require_writable()
        self._voxels.confidence.write(start, block, self.spacing)

    def forget_confidence(self) -> None:
        """Forget how sure any model was.

        Raises
        ------
        MeUNetError
            If the store is not open for writing.
        """
        self._voxels.require_writable()
        self._voxels.confidence.forget()

    def review(self) -> Review | None:
        """Return which places to look at, as of now; None if no model has said it.

        Raises
        ------
        MeUNetError
            If the store is not open for writing.
        """
        self._voxels.require_writable()
        if self.confidence is None:
            return None
        measured = self.run_description.get("calibration")
        try:
            calibration = Calibration.model_validate(measured) if measured else None
        except ValidationError:  # of another version
            calibration = None
        return Review(self.reviewed, self.labels, self.confidence, calibration)

    def require_scan(self, volume: Volume) -> None:
        """Refuse a scan that these labels do not belong to.

        Raises
        ------
        MeUNetError
            If shape or fingerprint differ.
        """
        scan = self.manifest.scan
        found = fingerprint(volume)
        if (scan.shape, scan.fingerprint) == (volume.shape, found):
            return
        raise MeUNetError(
            f"{self.folder} must belong to the scan that is opened, got labels of "
            f"{scan.name} with shape {scan.shape} and fingerprint "
            f"{scan.fingerprint[:12]} for {volume.source.path or 'a volume'} with "
            f"shape {volume.shape} and fingerprint {found[:12]}; move the folder away, "
            "or choose another one"
        )

    def set_spacing(self, spacing: Spacing) -> None:
        """Change the size of a voxel, in the manifest and in `labels.tif`.

        Raises
        ------
        MeUNetError
            If the store is not open for writing.
        """
        if spacing == self.spacing:
            return
        self._voxels.calibrate(spacing)
        with self._manifest_lock:
            self._update(spacing=SpacingRecord.of(spacing))

    def take_spacing(self, volume: Volume) -> None:
        """Take over the spacing of the scan if there is none, or a person gave it.

        Raises
        ------
        MeUNetError
            If the store is not open for writing.
        """
        spacing = volume.spacing
        if spacing and (self.spacing is None or spacing.origin == GIVEN):
            self.set_spacing(spacing)

    def begin_run(self, key: str, description: Mapping[str, JsonValue]) -> None:
        """Record a segmentation run, or take up the last one where it stopped.

        Parameters
        ----------
        key
            Equal for runs that give the same labels. Another key than the last
            run's means that no plane is finished.
        description
            What to remember of the run: checkpoint, config.
        """
        with self._manifest_lock:
            run = self.manifest.run
            self.journal.end_stroke()
            if run is None or run.key != key:
                self._update(run=RunRecord(key=key, description=dict(description)))
            elif run.description != description:  # what no label depends on
                described = {"description": dict(description)}
                self._update(run=run.model_copy(update=described))

    def forget_run(self) -> None:
        """Let the next run begin at the first plane, even if it is like the last one.

        No voxel changes.

        Raises
        ------
        MeUNetError
            If the store is not open for writing.
        """
        with self._manifest_lock:
            self._update(run=None)

    @property
    def run_description(self) -> Mapping[str, JsonValue]:
        """What the last run was begun with; empty if there was none."""
        run = self.manifest.run
        return run.description if run else {}

    @property
    def model_source(self) -> str:
        """Name or file of the model that ran last; empty if it is not known."""
        return str(self.run_description.get("model_source", ""))

    def finished_planes(self, column: str) -> int:
        """Return how many planes, from plane 0, this run has finished in a column.

        The key of a column is the engine's own, for example ``"y0-480,x0-480"``.
        """
        run = self.manifest.run
        return run.finished.get(column, 0) if run else 0

    def mark_finished(self, column: str, planes: int) -> None:
        """Record that planes ``0:planes`` of a column are on the disk, and see to it.

        Raises
        ------
        ValueError
            If no run has begun.
        """
        self.flush()
        self._voxels.give_back()
        with self._manifest_lock:
            run = self.manifest.run
            if run is None:
                raise ValueError("begin_run must come before mark_finished")
            finished = {**run.finished, column: planes}
            self._update(run=run.model_copy(update={"finished": finished}))

    def flush(self) -> None:
        """Return when all that was written is on the disk."""
        if self._journal:
            self._journal.flush()

    def close(self) -> None:
        """Flush and let others write; closing twice is allowed."""
        try:
            if self._journal:
                self._journal.close()
        finally:
            self._voxels.close()
            self._unlock()

    def unmap(self) -> None:
        """Let go of the files of a closed store; nothing can be read any more."""
        self._voxels.unmap()

    def __enter__(self) -> Self:
        """Return the store itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the store."""
        self.close()

    def rename_classes(self, classes: tuple[LabelClass, ...]) -> None:
        """Take over the names and colours that a checkpoint gives to the classes.

        Raises
        ------
        MeUNetError
            If the values of the classes differ: the labels would mean something else.
        """
        self.require_classes(classes)
        if self.classes != classes:
            with self._manifest_lock:
                self._update(classes=classes)

    def require_classes(self, classes: tuple[LabelClass, ...]) -> None:
        """Refuse the classes of a checkpoint if they have other values.

        Raises
        ------
        MeUNetError
            If they have.
        """
        mine = [label.value for label in self.classes]
        theirs = [label.value for label in classes]
        if mine != theirs:
            raise MeUNetError(
                f"the classes in {self.folder} must be those of the checkpoint, got "
                f"values {mine} and a checkpoint with {theirs}; choose a checkpoint "
                "with the same classes, or export the labels and remove the folder"
            )

    def _update(self, **changes: object) -> None:
        """Replace fields of the manifest; the caller holds its lock."""
        self._voxels.require_writable()
        manifest = self.manifest.model_copy(update=changes)
        manifest.write(self.folder)
        self.manifest = manifest

    def _unlock(self) -> None:
        if self._lock:
            with writing(self.folder):
                self._lock.release()


def with_known_spacing(volume: Volume, folder: Path) -> Volume:
    """Return a scan with the spacing that a person gave before, kept with its labels.

    Parameters
    ----------
    volume
        The scan. What a person gives it now counts more.
    folder
        Of its labels, if there are any.

    Raises
    ------
    MeUNetError
        If the folder is there and is no labels folder, or damaged.
    """
    known = Manifest.read(folder).spacing_um() if folder.exists() else None
    if known is None or known.origin != GIVEN:
        return volume
    if volume.spacing and volume.spacing.origin == GIVEN:
        return volume
    return volume.with_spacing(known.zyx)
