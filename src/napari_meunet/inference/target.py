"""Where labels go, and what a run leaves there so that it can be taken up again."""

import hashlib
from collections.abc import Mapping
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import JsonValue, ValidationError

from napari_meunet.config import Calibration, Frozen, Shape
from napari_meunet.inference.images import Limits
from napari_meunet.inference.tiles import Box
from napari_meunet.network.orientations import Axes


class LabelTarget(Protocol):
    """What the engine needs of `napari_meunet.labels.store.LabelStore`."""

    @property
    def shape(self) -> Shape:
        """Voxels along (z, y, x)."""
        ...

    @property
    def run_description(self) -> Mapping[str, JsonValue]:
        """What the last run was begun with; empty if there was none."""
        ...

    @property
    def has_corrections(self) -> bool:
        """Whether there is a voxel that a person set."""
        ...

    def forget_run(self) -> None:
        """Let the next run begin at the first plane, even if it is like the last."""
        ...

    def begin_run(self, key: str, description: Mapping[str, JsonValue]) -> None:
        """Begin a run, or take up the last one if that has the same key."""
        ...

    def finished_planes(self, column: str) -> int:
        """Return how many planes of a column are on disk."""
        ...

    def mark_finished(self, column: str, planes: int) -> None:
        """Record that so many planes of a column are on disk."""
        ...

    def write(
        self,
        start: Shape,
        block: NDArray[np.uint8],
        *,
        overwrite_corrected: bool = False,
    ) -> None:
        """Write labels ``(z, y, x)`` from the voxel `start` on."""
        ...

    def write_confidence(self, start: Shape, block: NDArray[np.uint8]) -> None:
        """Write confidence, a number for every 4 x 4 x 4 voxels, from `start` on."""
        ...

    def forget_confidence(self) -> None:
        """Let there be none, whatever earlier runs have written."""
        ...


class RunRecord(Frozen):
    """Everything that the labels of a run depend on, to the last bit.

    Attributes
    ----------
    model, checkpoint
        Name of the model and digest of its weights.
    model_source
        What it was loaded by: of this the key does not depend.
    preset, device, precision
        As in the plan.
    limits
        Intensities that became 0 and 1.
    factors
        Voxels of the scan that the network saw as one.
    box, exact_halo, columns, slab, band
        How the volume was cut.
    flips
        Axes along which the scan was flipped each time that the network was asked.
    overwrite_corrected
        Whether corrected voxels were written over.
    calibration
        Of the model, unless labels are a mean, for which it was not measured. No label
        depends on it, so that the key does not, either.
    """

    model: str
    checkpoint: str
    model_source: str = ""
    preset: str
    device: str
    precision: str
    limits: Limits
    factors: Shape = (1, 1, 1)  # as in records that do not know of it
    box: Box
    exact_halo: bool
    columns: tuple[int, int]
    slab: int
    band: int
    flips: tuple[Axes, ...] = ((),)
    overwrite_corrected: bool
    calibration: Calibration | None = None

    @property
    def key(self) -> str:
        """A digest of all that labels depend on."""
        others = {"calibration", "model_source"}
        text = self.model_dump_json(exclude_defaults=True, exclude=others)
        return hashlib.sha256(text.encode()).hexdigest()

    @classmethod
    def last(cls, labels: LabelTarget) -> Self | None:
        """Return the record of the last run; None if it left none that we know."""
        try:
            return cls.model_validate(labels.run_description)
        except ValidationError:
            return None
