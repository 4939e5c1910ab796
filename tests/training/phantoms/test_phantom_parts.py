import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_meunet.training.phantoms.body import Ellipsoid, place
from napari_meunet.training.phantoms.enlarge import enlarge, spline
from napari_meunet.training.phantoms.organs import resample, tube


def grid(shape, factor=1, seed=1):
    return place(shape, factor, np.random.default_rng(seed))


def test_coordinates_undo_the_map_to_voxels():
    frame = grid((20, 14, 17))
    points = frame.coordinates().reshape(3, -1).T.astype(float)
    voxels = np.argwhere(np.ones(frame.shape))
    np.testing.assert_allclose(frame.voxels(points), voxels, atol=1e-4)


def test_a_coarse_frame_is_the_fine_frame_at_every_nth_voxel():
    fine, coarse = grid((31, 43, 40)), grid((31, 43, 40), factor=3)
    assert coarse.shape == (11, 15, 14)
    points = np.random.default_rng(0).uniform(-1, 1, (50, 3))
    np.testing.assert_allclose(coarse.voxels(points) * 3, fine.voxels(points))


def test_the_box_of_a_ball_holds_the_ball():
    frame = grid((40, 40, 40))
    centre, radii = np.array([0.4, -0.3, 0.2]), np.array([0.6, 0.2, 0.3])
    depth = Ellipsoid(centre, radii).depth(frame.coordinates())
    outside = depth > 0
    outside[frame.box(centre, radii)] = False
    assert (depth > 0).any()
    assert not outside.any()


def test_a_tube_holds_the_points_within_its_radius():
    frame = grid((48, 32, 32))
    coordinates = frame.coordinates()
    path = np.column_stack([np.linspace(-1, 1, 30), np.zeros(30), np.full(30, 0.1)])
    mask = tube(frame, coordinates, path, np.full(30, 0.3))
    points = coordinates.reshape(3, -1).T
    distance = np.linalg.norm(points[:, None] - path, axis=2).min(axis=1)
    sure = np.abs(distance - 0.3) > 1e-4
    np.testing.assert_array_equal(mask.ravel()[sure], (distance < 0.3)[sure])


def test_a_resampled_curve_has_even_steps_and_its_ends():
    angle = np.linspace(0, np.pi, 8)
    curve = resample(np.column_stack([np.cos(angle), np.sin(angle), 0 * angle]), 0.05)
    steps = np.linalg.norm(np.diff(curve, axis=0), axis=1)
    np.testing.assert_allclose(steps, 0.05, rtol=0.01)
    np.testing.assert_allclose(curve[0], (1, 0, 0), atol=1e-9)
    assert len(curve) == pytest.approx(np.pi / 0.05, abs=2)


@given(n=st.integers(1, 60), factor=st.integers(1, 5))
@settings(max_examples=40, deadline=None)
def test_spline_weights_add_up_to_one_and_keep_straight_lines(n, factor):
    one = spline(n, factor)
    coarse = np.arange(-(-(n - 1) // factor) + 4, dtype=np.float32)
    np.testing.assert_allclose(one.weights.sum(axis=0), 1, rtol=1e-6)
    # Coarse voxel k + 1 lies on fine voxel k * factor.
    line = one.along(0, (coarse - 1) * factor)
    np.testing.assert_allclose(line, np.arange(n), atol=1e-3)


def test_a_flat_border_stays_where_it_was():
    coarse = np.zeros((9, 5, 5), np.uint8)
    coarse[4:] = 2
    fine = enlarge(coarse, 4, (33, 17, 17), 3)
    # Halfway between coarse planes 3 and 4, that is at fine plane 14.
    assert (fine[:14] == 0).all()
    assert (fine[15:] == 2).all()


def test_an_enlarged_ball_is_a_ball():
    z, y, x = np.ogrid[:17, :17, :17]
    coarse = ((z - 8) ** 2 + (y - 8) ** 2 + (x - 8) ** 2 <= 36).astype(np.uint8)
    fine = enlarge(coarse, 3, (49, 49, 49), 2)
    z, y, x = np.ogrid[:49, :49, :49]
    distance = np.sqrt((z - 24) ** 2 + (y - 24) ** 2 + (x - 24) ** 2)
    assert fine[distance < 16].all()
    assert not fine[distance > 20].any()
    assert fine.sum() == pytest.approx(27 * coarse.sum(), rel=0.05)


def test_a_map_is_enlarged_to_any_shape():
    coarse = np.ones((4, 3, 5), np.uint8)
    assert (enlarge(coarse, 3, (10, 6, 12), 2) == 1).all()
    assert enlarge(coarse, 3, (10, 6, 12), 2).shape == (10, 6, 12)
