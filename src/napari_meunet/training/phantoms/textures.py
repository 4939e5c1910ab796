"""What tissues are made of: random textures without a border, in families."""

from collections.abc import Callable
from typing import Literal

import numpy as np
from scipy.ndimage import gaussian_filter
from scipy.spatial import KDTree

from napari_meunet.training.phantoms.body import Floats

TILE = 96
"""Edge of the periodic textures in voxels."""

WIDTHS = ((0.8, 0.8, 0.8), (1.5, 1.5, 1.5), (3, 3, 3), (5, 0.9, 0.9))
"""Of the textures: grains, granules, lumps and fibres along z."""

Width = tuple[float, float, float]
"""Along (z, y, x), in voxels."""

Family = Literal["noise", "cells"]
"""How textures are made."""

CELL = 3.0
"""Edge of a cube as large as the mean cell, in widths (our choice)."""


def filtered_noise(width: Width, rng: np.random.Generator) -> Floats:
    """Return filtered noise of deviation 1 that continues across its borders."""
    noise = rng.standard_normal((TILE, TILE, TILE), np.float32)
    texture: Floats = gaussian_filter(noise, width, mode="wrap")
    texture /= texture.std()
    return texture


def packed_cells(width: Width, rng: np.random.Generator) -> Floats:
    """Return cells with bright walls, mean 0 and deviation 1, without a border.

    The grey value is the distance to the nearest of random centres: Worley, "A
    cellular texture basis function", SIGGRAPH 1996.
    """
    size = TILE / (CELL * np.array(width))  # of the tile, in cells
    centres = rng.random((round(size.prod()), 3)) * size
    voxels = np.indices((TILE, TILE, TILE)).reshape(3, -1).T * (size / TILE)
    distances, _ = KDTree(centres, boxsize=size).query(voxels)
    texture = distances.reshape(TILE, TILE, TILE).astype(np.float32)
    normalised: Floats = (texture - texture.mean()) / texture.std()
    return normalised


FAMILIES: dict[Family, Callable[[Width, np.random.Generator], Floats]] = {
    "noise": filtered_noise,
    "cells": packed_cells,
}


def textures(family: Family, rng: np.random.Generator) -> tuple[Floats, ...]:
    """Return a texture ``(TILE, TILE, TILE)`` of every width."""
    return tuple(FAMILIES[family](width, rng) for width in WIDTHS)
