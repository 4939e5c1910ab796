"""Labels of a scan from the logits of a reduced one, smooth, slab by slab.

The probabilities of the classes are interpolated linearly between the centres of the
large voxels, and every voxel of the scan gets the likeliest class: surfaces run
between large voxels rather than around them. Beyond the outermost centres, the
probabilities stay as they are there. Confidence is that of the large voxels,
interpolated likewise: between two that are sure of different labels, the network is no
less sure, though the probabilities are even.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from napari_meunet.config import Shape
from napari_meunet.inference.streaming.labelling import Bands, Labelled, likeliest
from napari_meunet.inference.streaming.schedule import BLOCK


@dataclass(frozen=True, slots=True)
class Enlargement:
    """What is made larger, and how much.

    Attributes
    ----------
    factors
        Voxels of the scan in a large one, along (z, y, x).
    inside
        Large voxels along (z, y, x), from the first one of the stream on, that lie in
        the scan.
    slab
        Planes of large voxels that come at once.
    section
        Large voxels along (y, x), multiples of `BLOCK`.
    n_classes
        With the background.
    """

    factors: Shape
    inside: Shape
    slab: int
    section: tuple[int, int]
    n_classes: int


class Enlarging:
    """Labels the voxels within large ones.

    A plane needs the next one, and labels come in whole blocks: so they trail.

    Parameters
    ----------
    task
        What is made larger.
    device
        Where the logits are.
    """

    delay = BLOCK

    def __init__(self, task: Enlargement, device: torch.device) -> None:
        self._task = task
        self._waiting = BLOCK + 1  # planes that are needed again
        # the probabilities of the classes, and the greatest of them
        shape = task.slab + self._waiting, task.n_classes + 1, *task.section
        self._known = torch.zeros(shape, device=device)

    def labelled(self, plane: int, bands: Bands) -> Labelled:
        """Return the labels of planes that begin `delay` before `plane`."""
        self._take(bands)
        task, device = self._task, self._known.device
        by_z, by_y, by_x = task.factors
        z, (y, x) = task.slab * by_z, task.section
        labels = torch.empty((z, y * by_y, x * by_x), dtype=torch.uint8, device=device)
        blocks = [n // BLOCK for n in labels.shape]
        sure = torch.zeros(blocks, device=device)
        if plane + task.slab <= self.delay:  # before the volume
            return Labelled(labels, sure)
        for i, known in enumerate(self._planes(plane)):
            *probabilities, greatest = _enlarged(known, (by_y, by_x))
            labels[i] = likeliest(probabilities)[0]
            sure[i // BLOCK] += functional.avg_pool2d(greatest[None], BLOCK)[0]
        return Labelled(labels, sure / BLOCK)

    def _take(self, bands: Bands) -> None:
        """Keep probabilities, and those at the ends of rows and columns once more."""
        waiting = self._known[-self._waiting :].clone()
        self._known[: self._waiting] = waiting
        for rows, logits in bands:
            probabilities = logits.softmax(0, dtype=torch.float32).movedim(0, 1)
            self._known[self._waiting :, :-1, rows] = probabilities
            self._known[self._waiting :, -1, rows] = probabilities.amax(1)
        _, y, x = self._task.inside
        self._known[:, :, y : y + 1] = self._known[:, :, y - 1 : y]
        self._known[..., x : x + 1] = self._known[..., x - 1 : x]

    def _planes(self, plane: int) -> Iterator[Tensor]:
        """Yield ``(n_classes + 1, y, x)`` for the planes of the scan."""
        first, last = plane - self._waiting, self._task.inside[0] - 1
        by_z = self._task.factors[0]

        def known(number: int) -> Tensor:
            place = max(0, min(number, last)) - first
            # planes that are not there have no meaning, and need none
            return self._known[max(0, min(place, len(self._known) - 1))]

        for number in range(plane - BLOCK, plane - BLOCK + self._task.slab):
            for i in range(by_z):
                place = (i + 0.5) / by_z - 0.5  # from the centre of the large voxel
                neighbour = known(number + (1 if place > 0 else -1))
                yield torch.lerp(known(number), neighbour, abs(place))


def _enlarged(known: Tensor, factors: tuple[int, int]) -> Tensor:
    if factors == (1, 1):
        return known
    larger: Tensor = functional.interpolate(
        known[None], scale_factor=factors, mode="bilinear", align_corners=False
    )
    return larger[0]
