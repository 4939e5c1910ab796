"""What a network is to learn, and what it must be able to do.

Every network learns from a `Task` into a folder, and labels scans from what it left
there. So the memory of inference includes the weights, and nothing of the training.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from napari_meunet.config import TrainingConfig
from napari_meunet.volume.volume import Volume

Predict = Callable[[Volume], NDArray[np.uint8]]
"""From a scan to its labels ``(z, y, x)``."""

Way = Literal["windows", "streamed"]
"""How a scan is labelled: by windows of the patches' size, all networks alike; or ours
plane by plane, with all that lies around a voxel, as the package does it."""


@dataclass(frozen=True)
class Task:
    """What a network is to learn.

    Attributes
    ----------
    pairs
        Scans and their labels.
    classes
        Names of the classes 1, 2, ...
    config
        The budget: patches, steps, augmentation, optimiser, seed.
    """

    pairs: list[tuple[Volume, Volume]]
    classes: tuple[str, ...]
    config: TrainingConfig


class Network(Protocol):
    """Something that learns to segment."""

    @property
    def title(self) -> str:
        """For people."""
        ...

    def learn(self, task: Task, folder: Path) -> int:
        """Train, leave what was learnt in the folder, return the parameters."""
        ...

    @property
    def ways(self) -> tuple[Way, ...]:
        """How it labels scans."""
        ...

    def predictor(self, task: Task, folder: Path, way: Way, /) -> Predict:
        """Return what labels scans, from what `learn` left."""
        ...
