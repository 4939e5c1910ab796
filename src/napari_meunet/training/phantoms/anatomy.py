"""The tissues of a phantom fly."""

from enum import IntEnum
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import (
    distance_transform_edt,
    find_objects,
    gaussian_filter,
    maximum_filter,
)
from scipy.spatial import cKDTree

from napari_meunet.config import Shape
from napari_meunet.training.phantoms.body import (
    Body,
    Box,
    Ellipsoid,
    Floats,
    Frame,
    grow_body,
)
from napari_meunet.training.phantoms.enlarge import spline
from napari_meunet.training.phantoms.organs import (
    Mask,
    Organs,
    grow_organs,
    real_organs,
    resample,
    tube,
)

TissueMap = NDArray[np.uint8]


class Tissue(IntEnum):
    """What a voxel is made of."""

    AIR = 0
    CUTICLE = 1
    HAEMOLYMPH = 2
    FAT = 3
    MUSCLE = 4
    NERVE = 5
    GUT_WALL = 6
    GUT_CONTENTS = 7
    YOLK = 8
    NURSE_CELLS = 9
    SHEATH = 10


def draw_anatomy(
    frame: Frame, rng: np.random.Generator, organs: tuple[Path, str] | None
) -> TissueMap:
    """Return the tissues ``(z, y, x)`` of a random fly.

    Parameters
    ----------
    frame
        Where the fly lies.
    rng
        Draws everything else.
    organs
        Folder and name of a real fly whose gut and ovaries are used; None grows them.
    """
    coordinates = frame.coordinates()
    body = grow_body(rng)
    depth = body.depth(coordinates)
    tissue = np.zeros(frame.shape, np.uint8)
    draw_legs(tissue, frame, coordinates, rng)
    tissue[depth > 0] = Tissue.CUTICLE
    inside = depth > body.cuticle
    tissue[inside] = Tissue.HAEMOLYMPH
    draw_fat(tissue, depth, body, rng)
    draw_flight_muscles(tissue, coordinates, body, rng)
    draw_head_and_nerves(tissue, coordinates, body, rng)
    draw_tracheae(tissue, frame, coordinates, rng)
    found = (
        grow_organs(frame, coordinates, body, rng)
        if organs is None
        else real_organs(*organs, frame, body, rng)
    )
    found = Organs(found.gut & inside, found.ovary & inside & ~found.gut)
    draw_ovary(tissue, found.ovary, frame, rng)
    draw_gut(tissue, found.gut, frame, rng)
    return tissue


def draw_legs(
    tissue: TissueMap, frame: Frame, coordinates: Floats, rng: np.random.Generator
) -> None:
    """Draw six legs: shells of cuticle around muscle, below the thorax."""
    for side in (-1, 1):
        for hip in (-1.35, -1.0, -0.65):
            knots = np.array(
                [
                    [hip, side * 0.3, -0.5],
                    [hip + 0.1, side * 0.55, -0.8],
                    [hip + 0.5, side * 0.6, -0.85],
                    [hip + 1.1, side * 0.35, -0.95],
                ]
            )
            path = resample(knots + rng.normal(0, 0.06, knots.shape), 0.03)
            radii = np.linspace(0.1, 0.03, len(path))
            tissue[tube(frame, coordinates, path, radii)] = Tissue.CUTICLE
            tissue[tube(frame, coordinates, path, radii - 0.025)] = Tissue.MUSCLE


def smooth_noise(shape: Shape, width: float, rng: np.random.Generator) -> Floats:
    """Return noise ``(z, y, x)`` of deviation about 1 that varies over `width` voxels.

    It is drawn on every fourth voxel, which is fine enough for widths above four.
    """
    coarse = [-(-(n - 1) // 4) + 4 for n in shape]
    noise = rng.standard_normal(coarse, np.float32)
    noise = gaussian_filter(noise, width / 4, mode="wrap")
    noise /= noise.std()
    for axis, n in enumerate(shape):
        noise = spline(n, 4).along(axis, noise)
    return noise


def draw_fat(
    tissue: TissueMap, depth: Floats, body: Body, rng: np.random.Generator
) -> None:
    """Draw lobes of fat, mostly under the cuticle."""
    lobes = smooth_noise(tissue.shape, max(tissue.shape) / 48, rng)
    bound = rng.uniform(-0.3, 0.4) + 4 * (depth - body.cuticle - 0.02)
    tissue[(depth > body.cuticle + 0.02) & (lobes > bound)] = Tissue.FAT


def draw_flight_muscles(
    tissue: TissueMap, coordinates: Floats, body: Body, rng: np.random.Generator
) -> None:
    """Draw bundles in the thorax: lengthwise beside the midline, upright outside."""
    # A gentle warp keeps the bundles from looking ruled.
    width = max(tissue.shape) / 24
    s, v, w = (
        axis + np.float32(0.03) * smooth_noise(tissue.shape, width, rng)
        for axis in coordinates
    )
    room = body.thorax.depth(coordinates) > body.cuticle + 0.05
    v = np.abs(v)
    pitch, gap = rng.uniform(0.14, 0.2), rng.uniform(0.08, 0.16)
    lengthwise = (v > 0.02) & (v < 0.28) & (w > 0.02) & ((w / pitch) % 1 > gap)
    pitch = rng.uniform(0.22, 0.32)
    upright = (v > 0.31) & (((s + 0.3 * w) / pitch) % 1 > gap)
    tissue[room & (lengthwise | upright)] = Tissue.MUSCLE


def draw_head_and_nerves(
    tissue: TissueMap, coordinates: Floats, body: Body, rng: np.random.Generator
) -> None:
    """Draw the brain, the nerve centre of the thorax and the thick compound eyes."""
    head = body.head
    for side in (-1, 1):
        centre = head.centre + np.array([-0.05, side * 0.62, 0])
        eye = Ellipsoid(centre, np.array([0.3, 0.34, 0.5])).depth(coordinates) > 0
        tissue[eye & (tissue > Tissue.AIR)] = Tissue.CUTICLE
    size = rng.uniform(0.85, 1.1)
    brain = [
        Ellipsoid(head.centre + np.array([0, v, 0]), size * np.array(radii))
        for v, radii in (
            (-0.12, (0.14, 0.15, 0.18)),
            (0.12, (0.14, 0.15, 0.18)),
            (-0.3, (0.1, 0.09, 0.18)),
            (0.3, (0.1, 0.09, 0.18)),
        )
    ]
    ganglion = Ellipsoid(np.array([-1.0, 0, -0.47]), size * np.array([0.42, 0.13, 0.1]))
    for part in (*brain, ganglion):
        tissue[(part.depth(coordinates) > 0) & (tissue > Tissue.CUTICLE)] = Tissue.NERVE


def draw_tracheae(
    tissue: TissueMap, frame: Frame, coordinates: Floats, rng: np.random.Generator
) -> None:
    """Draw air tubes and air sacs inside the body."""
    for _ in range(rng.integers(10, 20)):
        start = rng.uniform([-1.5, -0.5, -0.5], [1.4, 0.5, 0.5])
        steps = rng.normal(0, 1, (4, 3)) * (0.25, 0.12, 0.12)
        path = resample(start + np.cumsum(steps, axis=0), 0.02)
        bulge = 1 + 1.5 * np.square(np.sin(np.linspace(0, np.pi, len(path))))
        radii = rng.uniform(0.012, 0.035) * bulge
        air = tube(frame, coordinates, path, radii)
        tissue[air & (tissue > Tissue.CUTICLE)] = Tissue.AIR


def depth_inside(mask: Mask, frame: Frame) -> tuple[Box, Floats]:
    """Return the box that holds a mask and, in it, the way to the nearest outside."""
    (box,) = find_objects(mask.astype(np.uint8))
    padded = np.pad(mask[box], 1)
    depth = distance_transform_edt(padded, sampling=frame.voxel_size())
    return box, depth[1:-1, 1:-1, 1:-1].astype(np.float32)


def draw_ovary(
    tissue: TissueMap, ovary: Mask, frame: Frame, rng: np.random.Generator
) -> None:
    """Draw egg chambers of yolk or nurse cells with thin sheaths between them.

    A chamber is what lies nearest to one of the deepest places of the ovary.
    """
    box, depth = depth_inside(ovary, frame)
    depth += rng.random(depth.shape, np.float32) * np.float32(1e-4)  # no ties
    reach = np.ceil(0.07 / frame.voxel_size()).astype(int)
    deepest = (depth == maximum_filter(depth, 2 * reach + 1)) & (depth > 0.03)
    size = frame.voxel_size() * (0.7, 1, 1)  # chambers are longer than wide
    centres = np.argwhere(deepest) * size
    distance, nearest = cKDTree(centres).query(np.argwhere(ovary[box]) * size, k=2)
    nursing = rng.random(len(centres) + 1) < rng.uniform(0.2, 0.5)
    chamber = np.where(nursing[nearest[:, 0]], Tissue.NURSE_CELLS, Tissue.YOLK)
    sheath = distance[:, 1] - distance[:, 0] < rng.uniform(0.015, 0.035)
    tissue[box][ovary[box]] = np.where(sheath, Tissue.SHEATH, chamber)


def draw_gut(
    tissue: TissueMap, gut: Mask, frame: Frame, rng: np.random.Generator
) -> None:
    """Draw the gut: its outer layer is wall, the rest contents."""
    box, depth = depth_inside(gut, frame)
    # At least a voxel along every axis, so that the wall is closed.
    wall = max(rng.uniform(0.03, 0.05), 1.01 * frame.voxel_size().max())
    part = tissue[box]
    part[gut[box]] = Tissue.GUT_WALL
    part[depth > wall] = Tissue.GUT_CONTENTS
