"""What training makes of voxels of other sizes: it knows things by voxels alone."""

from collections.abc import Sequence

import numpy as np

from napari_meunet.network.spacing import TOLERATED, range_in_words
from napari_meunet.training.specimens.scans import spacing_range
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
    known = spacing_range(scans)
    if known is None:
        return []
    remarks = []
    if (np.array(known.coarsest) > TOLERATED * np.array(known.finest)).any():
        remarks.append(
            f"voxels of {range_in_words(known)}, of which the same organ has more or "
            "fewer: a larger voxel size, or resampling, makes them alike"
        )
    sizes = np.array([scan.spacing.zyx for scan in scans if scan.spacing])
    uneven = sizes[sizes.max(axis=1) > TOLERATED * sizes.min(axis=1)]
    if turned and len(uneven):
        remarks.append(
            f"voxels of {spacing_in_words(uneven[0])}, which right-angle turns stretch "
            "or squash: turn about z alone, or not at all"
        )
    return remarks
