"""The range of grey values that a network's normalisation is based on."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_meunet.errors import MeUNetError
from napari_meunet.volume.volume import Volume

N_PLANES = 32
N_VOXELS = 2_000_000


def intensity_range(
    volume: Volume, low_percentile: float, high_percentile: float
) -> tuple[float, float]:
    """Return two percentiles of the grey values, the lower one first.

    They are those of a sample that depends on the shape alone, so that a copy of a
    scan in another format gives the same numbers: up to `N_PLANES` planes, evenly
    spaced from the first to the last, and in each plane every n-th voxel along y and
    x, with n as small as keeps the sample within about `N_VOXELS`. It is read once.
    If the percentiles coincide, as in a scan that is nearly all air, the least and
    greatest value of the sample are returned.

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
        volume.known["sample"] = _sample(volume)
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


def _sample(volume: Volume) -> NDArray[Any]:
    """Return the sample's finite values."""
    z, y, x = volume.shape
    n_planes = min(N_PLANES, z)
    step = max(1, int(np.ceil(np.sqrt(n_planes * y * x / N_VOXELS))))
    numbers = np.linspace(0, z - 1, n_planes).round().astype(int).tolist()
    values = np.concatenate(
        [volume.read(n, n + 1)[0, ::step, ::step].ravel() for n in numbers]
    )
    finite: NDArray[Any] = values[np.isfinite(values)]
    return finite


def _name(volume: Volume) -> str:
    return str(volume.source.path or volume.source.format)
