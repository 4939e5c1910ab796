"""Columns and the paper's windows tile the section."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_meunet.inference.tiles import Column, Tiling, aligned, cut

sizes = st.integers(1, 300)


@given(
    section=st.tuples(sizes, sizes),
    parts=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    halo=st.sampled_from([48, 96]),
)
def test_every_voxel_of_the_section_is_in_one_core(section, parts, halo):
    parts = tuple(
        min(n, aligned(size) // 16) for n, size in zip(parts, section, strict=True)
    )
    times = np.zeros(section, int)
    for column in cut(section, parts, halo):
        times[tuple(slice(*span) for span in column.core)] += 1
    assert (times == 1).all()


@given(size=sizes, n=st.integers(1, 6), halo=st.sampled_from([48, 96]))
def test_what_is_read_is_the_core_and_its_halo_within_the_padded_section(size, n, halo):
    end = aligned(size)
    for column in cut((16, size), (1, min(n, end // 16)), halo):
        (start, stop), (first, last) = column.core[1], column.read[1]
        assert start % 16 == first % 16 == last % 16 == 0
        assert first == max(start - halo, 0)
        assert last == min(aligned(stop) + halo, end)


def test_a_section_of_40_in_two_columns():
    one, two = cut((16, 40), (1, 2), 16)
    assert one == Column(core=((0, 16), (0, 16)), read=((0, 16), (0, 32)))
    assert two == Column(core=((0, 16), (16, 40)), read=((0, 16), (0, 48)))
    assert two.name == "y0-16,x16-40"
    assert two.section == (16, 48)


@given(
    size=sizes,
    n=st.integers(1, 4),
    first=st.integers(0, 5),
    n_voxels=st.integers(1, 300),
    halo=st.sampled_from([0, 48]),
)
def test_what_is_not_worth_reading_belongs_to_the_outer_columns(
    size, n, first, n_voxels, halo
):
    first = min(16 * first, (size - 1) // 16 * 16)
    span = first, min(first + n_voxels, size)
    n = min(n, aligned(span[1] - first) // 16)
    columns = cut((16, size), (1, n), halo, ((0, 16), span))
    cores = [column.core[1] for column in columns]
    assert (cores[0][0], cores[-1][1]) == (0, size)
    assert all(one[1] == two[0] for one, two in pairwise(cores))
    for core, column in zip(cores, columns, strict=True):
        start, stop = column.read[1]
        assert start % 16 == stop % 16 == 0
        assert first <= start < stop <= first + aligned(span[1] - first)
        assert start <= max(core[0] - halo, first)
        assert stop >= min(core[1] + halo, span[1])


def test_columns_touch_where_their_cores_overlap():
    whole, (left, right) = cut((64, 64), (1, 1), 16)[0], cut((64, 64), (1, 2), 16)
    assert left.touches(whole)
    assert whole.touches(right)
    assert not left.touches(right)


@pytest.mark.parametrize(
    ("size", "n", "padded", "before"),
    # 1072 and 470 are the paper's volumes, 707 the published scans
    [
        (1072, 8, 1080, 4),
        (470, 3, 480, 5),
        (707, 5, 720, 6),
        (240, 1, 240, 0),
        (241, 2, 360, 59),
        (100, 1, 240, 70),
    ],
)
def test_the_papers_windows_of_240_at_step_120(size, n, padded, before):
    tiling = Tiling(size)
    assert (tiling.n, tiling.padded, tiling.before) == (n, padded, before)
    assert list(tiling.starts()) == [120 * i - before for i in range(n)]
