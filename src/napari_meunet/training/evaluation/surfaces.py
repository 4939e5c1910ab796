"""How far the surfaces of labels and a reference lie apart, for volumes of any size.

Only the surfaces are held in memory, as coordinates: about the power 2/3 of the voxels.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

from napari_meunet.training.evaluation.metrics import require_same_shape
from napari_meunet.training.label_values import IGNORE, checked
from napari_meunet.volume.volume import Planes

OUTSIDE = -1
"""Stands for the voxels around the volume, which have no class."""

NOWHERE: NDArray[np.int32] = np.empty((0, 3), np.int32)


@dataclass(frozen=True, eq=False)
class SurfaceDistances:
    """Distances between two surfaces, both ways.

    Attributes
    ----------
    to_reference
        For every surface voxel of the labels the distance in micrometres to the
        nearest surface voxel of the reference; empty if the class has no surface
        there or here.
    to_labels
        The other way round.
    n_labels, n_reference
        Surface voxels of each.
    """

    to_reference: NDArray[np.float64]
    to_labels: NDArray[np.float64]
    n_labels: int
    n_reference: int

    def hausdorff(self, percentile: float = 95) -> float | None:
        """Return the greater of the two directed distances at a percentile.

        In micrometres; 95 gives the usual HD95, 100 the Hausdorff distance. None if
        the class has no surface in one of them: then there is no distance.
        """
        if not (self.n_labels and self.n_reference):
            return None
        return max(
            float(np.percentile(distances, percentile))
            for distances in (self.to_reference, self.to_labels)
        )

    def surface_dice(self, tolerance: float) -> float | None:
        """Return the fraction of both surfaces within `tolerance` micrometres.

        Nikolov et al., "Deep learning to achieve clinically applicable segmentation of
        head and neck anatomy for radiotherapy", arXiv:1809.04430, with a voxel of
        the surface as the unit of its area. None if there are no surfaces.
        """
        total = self.n_labels + self.n_reference
        if not total:
            return None
        near = (self.to_reference <= tolerance).sum()
        near += (self.to_labels <= tolerance).sum()
        return float(near / total)


NO_SURFACES = SurfaceDistances(np.empty(0), np.empty(0), 0, 0)
"""Of a class that is absent, or ends nowhere as far as there are labels."""


def surface_distances(
    labels: Planes, reference: Planes, spacing: tuple[float, float, float]
) -> dict[int, SurfaceDistances]:
    """Return the distances between the surfaces of every class above 0 that has one.

    Parameters
    ----------
    labels, reference
        Integers 0 to 255 ``(z, y, x)`` of one shape; three planes are held at a time.
    spacing
        Micrometres a voxel along (z, y, x).

    Raises
    ------
    MeUNetError
        If the shapes differ or a value is not an integer from 0 to 255.
    """
    require_same_shape(labels, reference)
    here, there = surface_voxels(labels), surface_voxels(reference)
    return {
        value: _distances(
            here.get(value, NOWHERE) * np.array(spacing),
            there.get(value, NOWHERE) * np.array(spacing),
        )
        for value in sorted(here.keys() | there.keys())
    }


def surface_voxels(labels: Planes) -> dict[int, NDArray[np.int32]]:
    """Return the positions ``(n, 3)`` of each class's voxels that touch another class.

    Six neighbours count, and only voxels with a label do (`IGNORE`). A class that the
    edge of the scan cuts off has a surface there, too.
    """
    outside = np.full(np.add(labels.shape[1:], 2), OUTSIDE, np.int16)
    found: dict[int, list[NDArray[np.int32]]] = {}
    below, plane = outside, _framed(labels, 0)
    for z in range(labels.shape[0]):
        above = _framed(labels, z + 1) if z + 1 < labels.shape[0] else outside
        values = plane[1:-1, 1:-1]
        neighbours = (
            below[1:-1, 1:-1],
            above[1:-1, 1:-1],
            plane[:-2, 1:-1],
            plane[2:, 1:-1],
            plane[1:-1, :-2],
            plane[1:-1, 2:],
        )
        touches = np.zeros(values.shape, bool)
        for neighbour in neighbours:
            touches |= (values != neighbour) & (neighbour != IGNORE)
        y, x = np.nonzero(touches & (values > 0) & (values != IGNORE))
        positions = np.stack((np.full_like(y, z), y, x), axis=1).astype(np.int32)
        for value in np.unique(values[y, x]).tolist():
            found.setdefault(value, []).append(positions[values[y, x] == value])
        below, plane = plane, above
    return {value: np.concatenate(parts) for value, parts in found.items()}


def _framed(labels: Planes, z: int) -> NDArray[np.int16]:
    """Return a plane with a frame of `OUTSIDE` around it."""
    plane = checked(labels[z]).astype(np.int16)
    return np.pad(plane, 1, constant_values=OUTSIDE)


def _distances(here: NDArray[Any], there: NDArray[Any]) -> SurfaceDistances:
    if not (len(here) and len(there)):
        nothing = np.empty(0)
        return SurfaceDistances(nothing, nothing, len(here), len(there))
    to_reference, _ = KDTree(there).query(here, workers=-1)
    to_labels, _ = KDTree(here).query(there, workers=-1)
    return SurfaceDistances(to_reference, to_labels, len(here), len(there))
