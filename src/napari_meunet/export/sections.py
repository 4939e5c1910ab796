"""Three orthogonal planes through a volume that is read plane by plane."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_meunet.config import Shape
from napari_meunet.volume.volume import Planes

_SAMPLES = 128
"""Planes, rows and columns that are looked at to find the labelled part."""


@dataclass(frozen=True, slots=True)
class Sections:
    """Planes through one voxel of a volume; rows come first.

    Attributes
    ----------
    xy
        ``(y, x)``.
    xz
        ``(z, x)``; z may be sampled.
    zy
        ``(y, z)``; z is sampled as in `xz`.
    """

    xy: NDArray[Any]
    xz: NDArray[Any]
    zy: NDArray[Any]


def cut_sections(planes: Planes, at: Shape, step: int) -> Sections:
    """Return the sections through a voxel, with every `step`-th plane along z.

    Whole planes are read one at a time, because scans are stored that way.
    """
    z, y, x = at
    rows, columns = [], []
    for index in range(0, planes.shape[0], step):
        plane = _plane(planes, index)
        rows.append(np.array(plane[y]))  # copies, so that the plane can go
        columns.append(np.array(plane[:, x]))
    return Sections(
        xy=_plane(planes, z), xz=np.stack(rows), zy=np.stack(columns, axis=1)
    )


def labelled_centre(labels: Planes) -> Shape:
    """Return the median position of labelled voxels, from a coarse sample.

    The middle of the volume if the sample finds no label.
    """
    steps = [max(1, n // _SAMPLES) for n in labels.shape]
    planes = range(0, labels.shape[0], steps[0])
    # one plane at a time: the coarse sample of a huge section is read, not held
    sample = np.stack(
        [_plane(labels, z)[:: steps[1], :: steps[2]] != 0 for z in planes]
    )
    if not sample.any():
        z, y, x = (n // 2 for n in labels.shape)
        return z, y, x
    z, y, x = (
        int(np.median(places)) * step
        for places, step in zip(np.nonzero(sample), steps, strict=True)
    )
    return z, y, x


def _plane(planes: Planes, z: int) -> NDArray[Any]:
    plane: NDArray[Any] = np.asarray(planes[z : z + 1])[0]
    return plane
