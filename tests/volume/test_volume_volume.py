import numpy as np
import pytest

from napari_meunet.errors import MeUNetError
from napari_meunet.volume.volume import Spacing, Volume

ARRAY = np.arange(60, dtype=np.uint8).reshape(3, 4, 5)


def test_an_array_is_a_volume():
    volume = Volume.from_array(ARRAY, Spacing((3.0, 2.0, 1.0), "test"))
    assert (volume.shape, volume.dtype) == ((3, 4, 5), np.uint8)
    assert volume.spacing.zyx == (3.0, 2.0, 1.0)
    assert volume.source.path is None
    assert volume.source.n_bytes == 60
    np.testing.assert_array_equal(volume.read(1, 3), ARRAY[1:3])
    np.testing.assert_array_equal(volume.data.compute(), ARRAY)
    assert volume.data.chunksize == (1, 4, 5)


def test_the_lazy_array_does_not_copy_the_planes():
    """Dask copies what has a `copy` method: a memory map would be read whole."""

    class Uncopied(np.ndarray):
        def copy(self, order="C"):
            raise AssertionError("copied")

    assert Volume.from_array(ARRAY.view(Uncopied)).data.shape == (3, 4, 5)


def test_a_spacing_given_by_a_person_replaces_that_of_the_file():
    volume = Volume.from_array(ARRAY)
    assert volume.spacing is None
    given = volume.with_spacing((2.95, 2.0, 2.0))
    assert given.spacing == Spacing((2.95, 2.0, 2.0), "given by the user")
    assert given.planes is volume.planes
    assert volume.spacing is None


@pytest.mark.parametrize("size", [0.0, -1.0, float("nan"), float("inf")])
def test_a_size_that_is_not_positive_is_refused(size):
    with pytest.raises(MeUNetError, match="positive along every axis, got"):
        Spacing((1.0, size, 1.0), "test")
