import nibabel
import numpy as np
import pytest
import tifffile

from napari_meunet.volume.fingerprint import N_PLANES, fingerprint
from napari_meunet.volume.open import open_volume
from napari_meunet.volume.volume import Volume


@pytest.fixture
def array(rng):
    return rng.integers(0, 60_000, (9, 6, 5), dtype=np.uint16)


def of(array):
    return fingerprint(Volume.from_array(array))


def test_a_copy_in_another_format_has_the_same_fingerprint(tmp_path, array):
    expected = of(array)
    for name, options in {
        "plain.tif": {},
        "big.tif": {"byteorder": ">"},
        "zlib.tif": {"compression": "zlib"},
    }.items():
        path = tmp_path / name
        tifffile.imwrite(path, array, photometric="minisblack", **options)
        assert fingerprint(open_volume(path)) == expected
    nibabel.save(nibabel.Nifti1Image(array.T, np.eye(4)), tmp_path / "a.nii.gz")
    assert fingerprint(open_volume(tmp_path / "a.nii.gz")) == expected


def test_shape_type_and_voxels_make_a_difference(array):
    changed = array.copy()
    changed[4, 3, 2] += 1
    others = [changed, array.view(np.int16), array.reshape(9, 5, 6), array[:-1]]
    assert len({of(other) for other in [array, *others]}) == 5


def test_it_is_sha256_in_hexadecimal(array):
    assert len(of(array)) == 64
    assert int(of(array), 16) >= 0


def test_a_few_planes_are_read_the_first_and_last_among_them():
    read = []

    class Counting:
        shape, dtype = (1000, 2, 2), np.dtype(np.uint8)

        def __getitem__(self, index):
            read.append(index.start)
            return np.zeros((1, 2, 2), np.uint8)

    fingerprint(Volume.from_array(Counting()))
    assert len(read) == N_PLANES
    assert (read[0], read[-1]) == (0, 999)
