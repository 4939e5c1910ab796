"""The scan that labels are of."""

from typing import TYPE_CHECKING

import numpy as np
from napari.layers import Image
from numpy.typing import NDArray

from napari_meunet.errors import MeUNetError
from napari_meunet.labels.box import Box
from napari_meunet.network.card import IntensityRule
from napari_meunet.plugin.layers import volume_of

if TYPE_CHECKING:
    from napari_meunet.labels.store import LabelStore
    from napari_meunet.volume.volume import Volume


def scan_of(image: Image, store: "LabelStore") -> "Volume":
    """Return the volume of an image layer that labels lie on.

    It has the spacing that a person gave before, or the labels know.

    Raises
    ------
    MeUNetError
        If it is no volume, or not of the shape of the labels.
    """
    from napari_meunet.labels.store import with_known_spacing

    volume = volume_of(image)
    if volume.shape != store.shape:
        raise MeUNetError(
            f"the scan must have the shape of the labels, {store.shape}, got "
            f"{volume.shape}; choose the scan that the labels are of"
        )
    volume = with_known_spacing(volume, store.folder)
    if volume.spacing is None and store.spacing is not None:
        return volume.with_spacing(store.spacing.zyx)
    return volume


def grey_values(volume: "Volume", box: Box) -> NDArray[np.float32]:
    """Return a box of a scan scaled by its percentiles, float32 from 0 to 1.

    Raises
    ------
    MeUNetError
        If the scan has no contrast.
    """
    from napari_meunet.volume.intensity import intensity_range

    rule = IntensityRule()
    low, high = intensity_range(volume, rule.low, rule.high)
    part = np.asarray(volume.planes[box], np.float32)
    return np.clip((part - low) / (high - low), 0, 1)
