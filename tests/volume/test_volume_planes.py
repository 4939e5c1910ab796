import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import basic_indices

from napari_meunet.errors import MeUNetError
from napari_meunet.volume.formats import planes as planes_module
from napari_meunet.volume.formats.planes import (
    ConvertedPlanes,
    DecodedPlanes,
    plane_chunks,
)

SHAPE = (7, 5, 4)
ARRAY = np.arange(140, dtype=np.uint16).reshape(SHAPE)


def decoded(decode=lambda numbers: ARRAY[numbers]):
    return DecodedPlanes(SHAPE, ARRAY.dtype, decode, "scan.tif")


def indices():
    """Return indices of up to three integers and slices."""
    return basic_indices(SHAPE, allow_ellipsis=False, max_dims=3)


@given(indices())
def test_decoded_planes_index_like_numpy(index):
    part = decoded()[index]
    assert part.dtype == ARRAY.dtype
    np.testing.assert_array_equal(part, ARRAY[index])


@given(indices())
def test_converted_planes_index_like_numpy(index):
    planes = ConvertedPlanes(ARRAY, np.dtype(np.float32), slope=2.0, intercept=-3.0)
    part = planes[index]
    assert part.dtype == np.float32
    np.testing.assert_array_equal(part, ARRAY[index] * 2.0 - 3.0)


@given(st.integers(1, 9))
def test_every_wanted_plane_is_decoded_once_in_small_batches(batch):
    seen = []

    def decode(numbers):
        seen.append(numbers)
        return ARRAY[numbers]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(planes_module, "_LARGEST_BATCH", batch)
        part = decoded(decode)[1:6, :2]
    np.testing.assert_array_equal(part, ARRAY[1:6, :2])
    assert max(map(len, seen)) <= batch
    assert [number for numbers in seen for number in numbers] == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("error", [OSError, ValueError, RuntimeError])
def test_a_plane_that_does_not_decode_is_named(error):
    def decode(numbers):
        raise error("bad checksum")

    message = "got bad checksum in planes 2 to 3 of scan.tif; the file is damaged"
    with pytest.raises(MeUNetError, match=message):
        decoded(decode)[2:4]


def test_byte_order_is_that_of_the_machine_after_conversion():
    swapped = ConvertedPlanes(ARRAY.astype(">u2"), np.dtype(np.uint16))
    assert swapped[:].dtype.isnative
    np.testing.assert_array_equal(swapped[:], ARRAY)


def test_blocks_are_whole_planes_of_at_most_16_planes_and_4_mib():
    uint8, uint16 = np.dtype(np.uint8), np.dtype(np.uint16)
    assert plane_chunks((10, 30, 20), uint8) == (10, 30, 20)
    assert plane_chunks((1072, 470, 470), uint8) == (16, 470, 470)
    assert plane_chunks((2000, 1024, 1024), uint16) == (2, 1024, 1024)
    assert plane_chunks((9, 20_000, 20_000), uint16) == (1, 20_000, 20_000)
