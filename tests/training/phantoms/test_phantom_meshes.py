import gzip

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from napari_meunet.errors import MeUNetError
from napari_meunet.training.phantoms.meshes import fly_names, read_obj, voxelise

CORNERS = np.array([[z, y, x] for z in (0, 1) for y in (0, 1) for x in (0, 1)], float)
SQUARES = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4)]
SQUARES += [(1, 5, 7, 3)]
TRIANGLES = np.array([t for a, b, c, d in SQUARES for t in ((a, b, c), (a, c, d))])


def cuboid(low, high):
    low, high = np.array(low), np.array(high)
    return low + CORNERS * (high - low), TRIANGLES


def test_a_cuboid_fills_the_voxels_whose_centres_it_holds():
    solid = voxelise(cuboid((2.5, 3.5, 0.5), (6.5, 4.5, 9.5)), (10, 8, 12))
    expected = np.zeros((10, 8, 12), bool)
    expected[3:7, 4:5, 1:10] = True
    np.testing.assert_array_equal(solid, expected)


def test_the_winding_does_not_matter():
    vertices, triangles = cuboid((2.5, 2.5, 2.5), (6.5, 6.5, 6.5))
    np.testing.assert_array_equal(
        voxelise((vertices, triangles), (9, 9, 9)),
        voxelise((vertices, triangles[:, ::-1]), (9, 9, 9)),
    )


def test_a_cavity_stays_empty():
    outer, inner = cuboid((1.5,) * 3, (9.5,) * 3), cuboid((3.5,) * 3, (6.5,) * 3)
    vertices = np.vstack([outer[0], inner[0]])
    triangles = np.vstack([outer[1], inner[1][:, ::-1] + 8])
    solid = voxelise((vertices, triangles), (12, 12, 12))
    assert solid.sum() == 8**3 - 3**3
    assert not solid[4:7, 4:7, 4:7].any()


def test_a_part_outside_the_grid_is_cut_off():
    solid = voxelise(cuboid((-5.5, 2.5, 2.5), (3.5, 20.5, 4.5)), (8, 8, 8))
    expected = np.zeros((8, 8, 8), bool)
    expected[:4, 3:, 3:5] = True
    np.testing.assert_array_equal(solid, expected)


def test_a_turned_cuboid_has_its_volume_and_its_place(rng):
    vertices, triangles = cuboid((-8, -6, -10), (8, 6, 10))
    turn = Rotation.random(rng=rng)
    solid = voxelise((turn.apply(vertices) + 19.5, triangles), (40, 40, 40))
    points = turn.inv().apply(np.argwhere(np.ones((40, 40, 40))) - 19.5)
    distance = (np.abs(points) - (8, 6, 10)).max(axis=1).reshape(40, 40, 40)
    assert solid[distance < -0.8].all()
    assert not solid[distance > 0.8].any()
    assert solid.sum() == pytest.approx(16 * 12 * 20, rel=0.01)


def test_an_obj_file_is_read_back(tmp_path):
    path = tmp_path / "cube.obj.gz"
    text = "# a comment\n\nv 0 0 0.5\nv 1 0 0\nv 0 1 0\nf 1//1 2//2 3//3\n"
    path.write_bytes(gzip.compress(text.encode()))
    vertices, triangles = read_obj(path)
    np.testing.assert_array_equal(vertices, [[0, 0, 0.5], [1, 0, 0], [0, 1, 0]])
    np.testing.assert_array_equal(triangles, [[0, 1, 2]])


def make_flies(folder, names):
    for organ in ("gut", "ovary"):
        (folder / organ).mkdir()
        for name in names:
            (folder / organ / f"{name}.obj.gz").touch()


def test_every_fly_with_both_organs_is_in_one_split(tmp_path):
    make_flies(tmp_path, [f"V{i}" for i in range(20)])
    (tmp_path / "gut" / "no_ovary.obj.gz").touch()
    splits = [fly_names(tmp_path, s) for s in ("train", "validation", "test")]
    assert [len(names) for names in splits] == [14, 2, 4]
    placed = [name for names in splits for name in names]
    assert sorted(placed) == sorted(f"V{i}" for i in range(20))


def test_a_folder_without_flies_is_named(tmp_path):
    with pytest.raises(MeUNetError, match=f"got 0 in {tmp_path}"):
        fly_names(tmp_path, "train")


def test_a_real_gut_keeps_the_volume_that_its_mesh_encloses(shared_data):
    name = fly_names(shared_data / "fly_organs", "train")[0]
    vertices, triangles = read_obj(shared_data / "fly_organs/gut" / f"{name}.obj.gz")
    vertices = (vertices - vertices.min(axis=0))[:, ::-1] / 0.02 + 2
    a, b, c = np.moveaxis(vertices[triangles], 1, 0)
    enclosed = abs((a * np.cross(b, c)).sum() / 6)
    shape = tuple(int(n) for n in np.ceil(vertices.max(axis=0)) + 3)
    assert voxelise((vertices, triangles), shape).sum() == pytest.approx(
        enclosed, rel=0.01
    )
