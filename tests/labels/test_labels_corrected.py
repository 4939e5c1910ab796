"""The mask of corrected voxels against an array of booleans."""

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_meunet.errors import MeUNetError
from napari_meunet.labels.box import extent
from napari_meunet.labels.corrected import Corrected, corrected_bytes


@st.composite
def boxes_in(draw, shape):
    spans = []
    for n in shape:
        start = draw(st.integers(0, n - 1))
        spans.append(slice(start, draw(st.integers(start + 1, n))))
    return tuple(spans)


@given(data=st.data(), shape=st.tuples(*[st.integers(1, 20)] * 3))
@settings(max_examples=60, deadline=None)
def test_boxes_are_read_and_written_as_in_an_array(data, shape):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "corrected"
        Corrected.create(path, shape)
        corrected = Corrected(path, shape, writable=True)
        twin = np.zeros(shape, bool)
        rng = np.random.default_rng(data.draw(st.integers(0, 99)))
        for _ in range(4):
            box = data.draw(boxes_in(shape))
            twin[box] = rng.random(extent(box)) < 0.5
            corrected.write(box, twin[box])
            look = data.draw(boxes_in(shape))
            np.testing.assert_array_equal(corrected.read(look), twin[look])
            assert corrected.any(look) or not twin[look].any()


def test_a_bit_lies_where_the_format_says(tmp_path):
    path = tmp_path / "corrected"
    Corrected.create(path, (2, 3, 19))
    corrected = Corrected(path, (2, 3, 19), writable=True)
    corrected.write((slice(1, 2), slice(2, 3), slice(10, 11)), np.ones((1, 1, 1), bool))
    corrected.flush()
    # three bytes a row; row (1, 2) is the last; voxel 10 is bit 2 of its byte 1
    assert path.read_bytes() == bytes([0] * 16 + [0b100, 0])
    assert corrected_bytes((2, 3, 19)) == 18


def test_a_mask_of_another_size_is_refused(tmp_path):
    path = tmp_path / "corrected"
    with pytest.raises(MeUNetError, match=r"must hold 18 bytes.*got 0"):
        Corrected(path, (2, 3, 19), writable=True)
    path.write_bytes(b"short")
    with pytest.raises(MeUNetError, match="got 5"):
        Corrected(path, (2, 3, 19), writable=False)


@given(
    shape=st.tuples(*[st.integers(1, 40)] * 3),
    edge=st.sampled_from([8, 16, 32]),
    seed=st.integers(0, 99),
)
@settings(max_examples=60, deadline=None)
def test_cubes_with_corrected_voxels_are_found(shape, edge, seed):
    rng = np.random.default_rng(seed)
    mask = rng.random(shape) < rng.choice([0, 0.001, 0.02])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "corrected"
        Corrected.create(path, shape)
        corrected = Corrected(path, shape, writable=True)
        corrected.write(tuple(slice(0, n) for n in shape), mask)
        found = corrected.cubes(edge)
    expected = np.zeros([-(-n // edge) for n in shape], bool)
    expected[tuple(np.argwhere(mask).T // edge)] = True
    np.testing.assert_array_equal(found, expected)
