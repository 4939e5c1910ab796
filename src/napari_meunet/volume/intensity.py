"""The range of grey values that a network's normalisation is based on."""

import numpy as np

from napari_meunet.errors import MeUNetError
from napari_meunet.volume.sample import read_sample
from napari_meunet.volume.volume import Volume

N_PLANES, N_VOXELS = 32, 2_000_000
"""Of the sample, see `napari_meunet.volume.sample.read_sample`."""


def intensity_range(
    volume: Volume, low_percentile: float, high_percentile: float
) -> tuple[float, float]:
    """Return two percentiles of the grey values, the lower one first.

    They are those of a sample that depends on the shape alone, so that a copy of a
    scan in another format gives the same numbers. It is read once. If the percentiles
    coincide, as in a scan that is nearly all air, the least and greatest value of the
    sample are returned.

    Parameters
    ----------
    volume
        The scan; NaN and infinite voxels are left out.
    low_percentile, high_percentile
        From 0 to 100.

    Raises
    ------
    MeUNetError
        If the sample has one value only, or no finite one.
    """
    if "sample" not in volume.known:
        voxels = read_sample(volume, N_PLANES, N_VOXELS).voxels
        volume.known["sample"] = voxels[np.isfinite(voxels)]
    values = volume.known["sample"]
    if values.size == 0:
        raise MeUNetError(
            f"a volume needs finite voxels, got none in {_name(volume)}; check how it "
            "was exported"
        )
    least, greatest = float(values.min()), float(values.max())
    if least == greatest:
        raise MeUNetError(
            f"a volume needs at least two grey values, got {least:g} everywhere in "
            f"{_name(volume)}; check how it was exported"
        )
    low, high = map(float, np.percentile(values, (low_percentile, high_percentile)))
    return (low, high) if low < high else (least, greatest)


def _name(volume: Volume) -> str:
    return str(volume.source.path or volume.source.format)
