import numpy as np
import pytest

from napari_meunet.training.phantoms.textures import (
    CELL,
    FAMILIES,
    TILE,
    packed_cells,
    textures,
)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_texture_continues_across_its_borders(family, axis, rng):
    texture = FAMILIES[family]((3, 3, 3), rng)
    assert texture.shape == (TILE,) * 3
    assert texture.std() == pytest.approx(1, rel=1e-4)
    inside = np.abs(np.diff(texture, axis=axis)).mean()
    first, last = (texture.take(i, axis=axis) for i in (0, -1))
    assert np.abs(first - last).mean() == pytest.approx(inside, rel=0.2)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_last_texture_are_fibres_along_z(family, rng):
    fibres = textures(family, rng)[-1]
    along, across = (np.abs(np.diff(fibres, axis=i)).mean() for i in (0, 2))
    assert across > 3 * along


def test_cells_are_as_many_as_their_width_says(rng):
    texture = packed_cells((4, 4, 4), rng)
    # the distance is least at a centre, lower than at all 26 neighbours
    shifts = [np.unravel_index(i, (3, 3, 3)) for i in range(27) if i != 13]
    least = np.ones(texture.shape, bool)
    for shift in shifts:
        least &= texture <= np.roll(texture, np.array(shift) - 1, (0, 1, 2))
    assert least.sum() == pytest.approx((TILE / (CELL * 4)) ** 3, rel=0.05)
