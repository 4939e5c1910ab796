"""The box around what is brighter than air."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_meunet.volume.air import MARGIN, box_without_air
from napari_meunet.volume.volume import Volume

SHAPE = (96, 80, 80)


def ball(radius, centre=(48, 40, 40), shape=SHAPE):
    axes = np.ogrid[tuple(slice(n) for n in shape)]
    away = sum((axis - c) ** 2 for axis, c in zip(axes, centre, strict=True))
    return away < radius**2


def scanned(grey, *, noise=8, seed=0):
    """Return a scan of 8 bits with noise."""
    grey = grey + np.random.default_rng(seed).normal(0, noise, np.shape(grey))
    return Volume.from_array(grey.clip(0, 255).astype(np.uint8))


def ends(mask):
    """Return first and last voxel of a mask along each axis."""
    hits = [mask.any(axis=axes).nonzero()[0] for axes in combinations(range(3), 2)]
    return [(hit[0], hit[-1]) for hit in reversed(hits)]


def assert_around(box, mask, more=4):
    """Require a box around a mask that leaves out what is `more` beyond the margin."""
    for (start, stop), (first, last), size in zip(
        box, ends(mask), mask.shape, strict=True
    ):
        assert max(first - MARGIN - more, 0) <= start <= max(first - MARGIN + more, 0)
        assert min(last + MARGIN - more, size) <= stop
        assert stop <= min(last + 1 + MARGIN + more, size)


@settings(max_examples=10, deadline=None)
@given(
    radius=st.integers(4, 20),
    contrast=st.integers(40, 200),
    move=st.tuples(*[st.integers(-12, 12)] * 3),
    seed=st.integers(0, 9),
)
def test_the_specimen_is_inside_and_much_air_is_not(radius, contrast, move, seed):
    centre = [c + m for c, m in zip((48, 40, 40), move, strict=True)]
    mask = ball(radius, centre)
    scan = scanned(20 + contrast * mask, seed=seed)
    assert_around(box_without_air(scan), mask)


def test_a_specimen_that_fills_the_scan_is_whole():
    box = box_without_air(scanned(20 + 100 * ball(60)))
    assert box == ((0, 96), (0, 80), (0, 80))


@pytest.mark.parametrize("noise", [0.5, 1, 2])
def test_little_noise_makes_no_tissue(noise):
    mask = ball(16)
    assert_around(box_without_air(scanned(20 + 40 * mask, noise=noise)), mask)


def test_a_specimen_with_little_air_is_whole_whatever_is_bright_in_it():
    grey = 1000 + 2000 * ball(60) + 40_000 * ball(5)
    grey = grey + np.random.default_rng(0).normal(0, 80, SHAPE)
    scan = Volume.from_array(grey.clip(0, 65535).astype(np.uint16))
    assert box_without_air(scan) == ((0, 96), (0, 80), (0, 80))


def test_a_damaged_plane_does_not_widen_air():
    grey = 10_000 + 2000 * ball(16)
    grey = grey + np.random.default_rng(0).normal(0, 100, SHAPE)
    grey[50] = 128
    scan = Volume.from_array(grey.clip(0, 65535).astype(np.uint16))
    for (start, stop), (first, last) in zip(
        box_without_air(scan), ends(ball(16)), strict=True
    ):
        assert start <= first
        assert stop > last


def test_air_is_found_where_tissue_has_a_far_wider_range():
    grey = 1000 + 30_000 * ball(34)
    grey = grey + np.random.default_rng(0).normal(0, 10, SHAPE)
    scan = Volume.from_array(grey.clip(0, 65535).astype(np.uint16))
    assert_around(box_without_air(scan), ball(34))


def test_bright_specks_move_nothing():
    scan = scanned(20 + 60 * ball(16)).planes.copy()
    scan[0, 3, 5] = scan[95, 70, 2] = 255
    assert_around(box_without_air(Volume.from_array(scan)), ball(16))


def test_metal_does_not_hide_a_faint_specimen():
    metal = ball(6, (20, 40, 40)) | ball(4, (48, 40, 40))
    grey = 1000 + 200 * ball(16) + 60_000 * metal
    grey = grey + np.random.default_rng(0).normal(0, 25, SHAPE)
    scan = Volume.from_array(grey.clip(0, 65535).astype(np.uint16))
    assert_around(box_without_air(scan), ball(16) | metal)


def test_faint_tissue_is_not_air():
    """Most of the specimen is far darker than its brightest tissue."""
    scan = scanned(20 + 40 * ball(24) + 160 * ball(12))
    assert_around(box_without_air(scan), ball(24))


def test_a_holder_is_kept():
    y, x = np.ogrid[-40:40, -40:40]
    wall = (np.hypot(y, x) < 39) & (np.hypot(y, x) > 36)
    assert box_without_air(scanned(20 + 100 * (ball(16) | wall))) == (
        (0, 96),
        (0, 80),
        (0, 80),
    )


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_two_grey_values_are_enough(dtype):
    scan = Volume.from_array(ball(8).astype(dtype))
    assert_around(box_without_air(scan), ball(8))


def test_what_is_masked_out_is_air():
    grey = np.full(SHAPE, np.nan, np.float32)
    inside = ball(20)
    grey[inside] = np.random.default_rng(0).normal(100, 5, inside.sum())
    assert_around(box_without_air(Volume.from_array(grey)), inside)


@pytest.mark.parametrize("value", [7.0, np.nan])
def test_without_contrast_nothing_is_left_out(value):
    scan = Volume.from_array(np.full(SHAPE, value, np.float32))
    assert box_without_air(scan) == ((0, 96), (0, 80), (0, 80))


def test_values_that_differ_by_rounding_alone_are_no_problem():
    scan = np.full(SHAPE, 0.5, np.float32)
    scan[::2] = np.nextafter(np.float32(0.5), np.float32(1))
    scan[ball(10)] = 1
    assert_around(box_without_air(Volume.from_array(scan)), ball(10))


def test_it_is_found_once():
    scan = scanned(20 + 100 * ball(16))
    box = box_without_air(scan)
    scan.planes[:] = 0
    assert box_without_air(scan) == box
