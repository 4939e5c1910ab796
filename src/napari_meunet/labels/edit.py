"""Edits: changes of labels, as deltas that can be undone."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_meunet.config import Shape
from napari_meunet.labels.box import Box, box_at


@dataclass(frozen=True, slots=True, eq=False)
class Edit:
    """One change of labels.

    Attributes
    ----------
    start
        First voxel of the box that was written, along (z, y, x).
    changed
        Mask ``(z, y, x)`` of that box: the `n` voxels that change.
    before, after
        Their labels, uint8 ``(n,)``, in the order of ``box[changed]``. Those of the
        model are what it said then; it may say something else by now.
    was_corrected
        Whether a person had set them already, bool ``(n,)``.
    becomes_corrected
        True for what a person does. False for a model that writes over corrected
        voxels, all of which `changed` then are.
    """

    start: Shape
    changed: NDArray[np.bool]
    before: NDArray[np.uint8]
    after: NDArray[np.uint8]
    was_corrected: NDArray[np.bool]
    becomes_corrected: bool

    @property
    def box(self) -> Box:
        """Where the voxels lie."""
        return box_at(self.start, self.changed.shape)
