import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import basic_indices

from napari_meunet.volume import pyramid as pyramid_module
from napari_meunet.volume.pyramid import MiddlePlanes, pyramid
from napari_meunet.volume.volume import Volume


class Untouchable:
    """Planes that must not be read."""

    def __init__(self, shape, dtype=np.uint8):
        self.shape, self.dtype = shape, np.dtype(dtype)

    def __getitem__(self, index):
        raise AssertionError("read while the pyramid was built")


class Counting(Untouchable):
    """Planes that note which of them are read."""

    def __init__(self, array):
        super().__init__(array.shape, array.dtype)
        self.array, self.reads = array, []

    def __getitem__(self, index):
        self.reads.append(index[0].start)
        return self.array[index]


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((200, 512, 300), [(200, 512, 300)]),
        (
            (1072, 470, 470),
            [(1072, 470, 470), (536, 235, 235), (268, 118, 118)],
        ),
        ((2000, 2000, 2000), [(2000,) * 3, (1000,) * 3, (500,) * 3]),
        # thin scans keep their depth, down to 64 voxels
        ((20, 1100, 1100), [(20, 1100, 1100), (20, 550, 550), (20, 275, 275)]),
        ((150, 1000, 513), [(150, 1000, 513), (75, 500, 257)]),
    ],
)
def test_axes_are_halved_until_the_longest_is_512_and_nothing_is_read(shape, expected):
    levels = pyramid(Volume.from_array(Untouchable(shape)))
    assert [level.shape for level in levels] == expected


def test_a_level_is_the_mean_of_squares_of_the_middle_planes():
    array = np.random.default_rng(0).integers(0, 255, (8, 12, 16), dtype=np.uint8)
    reduced = MiddlePlanes(array, (4, 2, 8))
    squares = array[[2, 6]].reshape(2, 6, 2, 2, 8).astype(float)
    np.testing.assert_array_equal(reduced[:], np.rint(squares.mean(axis=(2, 4))))
    assert reduced[:].dtype == np.uint8


def test_squares_that_stick_out_are_means_of_what_is_there():
    array = np.arange(15, dtype=np.float32).reshape(1, 3, 5)
    reduced = MiddlePlanes(array, (1, 2, 4))
    expected = [[[4.0, 6.5], [11.5, 14.0]]]  # of 8, 2, 4 and 1 voxels
    np.testing.assert_array_equal(reduced[:], expected)


def test_the_last_block_along_z_may_have_no_middle():
    array = np.arange(5, dtype=np.uint8).reshape(5, 1, 1)
    assert MiddlePlanes(array, (4, 1, 1))[:].ravel().tolist() == [2, 4]


@given(
    shape=st.tuples(st.integers(1, 9), st.integers(1, 9), st.integers(1, 9)),
    factors=st.tuples(*[st.sampled_from([1, 2, 4])] * 3),
    data=st.data(),
)
def test_a_part_of_a_level_is_that_part_of_the_whole_level(shape, factors, data):
    array = np.arange(np.prod(shape), dtype=np.uint16).reshape(shape)
    reduced = MiddlePlanes(array, factors)
    index = data.draw(basic_indices(reduced.shape, allow_ellipsis=False, max_dims=3))
    whole = reduced[:, :, :]
    assert whole.shape == reduced.shape
    np.testing.assert_array_equal(reduced[index], whole[index])


@pytest.mark.parametrize("dtype", ["u1", "i2", "u4", "f4"])
def test_a_constant_stays_what_it_is(dtype):
    array = np.full((9, 9, 9), 101, dtype)
    reduced = MiddlePlanes(array, (2, 4, 8))[:]
    assert reduced.dtype == array.dtype
    assert (reduced == 101).all()


def test_a_step_along_z_reads_one_plane_at_every_level(monkeypatch):
    monkeypatch.setattr(pyramid_module, "LARGEST_AXIS", 64)
    source = Counting(np.zeros((256, 256, 256), np.uint8))
    levels = pyramid(Volume.from_array(source))
    assert len(levels) == 3
    for factor, level in zip((2, 4), levels[1:], strict=True):
        source.reads.clear()
        level[10].compute()
        assert source.reads == [10 * factor + factor // 2]


def test_a_block_of_a_level_reads_no_more_planes_than_a_block_of_the_volume():
    volume = Volume.from_array(Untouchable((4000, 2000, 2000), np.uint16))
    for level in pyramid(volume)[1:]:
        assert level.chunksize[0] == 1
    volume = Volume.from_array(Untouchable((4000, 470, 470)))
    for level in pyramid(volume)[1:]:
        assert level.chunksize[0] == 16


def test_levels_of_the_file_are_kept_and_continued():
    base = Volume.from_array(Untouchable((4096, 4096, 4096)))
    lower = Volume.from_array(Untouchable((1024, 1024, 1024)))
    volume = Volume(base.planes, None, base.source, base.chunks, (lower,))
    levels = pyramid(volume)
    assert [level.shape[0] for level in levels] == [4096, 1024, 512]
