"""What of a mask hangs together, found slab by slab.

Every slab is labelled by itself, and what touches across the face between two slabs is
one piece. So a piece may be as large as the volume, and no more than a slab is in
memory.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import generate_binary_structure, label
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from napari_meunet.config import Shape

Mask = NDArray[np.bool]
Faces = tuple[tuple[bool, bool], tuple[bool, bool], tuple[bool, bool]]
Ids = NDArray[np.int32]
"""Of the parts of a slab that hang together, from 1 on; 0 is not in the mask."""


@dataclass(frozen=True, eq=False)
class Pieces:
    """The pieces of a mask, and others of no voxels, which stand for what is around it.

    Attributes
    ----------
    of_slab
        For every slab, to which piece each of its ids belongs, ``(n_ids + 1,)``.
    voxels
        How many each piece has, ``(n_pieces,)``.
    is_open
        Which pieces touch one of the `faces`, ``(n_pieces,)``.
    seeded
        The piece with the seed, if there is one.
    """

    of_slab: list[NDArray[np.int32]]
    voxels: NDArray[np.int64]
    is_open: Mask
    seeded: int


class Survey:
    """Finds the pieces of a mask that comes slab by slab.

    Parameters
    ----------
    connectivity
        1 joins voxels that share a face, 3 those that share a corner, too.
    faces
        Those that matter, for each of (z, y, x): whether the first and the last plane.
    """

    def __init__(self, connectivity: int, faces: Faces) -> None:
        self._structure = generate_binary_structure(3, connectivity)
        self._faces = faces
        self._starts = [0]  # ids of all slabs are counted through from here
        self._voxels: list[NDArray[np.int64]] = []  # for every slab, of each id
        self._is_open: list[Mask] = []
        self._touching: list[NDArray[np.int64]] = []
        self._seed = 0
        self._last: Ids | None = None

    def ids(self, mask: Mask) -> Ids:
        """Return the ids of a slab ``(z, y, x)``, the same ones for the same mask."""
        ids: Ids = label(mask, self._structure, output=np.int32)[0]
        return ids

    def add(self, mask: Mask, seed: Shape | None = None) -> None:
        """Take in the next slab; the seed is a voxel of it along (z, y, x)."""
        ids = self.ids(mask)
        voxels = np.bincount(ids.ravel())
        voxels[0] = 0
        is_open = np.zeros(len(voxels), bool)
        for axis in (1, 2):
            for end in (0, -1):
                if self._faces[axis][end]:
                    is_open[np.take(ids, end, axis)] = True
        if self._last is not None:
            pairs = _touching(self._last, ids[0], self._structure[0])
            self._touching.append(pairs + np.array(self._starts[-2:]))
        elif self._faces[0][0]:
            is_open[ids[0]] = True
        if seed is not None:
            self._seed = self._starts[-1] + int(ids[seed])
        self._voxels.append(voxels)
        self._is_open.append(is_open)
        self._starts.append(self._starts[-1] + len(voxels))
        self._last = ids[-1].copy()

    def pieces(self) -> Pieces:
        """Return the pieces of all slabs, after the last one."""
        is_open = np.concatenate(self._is_open)
        if self._last is not None and self._faces[0][1]:
            is_open[self._starts[-2] + self._last] = True
        n_ids = self._starts[-1]
        a, b = np.concatenate([np.empty((0, 2), np.int64), *self._touching]).T
        graph = coo_array((np.ones(len(a), bool), (a, b)), (n_ids, n_ids))
        _, piece = connected_components(graph, directed=False)
        voxels = np.bincount(piece, weights=np.concatenate(self._voxels))
        return Pieces(
            of_slab=np.split(piece, self._starts[1:-1]),
            voxels=voxels.astype(np.int64),
            is_open=np.bincount(piece, weights=is_open) > 0,
            seeded=int(piece[self._seed]),
        )


def _touching(above: Ids, below: Ids, structure: Mask) -> NDArray[np.int64]:
    """Return the ids of two planes that touch ``(n, 2)``, each pair once.

    Parameters
    ----------
    above, below
        Ids ``(y, x)``.
    structure
        Which voxels below touch one above, ``(3, 3)``.
    """
    y, x = above.shape
    n = int(below.max(initial=0)) + 1
    pairs = []  # as one number each: many times faster to sort than rows of two
    for dy, dx in np.argwhere(structure) - 1:
        here = slice(max(0, -dy), y - max(0, dy)), slice(max(0, -dx), x - max(0, dx))
        there = slice(max(0, dy), y - max(0, -dy)), slice(max(0, dx), x - max(0, -dx))
        a, b = above[here].astype(np.int64), below[there]
        pairs.append(np.unique((a * n + b)[(a > 0) & (b > 0)]))
    return np.stack(np.divmod(np.unique(np.concatenate(pairs)), n), axis=1)
