import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_meunet.errors import MeUNetError
from napari_meunet.training.patches.augmentation import Augmentation
from napari_meunet.training.patches.batches import Batches
from napari_meunet.training.patches.sampler import PatchSampler
from napari_meunet.training.patches.specimen import Specimen, read_box
from napari_meunet.volume.volume import Volume


def specimen(image, labels, n_classes=2, **rule):
    rng = np.random.default_rng(0)
    return Specimen.index(
        Volume.from_array(image), Volume.from_array(labels), n_classes, rng, **rule
    )


@pytest.fixture
def pair(rng):
    image = rng.integers(0, 255, (40, 50, 60), dtype=np.uint8)
    labels = np.zeros_like(image)
    labels[3, 4, 5] = 1
    return image, labels


@given(st.tuples(*[st.integers(-9, 9)] * 3), st.integers(1, 12))
def test_a_box_beyond_the_array_is_padded_with_zeros(start, size):
    array = np.random.default_rng(0).integers(1, 255, (5, 6, 7), dtype=np.uint8)
    padded = np.pad(array, 30)
    z, y, x = (s + 30 for s in start)
    expected = padded[z : z + size, y : y + size, x : x + size]
    np.testing.assert_array_equal(read_box(array, np.array(start), size), expected)


def test_a_rare_class_is_found_and_lies_in_its_patch(pair):
    one = specimen(*pair)
    np.testing.assert_array_equal(one.voxels[1], [[3, 4, 5]])
    sampler, rng = PatchSampler([one], 1.0, 8), np.random.default_rng(1)
    for turn in range(20):
        image, labels = sampler.draw(32, rng, turn)
        assert image.shape == labels.shape == (32, 32, 32)
        assert labels.sum() == 1


def test_specimens_take_turns_and_so_do_the_classes_of_each(pair):
    image, _ = pair
    both = []
    for classes in ((1, 2), (3, 4)):
        labels = np.zeros_like(image)
        labels[20, 20, 5], labels[20, 20, 45] = classes
        both.append(specimen(image, labels, 5))
    sampler, rng = PatchSampler(both, 1.0, 0), np.random.default_rng(1)
    found = [sampler.draw(8, rng, turn)[1].max() for turn in range(6)]
    assert found == [1, 3, 2, 4, 1, 3]
    sampler = PatchSampler(both, 1.0, 0, [0, 1, 0, 0])
    found = [sampler.draw(8, rng, turn)[1].max() for turn in range(8)]
    assert found == [1, 3, 2, 1, 2, 4, 1, 2]


def test_processes_that_train_together_take_turns():
    turns = []

    class Taking:
        def draw(self, size, rng, turn):
            turns.append(turn)
            return np.zeros((size,) * 3, np.float32), np.zeros((size,) * 3, np.uint8)

    for step in range(2):
        for process in range(3):
            Batches(Taking(), 2, (0, process), process, 3).draw(step, 4)
    assert turns == list(range(12))


@pytest.mark.parametrize("deform", [0.0, 0.3])
@pytest.mark.parametrize(("local", "expanded"), [(32, 32), (32, 64), (48, 96)])
def test_the_local_patch_shows_the_voxel_that_it_was_drawn_for(deform, local, expanded):
    """However large the expanded patch around it, and at all places but its rim."""
    augmentation = Augmentation(deform, mirror=True)
    labels = np.zeros((200, 200, 200), np.uint8)
    labels[100, 100, 100] = 1
    grey = np.broadcast_to(np.arange(200, dtype=np.uint8), labels.shape)
    one = specimen(grey, labels)
    shift = augmentation.greatest_shift(local)
    sampler, rng = PatchSampler([one], 1.0, shift), np.random.default_rng(1)
    size, offsets = augmentation.drawn_size(expanded), []
    for turn in range(100):
        _, patch = sampler.draw(size, rng, turn)
        offsets.append(np.argwhere(patch == 1)[0] - size // 2)
    assert np.abs(offsets).max() == shift
    assert local / 4 <= shift < local / 2


def test_every_voxel_of_a_class_is_equally_likely(rng):
    labels = np.zeros((20, 30, 30), np.uint8)
    labels[:10] = 1  # 9000 voxels of each class, more than are remembered
    one = specimen(rng.integers(0, 255, labels.shape, dtype=np.uint8), labels)
    planes = np.bincount(one.voxels[1][:, 0], minlength=20)
    assert planes[10:].sum() == 0
    expected = planes.sum() / 10
    assert np.abs(planes[:10] - expected).max() < 5 * np.sqrt(expected)


def test_a_volume_smaller_than_the_patch_lies_in_zeros(rng):
    image = rng.integers(50, 255, (10, 12, 14), dtype=np.uint8)
    labels = np.ones_like(image)
    sampler = PatchSampler([specimen(image, labels)], 0.5, 8)
    patch, truth = sampler.draw(32, np.random.default_rng(1), 0)
    assert truth.sum() == image.size
    assert np.all(patch[truth == 0] == 0)


def test_shapes_types_and_values_are_checked(pair):
    image, labels = pair
    with pytest.raises(MeUNetError, match=r"same shape, got \(40, 50, 60\) and"):
        specimen(image, labels[1:])
    with pytest.raises(MeUNetError, match="integers, got float32"):
        specimen(image, labels.astype(np.float32))
    with pytest.raises(MeUNetError, match=r"0 to 1 .*, got 7 in plane 2"):
        labels[2, 0, 0] = 7
        specimen(image, labels)


@pytest.mark.parametrize(("theirs", "fits"), [(2.02, True), (2.1, False)])
def test_labels_of_another_spacing_are_refused(pair, theirs, fits):
    image, labels = map(Volume.from_array, pair)
    image, labels = image.with_spacing((3, 2, 2)), labels.with_spacing((3, theirs, 2))
    rng = np.random.default_rng(0)
    if fits:  # files round
        Specimen.index(image, labels, 2, rng)
        return
    with pytest.raises(MeUNetError, match=r"same spacing, got 3 x 2 x 2 um .* 3 x 2.1"):
        Specimen.index(image, labels, 2, rng)


def test_a_spacing_that_only_one_of_them_says_is_no_mistake(pair):
    image, labels = map(Volume.from_array, pair)
    rng = np.random.default_rng(0)
    assert Specimen.index(image.with_spacing((3, 2, 2)), labels, 2, rng).voxels


def test_labels_without_a_scan_give_patches_with_an_empty_image(pair):
    labels = pair[1]
    rng = np.random.default_rng(0)
    one = Specimen.index(None, Volume.from_array(labels), 2, rng)
    assert one.shape == labels.shape
    assert one.intensity is None
    image, truth = PatchSampler([one], 1.0, 4).draw(16, rng, 0)
    assert truth.sum() == 1
    assert image.dtype == np.float32
    assert not image.any()


def test_raw_values_stay_as_they_are_and_must_be_bytes(pair):
    image, labels = pair
    one = specimen(image, labels, rule=None)
    patch, _ = one.patch(np.array([-1, 0, 0]), 16)
    assert not patch[0].any()
    np.testing.assert_array_equal(patch[1:], image[:15, :16, :16])
    with pytest.raises(MeUNetError, match="8 bits, got uint16"):
        specimen(image.astype(np.uint16), labels, rule=None)


def test_the_voxels_of_every_class_are_counted(rng):
    labels = rng.choice([0, 1, 2, 255], (9, 10, 11)).astype(np.uint8)
    one = specimen(rng.integers(0, 255, labels.shape, dtype=np.uint8), labels, 4)
    expected = [(labels == value).sum() for value in range(4)]
    np.testing.assert_array_equal(one.counts, expected)
    assert one.is_sparse


def test_a_value_without_a_class_that_is_painted_meanwhile_is_refused(pair):
    image, labels = pair
    one = specimen(image, labels)
    labels[2] = 7
    with pytest.raises(MeUNetError, match=r"0 to 1 .*, got 7 in what was painted"):
        one.patch(np.zeros(3, int), 16)
