"""A few voxels of a scan that stand for all of them."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_meunet.volume.volume import Volume


@dataclass(frozen=True)
class Sample:
    """Planes of a scan, and of each plane every n-th voxel along y and x.

    Attributes
    ----------
    voxels
        ``(z, y, x)``, in the data type of the scan; or means of n x n voxels, float32.
    places
        Where they lie in the scan, or begin to, along each axis.
    """

    voxels: NDArray[Any] = field(repr=False)
    places: tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]


def read_sample(
    volume: Volume, n_planes: int, n_voxels: int, *, averaged: bool = False
) -> Sample:
    """Return a sample that depends on the shape alone, not on the format.

    Parameters
    ----------
    volume
        The scan.
    n_planes
        At most so many planes, evenly spaced from the first to the last.
    n_voxels
        In each plane every n-th voxel along y and x, with n as small as keeps the
        sample within about so many.
    averaged
        Whether the means of n x n voxels are taken, so that nothing thin is missed.
    """
    z, y, x = volume.shape
    n_planes = min(n_planes, z)
    step = max(1, int(np.ceil(np.sqrt(n_planes * y * x / n_voxels))))
    planes = np.linspace(0, z - 1, n_planes).round().astype(np.intp)
    rows, columns = np.arange(0, y, step), np.arange(0, x, step)
    dtype = np.float32 if averaged else volume.dtype
    rng = np.random.default_rng(0)
    voxels = np.empty((n_planes, len(rows), len(columns)), dtype)
    for plane, number in zip(voxels, planes.tolist(), strict=True):
        read = volume.read(number, number + 1)[0]
        plane[:] = _means(read, step, rng) if averaged else read[::step, ::step]
    return Sample(voxels, (planes, rows, columns))


def _means(
    plane: NDArray[Any], step: int, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Return the means of squares; what is missing at the ends is repeated."""
    if plane.dtype.kind in "iu":
        # a number between two whole ones, so that means of few voxels are no comb
        plane = plane + rng.random(plane.shape, np.float32) - np.float32(0.5)
    missing = [(0, -size % step) for size in plane.shape]
    padded = np.pad(plane.astype(np.float32), missing, mode="edge")
    y, x = (size // step for size in padded.shape)
    means: NDArray[np.float32] = padded.reshape(y, step, x, step).mean((1, 3))
    return means
