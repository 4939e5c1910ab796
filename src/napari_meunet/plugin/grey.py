"""Grey values of a scan for small pictures."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_meunet.labels.box import Box
from napari_meunet.network.card import IntensityRule

if TYPE_CHECKING:
    from napari_meunet.volume.volume import Volume


def grey_values(volume: "Volume", box: Box) -> NDArray[np.float32]:
    """Return a box of a scan scaled by its percentiles, float32 from 0 to 1."""
    from napari_meunet.volume.intensity import intensity_range

    rule = IntensityRule()
    low, high = intensity_range(volume, rule.low, rule.high)
    part = np.asarray(volume.planes[box], np.float32)
    return np.clip((part - low) / (high - low), 0, 1)
