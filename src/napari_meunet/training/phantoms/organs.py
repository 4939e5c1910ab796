"""Gut and ovaries of a phantom fly: grown from random numbers or taken from meshes."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator, make_interp_spline
from scipy.spatial.transform import Rotation

from napari_meunet.training.phantoms.body import Body, Ellipsoid, Floats, Frame
from napari_meunet.training.phantoms.meshes import read_obj, voxelise

Mask = NDArray[np.bool_]
Points = NDArray[np.float64]

UNITS_PER_MM = 1 / 0.69
"""Body units in a millimetre: 470 voxels of 2.95 um are two units."""
GUT_START, GUT_END = -1.45, 1.95
"""Front and end of the midgut and hindgut along the body."""


@dataclass(frozen=True)
class Organs:
    """Solid organs as masks ``(z, y, x)``; they may overlap."""

    gut: Mask
    ovary: Mask


def tube(frame: Frame, coordinates: Floats, path: Points, radii: Points) -> Mask:
    """Return the voxels within ``radii (n,)`` of the points of ``path (n, 3)``."""
    mask = np.zeros(frame.shape, bool)
    for point, radius in zip(path, radii, strict=True):
        box = frame.box(point, np.full(3, radius))
        ball = Ellipsoid(point, np.full(3, radius))
        mask[box] |= ball.depth(coordinates[:, *box]) > 0
    return mask


def run_length(points: Points) -> Points:
    """Return the length of a polyline from its start to each of its points."""
    steps = np.linalg.norm(np.diff(points, axis=0), axis=1)
    return np.concatenate([[0], np.cumsum(steps)])


def resample(knots: Points, step: float) -> Points:
    """Return a smooth curve through ``knots (n, 3)`` with a point every `step`."""
    at = run_length(knots)
    fine = make_interp_spline(at, knots)(np.linspace(0, at[-1], 20 * len(knots)))
    length = run_length(fine)
    even = np.arange(0, length[-1], step)
    return np.column_stack([np.interp(even, length, axis) for axis in fine.T])


def gut_path(rng: np.random.Generator) -> Points:
    """Return a curve from the thorax through coils in the abdomen to the tail."""
    turns = rng.uniform(1.5, 2.6) * rng.choice([-1, 1])
    n_coil = 14
    along = np.linspace(0, 1, n_coil)
    angle = rng.uniform(0, 2 * np.pi) + 2 * np.pi * turns * along
    width = rng.uniform(0.38, 0.55) * np.sin(np.pi * (0.12 + 0.8 * along))
    # The coil runs back and forth a little, as a real midgut does.
    s = rng.uniform(1.0, 1.3) * along + rng.uniform(0, 0.15) * np.sin(2 * angle)
    centre = rng.uniform(-0.1, 0.1, 2)
    coil = np.column_stack(
        [s, centre[0] + width * np.cos(angle), centre[1] + width * np.sin(angle)]
    )
    coil += rng.normal(0, 0.03, coil.shape)
    low = rng.uniform(-0.25, -0.05)
    front = [[GUT_START, 0, low], [-1.0, 0, low], [-0.45, 0, low / 2]]
    rear = [[1.6, 0, 0], [GUT_END, 0, rng.uniform(-0.1, 0.05)]]
    return resample(np.vstack([front, coil, rear]), 0.03)


def gut_radii(n: int, rng: np.random.Generator) -> Points:
    """Return the radius at `n` points: cardia, midgut, hindgut, rectum."""
    places = [0, 0.04, 0.10, 0.2, 0.35, 0.5, 0.65, 0.76, 0.86, 0.94, 1]
    widths = [0.06, 0.12, 0.07, 0.13, 0.15, 0.14, 0.12, 0.08, 0.09, 0.16, 0.05]
    knots = np.array(widths) * rng.uniform(0.85, 1.2, len(widths))
    radii: Points = PchipInterpolator(places, knots)(np.linspace(0, 1, n))
    return radii * rng.uniform(0.95, 1.15)


def pull_inside(path: Points, radii: Points, body: Body) -> Points:
    """Return the path, drawn towards the axis until the tube lies in the body."""
    path = path.copy()
    for _ in range(12):
        out = body.depth_at(path) < radii + body.cuticle + 0.02
        path[out, 1:] *= 0.93
    return path


def ovary_chambers(rng: np.random.Generator) -> list[Ellipsoid]:
    """Return the egg chambers of both ovaries, left and right of the gut."""
    chambers = []
    s, w = rng.uniform(0.3, 0.8), rng.uniform(0.0, 0.25)
    reach = np.array([0.7, 0.26, 0.42]) * rng.uniform(0.85, 1.15, 3)
    for side in (-1, 1):
        centre = np.array([s, side * rng.uniform(0.4, 0.5), w])
        chambers += pack(centre, reach, rng)
    return chambers


def pack(centre: Points, reach: Points, rng: np.random.Generator) -> list[Ellipsoid]:
    """Return ellipsoids that hardly overlap, with their centres in a larger one."""
    stretch = np.array([rng.uniform(1.3, 1.8), 1, 1])
    size = rng.uniform(0.11, 0.15)
    packed: list[Ellipsoid] = []
    for _ in range(250):
        direction = rng.normal(size=3)
        direction *= rng.uniform(0, 1) ** (1 / 3) / np.linalg.norm(direction)
        middle = centre + reach * direction
        ways = [np.linalg.norm((middle - one.centre) / stretch) for one in packed]
        if min(ways, default=np.inf) > 1.45 * size:
            radii = size * rng.uniform(0.8, 1.1) * stretch
            packed.append(Ellipsoid(middle, radii))
    return packed


def grow_organs(
    frame: Frame, coordinates: Floats, body: Body, rng: np.random.Generator
) -> Organs:
    """Return a random gut and random ovaries."""
    path = gut_path(rng)
    radii = gut_radii(len(path), rng)
    gut = tube(frame, coordinates, pull_inside(path, radii, body), radii)
    ovary = np.zeros(frame.shape, bool)
    for chamber in ovary_chambers(rng):
        box = frame.box(chamber.centre, chamber.radii)
        ovary[box] |= chamber.depth(coordinates[:, *box]) > 0
    return Organs(gut, ovary)


def real_organs(
    folder: Path, name: str, frame: Frame, body: Body, rng: np.random.Generator
) -> Organs:
    """Return the gut and ovary of one real fly, placed into a phantom's body.

    Parameters
    ----------
    folder, name
        See `napari_meunet.training.phantoms.meshes.fly_names`. Vertices are in mm with
        the length of the fly along the last axis and both organs in one frame.
    frame, body
        Where the organs go. They are stretched along the body to reach from the
        thorax to the tail, straightened a little, and made slim enough to fit.
    rng
        Draws size, mirror image and a small rotation.
    """
    gut, gut_faces = read_obj(folder / "gut" / f"{name}.obj.gz")
    ovary, ovary_faces = read_obj(folder / "ovary" / f"{name}.obj.gz")
    points = fit_into(body, np.vstack([gut, ovary]), len(gut), rng)
    voxels = frame.voxels(points)
    return Organs(
        voxelise((voxels[: len(gut)], gut_faces), frame.shape),
        voxelise((voxels[len(gut) :], ovary_faces), frame.shape),
    )


def fit_into(body: Body, mm: Points, n_gut: int, rng: np.random.Generator) -> Points:
    """Return vertices ``(n, 3)`` in mm (x, y, z) as body units (s, v, w).

    The first `n_gut` belong to the gut: its front end marks the axis of the thorax.
    """
    x, y, z = (mm - (mm.min(axis=0) + mm.max(axis=0)) / 2).T
    along = (z - z.min()) / np.ptp(z)
    across = np.column_stack([y, x])  # the ovaries lie at high x: the back
    front = across[:n_gut][along[:n_gut] < 0.15].mean(axis=0)
    bend = np.square(np.clip(0.5 - along, 0, None) / 0.5)
    across -= 0.7 * bend[:, None] * front
    across *= UNITS_PER_MM * rng.uniform(1.05, 1.3)
    across[:, 0] *= rng.choice([-1, 1])
    s = GUT_START + along * (GUT_END - GUT_START) + rng.uniform(-0.08, 0.08)
    turn = Rotation.from_rotvec(rng.uniform(-0.15, 0.15) * np.array([1, 0, 0]))
    points: Points = turn.apply(np.column_stack([s, across]))
    inside = body.cuticle + 0.02
    for _ in range(40):
        if np.quantile(body.depth_at(points), 0.02) > inside:
            break
        points[:, 1:] *= 0.97
    return points
