"""Our engine, as the package uses it: from a file to labels on disk."""

from collections import deque
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from benchmarks.inference.task import Network, Task
from napari_meunet.config import SegmentationConfig
from napari_meunet.inference.segment import segment
from napari_meunet.labels.temporary import temporary_labels


@dataclass(frozen=True)
class Ours:
    """Our engine.

    Attributes
    ----------
    title, applies
        See `benchmarks.inference.task.Contender`.
    precision, preset
        As in `SegmentationConfig`.
    """

    title: str
    applies: Network
    precision: Literal["auto", "fp32"] = "auto"
    preset: Literal["exact", "paper"] = "exact"

    def label(self, task: Task) -> NDArray[np.uint8]:
        """Segment into labels on disk, and map them."""
        config = SegmentationConfig(
            device=str(task.device),
            precision=self.precision,
            preset=self.preset,
            resolution="scan",  # every voxel, as the others see it
        )
        values = task.checkpoint.card.classes
        with temporary_labels(task.scan, values, task.folder) as store:
            deque(segment(task.scan, task.checkpoint, config, store), maxlen=0)
            return np.array(store.labels[:])


OURS = {
    "stage1": Ours("ours, stage 1", "stage 1"),
    "stage1-fp32": Ours("ours, stage 1, fp32", "stage 1", "fp32"),
    "paper": Ours("the paper's windows and votes", "stage 1", preset="paper"),
    "cascade": Ours("ours, cascade", "cascade"),
    "cascade-fp32": Ours("ours, cascade, fp32", "cascade", "fp32"),
}
