"""What training makes of voxels of other sizes: it knows things by voxels alone."""

from collections.abc import Sequence

import numpy as np

from napari_meunet.network.spacing import TOLERATED
from napari_meunet.volume.volume import Volume
from napari_meunet.words import spacing_in_words


def spacing_remarks(scans: Sequence[Volume], *, turned: bool) -> list[str]:
    """Return what a person should know of the spacings of the scans.

    Parameters
    ----------
    scans
        Those that are trained on; those without a spacing are left out.
    turned
        Whether patches are turned about all axes.

    Returns
    -------
    list of str
        Clauses: that the voxels of the scans differ by more than `TOLERATED`, or that
        those of one do along its axes, so that turning it changes its proportions.
    """
    known = sorted({scan.spacing.zyx for scan in scans if scan.spacing})
    if not known:
        return []
    sizes, remarks = np.array(known), []
    if (sizes.max(axis=0) > TOLERATED * sizes.min(axis=0)).any():
        finest, coarsest = (spacing_in_words(end) for end in (known[0], known[-1]))
        remarks.append(
            f"voxels from {finest} to {coarsest}, of which the same organ has more or "
            "fewer: resample the scans to one size"
        )
    uneven = sizes[sizes.max(axis=1) > TOLERATED * sizes.min(axis=1)]
    if turned and len(uneven):
        remarks.append(
            f"voxels of {spacing_in_words(uneven[0])}, which right-angle turns stretch "
            "or squash: turn about z alone, or not at all"
        )
    return remarks
