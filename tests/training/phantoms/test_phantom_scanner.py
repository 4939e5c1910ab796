from dataclasses import replace

import numpy as np
import pytest

from napari_meunet.training.phantoms.anatomy import Tissue
from napari_meunet.training.phantoms.appearance import (
    SPECIMEN_CHANGE,
    set_up_scanner,
)

SHAPE = (24, 41, 41)


@pytest.fixture
def scanner(rng):
    return set_up_scanner(SHAPE, rng)


@pytest.fixture
def tissue(rng):
    return rng.integers(0, len(Tissue), SHAPE).astype(np.uint8)


@pytest.fixture
def clean(scanner):
    return replace(
        scanner, rings=scanner.rings * 0, noise=0.0, cupping=0.0, noise_width=0.0
    )


def test_a_perfect_scanner_shows_the_mean_of_each_tissue(clean, tissue):
    perfect = replace(clean, blur=1e-3, grains=clean.grains * 0)
    np.testing.assert_allclose(perfect.paint(tissue, 0), clean.means[tissue], rtol=1e-6)


def test_slabs_with_margins_equal_the_whole(scanner, tissue):
    whole = scanner.paint(tissue, 0)
    margin = scanner.margin()
    first = 9 - margin
    part = scanner.paint(tissue[first : 15 + margin], first)[margin:-margin]
    np.testing.assert_allclose(part, whole[9:15], rtol=1e-5)


def test_cupping_darkens_the_axis_and_spares_the_rim(clean, rng):
    grey = np.full(SHAPE, 100, np.float32)
    exposed = replace(clean, cupping=0.2).expose(grey, 0, rng)
    assert exposed[5, 20, 20] == pytest.approx(80)
    assert exposed[5, 0, 20] == pytest.approx(100, abs=2)
    assert (np.diff(exposed[5, 20, 20:]) > 0).all()


def test_rings_have_one_value_at_one_radius(scanner, clean, rng):
    rings = replace(clean, rings=scanner.rings)
    exposed = rings.expose(np.zeros(SHAPE, np.float32), 0, rng)[7]
    assert exposed.std() > 0
    np.testing.assert_array_equal(exposed, exposed.T)
    np.testing.assert_array_equal(exposed, exposed[::-1])
    assert exposed[20, 20 + 5] == exposed[20 + 3, 20 + 4]


def test_noise_has_the_deviation_asked_for_and_grows_with_the_signal(clean, rng):
    noisy = replace(clean, noise=8.0, noise_width=0.5)
    for grey, deviation in ((128, 8), (0, 8 * 0.3**0.5)):
        exposed = noisy.expose(np.full(SHAPE, grey, np.float32), 0, rng)
        # At grey 0 the clipped level is 0: only the floor of the noise remains.
        assert (exposed - grey).std() == pytest.approx(deviation, rel=0.05)


def test_scans_of_one_scanner_differ_a_little_in_grey_and_in_the_place_of_texture(
    scanner,
):
    first, second = (
        scanner.for_specimen(np.random.default_rng(seed)) for seed in (1, 2)
    )
    ratio = first.means / second.means
    assert np.abs(ratio - 1).max() < 6 * SPECIMEN_CHANGE
    assert (ratio != 1).all()
    assert first.blur == second.blur == scanner.blur
    np.testing.assert_array_equal(first.grains, second.grains)
    for one, other in zip(first.tiles, second.tiles, strict=True):
        np.testing.assert_array_equal(np.sort(one, None), np.sort(other, None))
        assert (one != other).any()


def test_another_stain_changes_the_grey_of_tissues_and_nothing_else_of_a_scanner():
    usual, other = (
        set_up_scanner(SHAPE, np.random.default_rng(1), stain=stain)
        for stain in ("usual", "any")
    )
    assert (np.delete(usual.means - other.means, Tissue.AIR) != 0).all()
    assert usual.means[Tissue.AIR] == other.means[Tissue.AIR]
    for name in ("grains", "blur", "noise", "noise_width", "cupping", "rings", "waves"):
        np.testing.assert_array_equal(getattr(usual, name), getattr(other, name))


def test_any_stain_makes_the_gut_wall_darker_than_haemolymph_half_of_the_time():
    scanners = [
        set_up_scanner(SHAPE, np.random.default_rng(seed), stain="any")
        for seed in range(12)
    ]
    darker = [s.means[Tissue.GUT_WALL] < s.means[Tissue.HAEMOLYMPH] for s in scanners]
    assert 0.25 < np.mean(darker) < 0.75


def test_another_texture_changes_nothing_else_of_a_scanner():
    noise, cells = (
        set_up_scanner(SHAPE, np.random.default_rng(1), family)
        for family in ("noise", "cells")
    )
    for name, value in vars(noise).items():
        if name != "tiles":
            np.testing.assert_array_equal(value, getattr(cells, name))
    for one, other in zip(noise.tiles, cells.tiles, strict=True):
        assert (one != other).any()
