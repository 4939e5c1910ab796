"""Surface meshes of real fly organs, as solid voxels."""

import gzip
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from napari_meunet.config import Shape
from napari_meunet.errors import MeUNetError

Split = Literal["train", "validation", "test"]
Mesh = tuple[NDArray[np.float64], NDArray[np.intp]]
"""Vertices ``(n, 3)`` and triangles ``(m, 3)`` of vertex numbers."""


def fly_names(organs: Path, split: Split) -> list[str]:
    """Return the flies of a split, by the name of their mesh without suffixes.

    The names are sorted and shuffled with ``default_rng(2022)``; the first 70 % are
    for training, the next 10 % for validation, the others for the test.

    Parameters
    ----------
    organs
        Folder with ``gut/NAME.obj.gz`` and ``ovary/NAME.obj.gz``.
    split
        Which part of the flies.

    Raises
    ------
    MeUNetError
        If the split has no fly with both organs.
    """
    guts, ovaries = (
        {path.name.removesuffix(".obj.gz") for path in (organs / organ).glob("*.gz")}
        for organ in ("gut", "ovary")
    )
    names = sorted(guts & ovaries)
    np.random.default_rng(2022).shuffle(names)
    train, validation = int(0.7 * len(names)), int(0.8 * len(names))
    parts = {
        "train": names[:train],
        "validation": names[train:validation],
        "test": names[validation:],
    }
    if not parts[split]:
        raise MeUNetError(
            f"organs must hold gut/NAME.obj.gz and ovary/NAME.obj.gz of several flies, "
            f"got {len(names)} in {organs}; choose another folder"
        )
    return parts[split]


def read_obj(path: Path) -> Mesh:
    """Return vertices and triangles of a gzipped Wavefront OBJ file."""
    vertices, triangles = [], []
    with gzip.open(path, "rt", encoding="ascii", errors="replace") as lines:
        for line in lines:
            kind, *fields = line.split() or [""]
            if kind == "v":
                vertices.append([float(field) for field in fields[:3]])
            elif kind == "f":
                triangles.append([int(field.split("/")[0]) - 1 for field in fields])
    return np.array(vertices), np.array(triangles, np.intp)


def voxelise(mesh: Mesh, shape: Shape) -> NDArray[np.bool_]:
    """Return the voxels ``(z, y, x)`` whose centres lie inside a closed mesh.

    By the divergence theorem, the area of surface that a line of voxels crosses,
    signed by the direction of the normal along z, sums to one from outside to inside
    and back to zero. So the surface is cut into pieces smaller than a voxel, each
    leaves its signed area where it lies, and the running sum along z fills the solid,
    cavities and touching folds included.

    Parameters
    ----------
    mesh
        Vertices in voxels (z, y, x). Every edge must have an even number of
        triangles, all wound the same way; which way does not matter.
    shape
        Voxels of the result.
    """
    vertices, triangles = mesh
    flux = np.zeros(shape, np.float32)
    corners = vertices[triangles]
    edges = corners - np.roll(corners, 1, axis=1)
    longest = np.sqrt(np.square(edges).sum(axis=2)).max(axis=1)
    pieces = np.ceil(longest * 3).astype(int).clip(1)
    for n in np.unique(pieces):
        deposit(flux, corners[pieces == n], int(n))
    inside = np.cumsum(flux, axis=0, out=flux)
    return np.abs(inside) > 0.5


def deposit(flux: NDArray[np.float32], corners: NDArray[np.float64], n: int) -> None:
    """Add the signed area along z of triangles ``(m, 3, 3)``, each cut into n x n."""
    a, b, c = corners[:, 0], corners[:, 1], corners[:, 2]
    normal = np.cross(b - a, c - a)[:, 0] / 2 / n**2
    i, j = np.divmod(np.arange(n * n), n)
    # Cells (i, j) above the diagonal are the mirror pieces of those below it.
    upper = i + j >= n
    u = np.where(upper, n - i - 1 / 3, i + 1 / 3) / n
    v = np.where(upper, n - j - 1 / 3, j + 1 / 3) / n
    points = (
        a[:, None] + u[:, None] * (b - a)[:, None] + v[:, None] * (c - a)[:, None]
    ).reshape(-1, 3)
    index = np.column_stack([np.ceil(points[:, 0]), np.rint(points[:, 1:])]).astype(int)
    index[:, 0] = index[:, 0].clip(0)
    kept = (index < flux.shape).all(axis=1) & (index >= 0).all(axis=1)
    np.add.at(flux, tuple(index[kept].T), np.repeat(normal, n * n)[kept])
