import weakref

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_meunet.errors import MeUNetError
from napari_meunet.volume import intensity
from napari_meunet.volume.fingerprint import fingerprint
from napari_meunet.volume.intensity import intensity_range
from napari_meunet.volume.sample import read_sample
from napari_meunet.volume.volume import Volume


def test_a_small_volume_is_sampled_whole():
    array = np.arange(1001, dtype=np.int16).reshape(7, 11, 13)
    volume = Volume.from_array(array)
    assert intensity_range(volume, 0, 100) == (0.0, 1000.0)
    assert intensity_range(volume, 1, 99.5) == (10.0, 995.0)


def test_the_sample_is_evenly_spaced_planes_with_every_nth_voxel(monkeypatch):
    monkeypatch.setattr(intensity, "N_PLANES", 3)
    monkeypatch.setattr(intensity, "N_VOXELS", 3 * 4 * 4)
    array = np.random.default_rng(0).integers(0, 1000, (9, 8, 8))
    expected = tuple(np.percentile(array[[0, 4, 8], ::2, ::2], (10, 90)))
    assert intensity_range(Volume.from_array(array), 10, 90) == expected


@given(st.integers(1, 200), st.integers(1, 400), st.integers(1, 400))
def test_the_sample_is_small_and_reads_few_planes(z, y, x):
    planes = []

    class Counting:
        shape, dtype = (z, y, x), np.dtype(np.uint8)

        def __getitem__(self, index):
            planes.append(index)
            return np.broadcast_to(np.uint8(0), (1, y, x))

    sample = read_sample(Volume.from_array(Counting()), 32, 2_000_000)
    assert len(planes) == min(z, 32)
    assert planes[0] == slice(0, 1)
    assert planes[-1] == slice(z - 1, z)
    assert 0 < sample.voxels.size <= 1.2 * 2_000_000
    assert sample.voxels.shape == tuple(map(len, sample.places))


def test_the_sample_lets_go_of_the_planes_that_it_was_read_from():
    kept = []

    class Planes:
        shape, dtype = (9, 400, 400), np.dtype(np.uint8)

        def __getitem__(self, index):
            assert not any(plane() is not None for plane in kept[:-1])
            plane = np.zeros((1, 400, 400), np.uint8)
            kept.append(weakref.ref(plane))
            return plane

    read_sample(Volume.from_array(Planes()), 9, 9 * 100 * 100)
    assert len(kept) == 9


def test_what_is_not_finite_does_not_count():
    array = np.array([np.nan, -np.inf, 1.0, 2.0, 3.0, np.inf], np.float32)
    volume = Volume.from_array(array.reshape(1, 2, 3))
    assert intensity_range(volume, 0, 100) == (1.0, 3.0)


def test_percentiles_that_coincide_give_way_to_the_extremes():
    """One bright voxel in a thousand of air leaves no range at 0.5 to 99.5 %."""
    array = np.zeros((10, 10, 10), np.uint8)
    array[3, 4, 5] = 200
    assert intensity_range(Volume.from_array(array), 0.5, 99.5) == (0.0, 200.0)


def test_a_constant_volume_is_refused_with_its_value():
    volume = Volume.from_array(np.full((3, 4, 5), 7, np.uint8))
    with pytest.raises(MeUNetError, match="got 7 everywhere in array"):
        intensity_range(volume, 0.5, 99.5)


def test_a_volume_without_a_finite_voxel_is_refused():
    volume = Volume.from_array(np.full((3, 4, 5), np.nan))
    with pytest.raises(MeUNetError, match="needs finite voxels, got none in array"):
        intensity_range(volume, 0.5, 99.5)


class Counted:
    """An array that notes how often it is read."""

    def __init__(self, array):
        self.array, self.shape, self.dtype = array, array.shape, array.dtype
        self.n_reads = 0

    def __getitem__(self, index):
        self.n_reads += 1
        return self.array[index]


def test_a_scan_is_sampled_once_for_all_spacings(rng):
    planes = Counted(rng.integers(0, 255, (9, 8, 7), dtype=np.uint8))
    volume = Volume.from_array(planes)
    found = intensity_range(volume, 1, 99), fingerprint(volume)
    n_reads = planes.n_reads
    other = volume.with_spacing((1, 2, 3))
    assert (intensity_range(other, 1, 99), fingerprint(other)) == found
    intensity_range(other, 5, 95)
    assert planes.n_reads == n_reads


def test_a_sample_of_means_misses_nothing_thin():
    scan = np.zeros((2, 10, 11), np.float32)
    scan[1, 4, 10] = 16
    sample = read_sample(Volume.from_array(scan), 2, 2 * 3 * 3, averaged=True)
    means = np.zeros((2, 3, 3), np.float32)
    means[1, 1, 2] = 16 / 16 * 2  # the last of 11 columns is there twice
    assert [part.tolist() for part in sample.places] == [[0, 1], [0, 4, 8], [0, 4, 8]]
    np.testing.assert_array_equal(sample.voxels, means)
