"""From tissues to the grey values of a microCT scan, with the artefacts of one."""

from dataclasses import dataclass, replace
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from napari_meunet.config import Shape
from napari_meunet.training.phantoms.anatomy import Tissue, TissueMap
from napari_meunet.training.phantoms.body import Floats
from napari_meunet.training.phantoms.textures import TILE, Family, textures

GREY: dict[Tissue, tuple[float, float]] = {
    Tissue.AIR: (8, 30),
    Tissue.CUTICLE: (125, 215),
    Tissue.HAEMOLYMPH: (50, 80),
    Tissue.FAT: (75, 135),
    Tissue.MUSCLE: (110, 185),
    Tissue.NERVE: (105, 170),
    Tissue.GUT_WALL: (125, 195),
    Tissue.GUT_CONTENTS: (60, 150),
    Tissue.YOLK: (130, 200),
    Tissue.NURSE_CELLS: (120, 180),
    Tissue.SHEATH: (85, 125),
}
"""Range of the mean grey value. The ranges overlap: grey alone names no tissue."""

ANY_GREY = dict.fromkeys(Tissue, (20.0, 220.0)) | {Tissue.AIR: GREY[Tissue.AIR]}
"""The same of a stain that nobody has used: only air is always dark (our choice)."""

Stain = Literal["usual", "any"]
"""Which tissues are bright."""

GRAIN: dict[Tissue, tuple[float, float, float, float]] = {
    Tissue.AIR: (1, 0, 0, 0),
    Tissue.CUTICLE: (6, 4, 0, 0),
    Tissue.HAEMOLYMPH: (4, 3, 4, 0),
    Tissue.FAT: (4, 14, 6, 0),
    Tissue.MUSCLE: (3, 2, 3, 9),
    Tissue.NERVE: (3, 4, 4, 0),
    Tissue.GUT_WALL: (5, 6, 4, 0),
    Tissue.GUT_CONTENTS: (4, 8, 14, 0),
    Tissue.YOLK: (9, 5, 3, 0),
    Tissue.NURSE_CELLS: (4, 16, 8, 0),
    Tissue.SHEATH: (3, 3, 0, 0),
}
"""Deviation of the grey value by each of `WIDTHS`."""


SPECIMEN_CHANGE = 0.03
"""Deviation of a tissue's grey value from fly to fly in one scanner (our choice)."""


@dataclass(frozen=True)
class Scanner:
    """One scan's random settings; every method is a part of the picture's formation.

    Attributes
    ----------
    shape
        Voxels of the scan along (z, y, x).
    means
        ``(tissues,)``, mean grey value of each tissue.
    grains
        ``(textures, tissues)``, deviation by each texture.
    tiles
        Periodic textures ``(TILE, TILE, TILE)`` of deviation 1.
    blur
        Width of the point spread in voxels.
    noise
        Deviation of the noise at grey value 128; it grows with the grey value.
    noise_width
        Correlation of the noise within a plane, in voxels.
    cupping
        Part of the intensity that beam hardening takes from the axis.
    rings
        ``(waves, radii)``, amplitude of each concentric ring.
    waves
        ``(waves, 2)``, frequency and phase of the rings' change along z.
    """

    shape: Shape
    means: Floats
    grains: Floats
    tiles: tuple[Floats, ...]
    blur: float
    noise: float
    noise_width: float
    cupping: float
    rings: Floats
    waves: NDArray[np.float64]

    def margin(self) -> int:
        """Return the planes on either side that the blur of a plane needs."""
        return int(4 * self.blur + 0.5)

    def for_specimen(self, rng: np.random.Generator) -> Self:
        """Return the scanner as it takes another specimen, stained a little otherwise.

        Contrast, sharpness and the strength of every artefact stay; the grey values
        differ by `SPECIMEN_CHANGE`, and textures and rings lie elsewhere.
        """
        change = rng.normal(1, SPECIMEN_CHANGE, self.means.shape)
        return replace(
            self,
            means=(self.means * change).astype(np.float32),
            tiles=tuple(
                np.roll(t, rng.integers(TILE, size=3), (0, 1, 2)) for t in self.tiles
            ),
            rings=self.rings
            * rng.choice((-1, 1), (len(self.rings), 1)).astype(np.float32),
            waves=np.column_stack([rng.uniform(0, 2, 3), rng.uniform(0, 1, 3)]),
        )

    def paint(self, tissue: TissueMap, start: int) -> Floats:
        """Return the attenuation of tissue planes that begin at plane `start`."""
        z, y, x = np.ogrid[tuple(slice(n) for n in tissue.shape)]
        # Sheared along z, so that no plane shows the period of the textures.
        sheared = (start + z + y // 5 + x // 3) % TILE
        index = sheared * TILE**2 + y % TILE * TILE + x % TILE
        grey = self.means.take(tissue)
        for grain, tile in zip(self.grains, self.tiles, strict=True):
            grey += grain.take(tissue) * tile.take(index)
        blurred: Floats = gaussian_filter(grey, self.blur, truncate=4)
        return blurred

    def expose(self, grey: Floats, start: int, rng: np.random.Generator) -> Floats:
        """Add cupping, rings and noise to planes that begin at plane `start`."""
        y, x = (np.arange(n, dtype=np.float32) - (n - 1) / 2 for n in self.shape[1:])
        radius = np.hypot(y[:, None], x)
        part = np.square(radius / (max(self.shape[1:]) / 2)).clip(max=1)
        grey = grey * (1 - self.cupping * (1 - part))
        z = (start + np.arange(len(grey)))[:, None] / self.shape[0]
        change = np.cos(2 * np.pi * (self.waves[:, 0] * z + self.waves[:, 1]))
        profile = (change @ self.rings).astype(np.float32)
        grey += profile[:, radius.astype(int)]
        noise = rng.standard_normal(grey.shape, np.float32)
        width = self.noise_width
        noise = gaussian_filter(noise, (0, width, width))
        noise *= self.noise / noise.std()
        grey += noise * np.sqrt(0.3 + 0.7 * grey.clip(0) / 128)
        return grey


def set_up_scanner(
    shape: Shape,
    rng: np.random.Generator,
    family: Family = "noise",
    stain: Stain = "usual",
) -> Scanner:
    """Return a scanner with random contrast, sharpness, noise and artefacts.

    Textures of another family replace those of the default one, and nothing else; so
    do the mean grey values of another stain.
    """
    gain, offset = rng.uniform(0.85, 1.1), rng.uniform(0, 8)
    grey = GREY if stain == "usual" else ANY_GREY
    means = [offset + gain * rng.uniform(*grey[tissue]) for tissue in Tissue]
    grains = np.array([GRAIN[tissue] for tissue in Tissue]).T
    grains = gain * grains * rng.uniform(0.6, 1.3, grains.shape)
    radii = int(np.hypot(*shape[1:]) / 2) + 1
    strong = rng.random(radii) < 0.1
    rings = rng.normal(0, 1, (3, radii)) * np.where(strong, 3, 1)
    scanner = Scanner(
        shape=shape,
        means=np.array(means, np.float32),
        grains=grains.astype(np.float32),
        tiles=textures("noise", rng),
        blur=rng.uniform(0.4, 0.9),
        noise=rng.uniform(3, 16),
        noise_width=rng.uniform(0, 0.6),
        cupping=rng.uniform(0, 0.2),
        rings=(rings * rng.uniform(0, 2)).astype(np.float32),
        waves=np.column_stack([rng.uniform(0, 2, 3), rng.uniform(0, 1, 3)]),
    )
    if family == "noise":
        return scanner
    return replace(scanner, tiles=textures(family, rng.spawn(1)[0]))
