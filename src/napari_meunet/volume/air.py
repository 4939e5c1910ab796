"""Where a scan holds more than air."""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d, label, uniform_filter
from scipy.signal import find_peaks

from napari_meunet.config import Shape
from napari_meunet.volume.sample import Sample, read_sample
from napari_meunet.volume.volume import Volume

Box = tuple[tuple[int, int], tuple[int, int], tuple[int, int]]
"""Start and stop along (z, y, x)."""

N_PLANES, N_VOXELS = 128, 8_000_000
"""Of the sample that is looked at."""

MARGIN = 16
"""Voxels that are kept around what was found (our choice)."""

BRIGHTER = 6
"""Deviations of air, after smoothing, beyond which a voxel is none: one in 10^9."""

ONE_DEVIATION = 0.683
"""Part of a normal distribution that lies within one deviation."""

DARKER = 1e-3
"""Part of the voxels that may be as much darker than air."""

SMALLEST = 18
"""Voxels of the sample that belong together, so as not to be a speck: a single voxel
becomes 9 of them by smoothing."""

_BINS, _WIDTH, _EDGE = 256, 2, 8
"""Of a histogram: its bins, how far they are smoothed, and empty ones at its ends."""


def box_without_air(volume: Volume) -> Box:
    """Return a box around what is brighter than air; found once.

    Air is the first peak of the grey values from the dark side, in means of n x n
    voxels of some planes, and as wide as its dark side. This is an approximation for
    scans in which air lies around the specimen. Too large it is where a holder, a
    liquid or the inside of a round field of view is brighter than air, and where the
    noise of air is cut off at 0. Too small it may be where tissue is as dark as air,
    where thin parts lie between the planes of the sample, or where a scan has no air.
    The box reaches to the next place that was looked at, and `MARGIN` voxels beyond.
    """
    if "air" not in volume.known:
        sample = read_sample(volume, N_PLANES, N_VOXELS, averaged=True)
        found = _brighter_than_air(sample.voxels)
        volume.known["air"] = _box_around(found, sample, volume.shape)
    box: Box = volume.known["air"]
    return box


def _brighter_than_air(grey: NDArray[np.float32]) -> NDArray[np.bool]:
    finite = np.isfinite(grey)
    if not finite.any():
        return finite
    grey = np.where(finite, grey, grey[finite].min())  # what was masked out is air
    smooth = uniform_filter(grey, (1, 3, 3))
    parts, _ = label(smooth > _brightest_air(smooth), np.ones((3, 3, 3)))
    sizes = np.bincount(parts.ravel())
    sizes[0] = 0
    large: NDArray[np.bool] = (sizes >= SMALLEST)[parts]
    return large


def _brightest_air(values: NDArray[np.float32]) -> float:
    """Return the grey value up to which there is air; -inf if that is not known."""
    low, high = float(values.min()), float(np.quantile(values, 0.9))
    air, bin_width = _first_peak(values, low, high)
    air, _ = _first_peak(values, air - 2 * bin_width, air + 2 * bin_width)
    below = air - values[values < air]
    spread = float(np.quantile(below, ONE_DEVIATION)) if below.size else 0.0
    spread = max(spread, 2 * float(np.spacing(np.float32(max(abs(low), abs(high))))))
    if np.mean(values < air - BRIGHTER * spread) > DARKER:
        return -np.inf  # there is something darker, which may be air
    return air + BRIGHTER * spread


def _first_peak(
    values: NDArray[np.float32], low: float, high: float
) -> tuple[float, float]:
    """Return the darkest peak of the values in a range, and the width of its bins."""
    if low == high:
        return low, 0.0
    # scaled, since numpy refuses bins that are as narrow as the values are precise
    counts, edges = np.histogram((values - low) / (high - low), _BINS, (0, 1))
    counts = gaussian_filter1d(np.pad(counts.astype(float), _EDGE), _WIDTH)
    peaks, _ = find_peaks(counts, prominence=counts.max() / 20)
    middle = float(edges[peaks[0] - _EDGE]) + 0.5 / _BINS
    return low + (high - low) * middle, (high - low) / _BINS


def _box_around(found: NDArray[np.bool], sample: Sample, shape: Shape) -> Box:
    """Return the voxels of the volume around those `found` in a sample, all if none."""
    if not found.any():
        return (0, shape[0]), (0, shape[1]), (0, shape[2])
    spans = []
    others = (1, 2), (0, 2), (0, 1)
    for places, axes, size in zip(sample.places, others, shape, strict=True):
        (hits,) = np.nonzero(np.any(found, axis=axes))
        # what begins behind one place is seen at the next
        first = int(places[hits[0] - 1]) if hits[0] else 0
        last = int(np.append(places, size)[hits[-1] + 1])
        spans.append((max(first - MARGIN, 0), min(last + MARGIN, size)))
    z, y, x = spans
    return z, y, x
