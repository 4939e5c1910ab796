"""A scan at a lower resolution, against means by hand."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from napari_meunet.volume.reduced import ReducedPlanes, reduced
from napari_meunet.volume.volume import Spacing, Volume

FACTORS = st.tuples(*[st.integers(1, 4)] * 3)
SHAPES = st.tuples(*[st.integers(1, 9)] * 3)


@given(shape=SHAPES, factors=FACTORS, seed=st.integers(0, 3))
def test_a_voxel_is_the_mean_of_what_its_block_holds_of_the_scan(shape, factors, seed):
    scan = np.random.default_rng(seed).integers(0, 2**16, shape, dtype=np.uint16)
    found = reduced(Volume.from_array(scan), factors)
    by_z, by_y, by_x = factors
    assert found.shape == tuple(
        -(-n // by) for n, by in zip(shape, factors, strict=True)
    )
    for z, y, x in np.ndindex(found.shape):
        block = scan[z * by_z : (z + 1) * by_z, y * by_y : (y + 1) * by_y, x * by_x :][
            :, :, :by_x
        ]
        assert found.planes[z, y, x] == np.rint(block.mean())


@given(
    shape=SHAPES,
    factors=FACTORS.filter(lambda factors: factors != (1, 1, 1)),
    ends=st.tuples(*[st.integers(0, 9)] * 6),
)
def test_a_part_is_that_part_of_the_whole(shape, factors, ends):
    scan = np.random.default_rng(0).random(shape)
    planes = reduced(Volume.from_array(scan), factors).planes
    box = tuple(slice(*sorted(ends[i : i + 2])) for i in (0, 2, 4))
    np.testing.assert_array_equal(planes[box], planes[:][box])
    assert planes[box].dtype == planes.dtype == np.float64


def test_what_is_not_finite_does_not_count():
    scan = np.full((2, 2, 4), 3.0, np.float32)
    scan[0, 0, :2] = np.nan, np.inf
    scan[1, 1, 1] = 9.0
    scan[:, :, 2:] = np.nan
    found = reduced(Volume.from_array(scan), (2, 2, 2)).planes[:]
    np.testing.assert_array_equal(found, [[[4.0, np.nan]]])  # of 3 five times, and 9


def test_the_planes_of_some_blocks_are_read_at_once(monkeypatch):
    reads = []

    class Recorded:
        shape, dtype = (20, 8, 8), np.dtype(np.uint8)

        def __getitem__(self, index):
            reads.append(index)
            return np.zeros([part.stop - part.start for part in index], np.uint8)

    scan = Volume.from_array(Recorded())
    reduced(scan, (4, 2, 2)).read(1, 3)
    assert reads == [(slice(4, 12), slice(0, 8), slice(0, 8))]
    reads.clear()
    monkeypatch.setattr(ReducedPlanes, "read_at_once", 600)  # two blocks
    reduced(scan, (4, 2, 2)).read(1, 5)
    assert reads == [
        (slice(4, 12), slice(0, 8), slice(0, 8)),
        (slice(12, 20), slice(0, 8), slice(0, 8)),
    ]


def test_it_says_how_large_its_voxels_are_and_remembers_what_was_found_out():
    scan = Volume.from_array(np.ones((8, 8, 8)), Spacing((2.0, 3.0, 4.0), "a file"))
    found = reduced(scan, (1, 2, 4))
    assert found.spacing == Spacing((2.0, 6.0, 16.0), "a file")
    found.known["answer"] = 42
    assert reduced(scan.with_spacing((1.0, 1.0, 1.0)), (1, 2, 4)).known == found.known
    assert "answer" not in reduced(scan, (2, 2, 2)).known
    assert "answer" not in scan.known


def test_a_scan_that_is_not_reduced_is_the_scan():
    scan = Volume.from_array(np.ones((2, 2, 2), np.uint8))
    assert reduced(scan, (1, 1, 1)) is scan


def test_what_reading_takes_is_a_block_of_planes_and_sums():
    scan = Volume.from_array(np.broadcast_to(np.uint16(1), (80, 8000, 8000)))
    kept = reduced(scan, (2, 4, 4)).kept_bytes
    whole = 2 * 80 * 80 * 40
    assert kept((20, 10)) == whole + 4 * 8 * 20 * 10
    assert kept((250, 250)) == ReducedPlanes.read_at_once + 4 * 8 * 250 * 250
    block = 2 * 2 * 8000 * 4000
    assert kept((2000, 1000)) == block + 4 * 8 * 2000 * 1000
