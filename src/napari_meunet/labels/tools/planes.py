"""Tools that draw a label in a plane; copying it from the next."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from napari_meunet.errors import MeUNetError
from napari_meunet.labels.box import Box, intersection, planes_of, within
from napari_meunet.labels.tools.canvas import Canvas
from napari_meunet.labels.tools.pieces import Mask
from napari_meunet.progress import Progress, Steps


@dataclass(frozen=True)
class PlaneTool:
    """Draws a label in planes.

    What a person has set there stays; the model's labels give way to what is drawn.

    Attributes
    ----------
    label
        What is drawn.
    axis
        Along which the planes follow each other: 0, 1 or 2 for z, y or x.
    """

    label: int
    axis: int

    def plane(self, box: Box, place: int) -> Box:
        """Return one plane of a box."""
        return planes_of(box, self.axis, slice(place, place + 1))

    def seen(self, labels: NDArray[np.uint8]) -> Mask:
        """Return where the label is in the labels of a plane, ``(rows, columns)``."""
        return np.asarray(labels.squeeze(self.axis) == self.label, bool)

    def draw(
        self,
        canvas: Canvas,
        plane: Box,
        before: NDArray[np.uint8],
        mask: Mask,
        old: Mask,
        drawn_before: Sequence[int] = (),
    ) -> None:
        """Let the label be where a mask ``(rows, columns)`` says.

        Parameters
        ----------
        canvas
            What is drawn on.
        plane
            Which plane.
        before
            Its labels.
        mask
            Where.
        old
            What of the label goes, where it is not drawn again.
        drawn_before
            Edits of the journal, by their places there, that have drawn this plane
            before: what they set gives way, too.
        """
        goes = np.expand_dims(old, self.axis).copy()
        stays = canvas.corrected(plane)
        for edit in canvas.journal.edits(drawn_before):
            if (both := intersection(plane, edit.box)) is not None:
                here, drawn = within(plane, both), edit.changed[within(edit.box, both)]
                stays[here] &= ~drawn
                goes[here] |= drawn & (before[here] == self.label)
        after = before.copy()
        after[goes] = 0
        after[np.expand_dims(mask, self.axis)] = self.label
        canvas.write(plane, before, np.where(stays, before, after))


@dataclass(frozen=True)
class CopyPlane(PlaneTool):
    """Draws the label as it is in a plane beside it.

    Attributes
    ----------
    step
        From that plane to the one that is drawn: 1 or -1.
    """

    step: int

    name: ClassVar[str] = "copy"

    def steps(self, canvas: Canvas) -> Steps:
        """Draw one plane.

        Raises
        ------
        MeUNetError
            If there is no plane to copy from, or no label in it.
        """
        target = canvas.box[self.axis].start
        source = target - self.step
        if not 0 <= source < canvas.shape[self.axis]:
            raise MeUNetError(
                f"the plane to copy from must lie in the volume, got {source} of "
                f"{canvas.shape[self.axis]}; go to another plane"
            )
        mask = self.seen(canvas.read(self.plane(canvas.box, source)))
        if not mask.any():
            raise MeUNetError(
                f"plane {source} must have label {self.label}, got none of it there; "
                "choose another label or plane"
            )
        before = canvas.read(canvas.box)
        self.draw(canvas, canvas.box, before, mask, old=self.seen(before))
        yield Progress(1, 1, "planes")
