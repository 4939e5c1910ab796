"""Synthetic fly scans with true labels, for samples, tests and training.

The anatomy comes from `napari_meunet.training.phantoms.anatomy`: a grown fly, or one
whose gut and ovaries are the meshes of a real fly. The picture comes from
`napari_meunet.training.phantoms.appearance`. The two share nothing but the tissues.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_meunet.config import LabelClass, Shape
from napari_meunet.errors import MeUNetError
from napari_meunet.training.phantoms.anatomy import Tissue, TissueMap, draw_anatomy
from napari_meunet.training.phantoms.appearance import Stain, set_up_scanner
from napari_meunet.training.phantoms.body import place
from napari_meunet.training.phantoms.enlarge import enlarge
from napari_meunet.training.phantoms.meshes import Split, fly_names
from napari_meunet.training.phantoms.textures import Family

CLASSES = (
    LabelClass(value=0, name="background", color="#000000"),
    LabelClass(value=1, name="gut", color="#e69f00"),
    LabelClass(value=2, name="ovary", color="#56b4e9"),
)
"""The labels of every phantom, in colours that colour-blind people tell apart."""

LABEL_OF_TISSUE = np.zeros(len(Tissue), np.uint8)
LABEL_OF_TISSUE[[Tissue.GUT_WALL, Tissue.GUT_CONTENTS]] = 1
LABEL_OF_TISSUE[[Tissue.YOLK, Tissue.NURSE_CELLS, Tissue.SHEATH]] = 2

SCAN_WIDTH_UM = 470 * 2.951345
"""Width of the box around a fly: 470 voxels of 2.951345 um."""

DRAWN_VOXELS = 9_000_000
"""The anatomy of larger phantoms is drawn on a coarser grid and made smooth."""

SLAB = 16


@dataclass(frozen=True)
class Phantom:
    """A synthetic scan.

    Attributes
    ----------
    image
        uint8 ``(z, y, x)``; the fly lies along z.
    labels
        uint8 ``(z, y, x)``, see `CLASSES`; the truth, made before the image.
    spacing
        Micrometres per voxel along (z, y, x), isotropic.
    """

    image: NDArray[np.uint8]
    labels: NDArray[np.uint8]
    spacing: tuple[float, float, float]


def make_phantom(
    shape: Shape = (256, 112, 112),
    seed: int = 0,
    organs: Path | None = None,
    split: Split = "train",
    scanner: int | None = None,
    texture: Family = "noise",
    stain: Stain = "usual",
) -> Phantom:
    """Return a synthetic fly scan; the same arguments give the same bytes.

    Parameters
    ----------
    shape
        Voxels along (z, y, x), each at least 32. The fly fills the box, so that it is
        stretched unless z is about 2.3 times y and x; (256, 112, 112) has the
        proportions of a fly.
    seed
        Of everything: position, anatomy, contrast and artefacts.
    organs
        Folder with ``gut/NAME.obj.gz`` and ``ovary/NAME.obj.gz``, meshes of real
        flies in mm along (x, y, z). The seed picks a fly. None grows the organs.
    split
        Which of the real flies may be picked. Only ``"train"`` is for training.
    scanner
        Phantoms with the same number look like the scans of one laboratory: one
        contrast and sharpness, small changes from fly to fly. None gives each phantom
        a scanner of its own.
    texture
        Family of the textures of tissues; nothing else depends on it. Models are
        trained on ``"noise"``, so that ``"cells"`` show whether they rely on it.
    stain
        ``"any"`` gives every tissue but air any grey value, as no laboratory has seen
        it: a model that learns from many such phantoms has to go by shape.

    Raises
    ------
    MeUNetError
        If an axis is shorter than 32 or the folder has no flies.
    """
    if len(shape) != 3 or min(shape) < 32:
        raise MeUNetError(
            f"a phantom needs at least 32 voxels along (z, y, x), got {tuple(shape)}; "
            "make it larger"
        )
    anatomy_rng, scan_rng = np.random.default_rng(seed).spawn(2)
    fly = None
    if organs is not None:
        fly = (organs, str(anatomy_rng.choice(fly_names(organs, split))))
    factor = int(np.ceil(np.cbrt(np.prod(shape, dtype=float) / DRAWN_VOXELS)))
    tissue = draw_anatomy(place(shape, factor, anatomy_rng), anatomy_rng, fly)
    if factor > 1:
        tissue = enlarge(tissue, factor, shape, len(Tissue))
    image = scan(tissue, scan_rng, scanner, texture, stain)
    labels = np.empty(shape, np.uint8)
    for z in range(shape[0]):
        labels[z] = LABEL_OF_TISSUE[tissue[z]]
    um = SCAN_WIDTH_UM / shape[2]
    return Phantom(image, labels, (um, um, um))


def scan(
    tissue: TissueMap,
    rng: np.random.Generator,
    number: int | None = None,
    texture: Family = "noise",
    stain: Stain = "usual",
) -> NDArray[np.uint8]:
    """Return the picture uint8 ``(z, y, x)`` of a tissue map, made slab by slab.

    With the `number` of a scanner, `rng` gives only what differs between its scans.
    """
    z, y, x = tissue.shape
    if number is None:
        scanner = set_up_scanner((z, y, x), rng, texture, stain)
    else:
        shared = np.random.default_rng(number)
        scanner = set_up_scanner((z, y, x), shared, texture, stain)
        scanner = scanner.for_specimen(rng)
    margin = scanner.margin()
    image = np.empty(tissue.shape, np.uint8)
    for start in range(0, z, SLAB):
        stop = min(start + SLAB, z)
        first = max(start - margin, 0)
        grey = scanner.paint(tissue[first : stop + margin], first)
        grey = scanner.expose(grey[start - first : stop - first], start, rng)
        image[start:stop] = np.rint(grey).clip(0, 255)
    return image
