"""Looking at a plane while a network is trained."""

import numpy as np
import pytest

from napari_meunet.training.loop import preview
from napari_meunet.training.loop.preview import Preview
from napari_meunet.training.patches.specimen import Specimen
from napari_meunet.volume.volume import Volume

CHOSEN = 11


@pytest.fixture
def labels():
    """Two classes, which meet in one plane only."""
    labels = np.zeros((20, 70, 40), np.uint8)
    labels[5 : CHOSEN + 1, 10:30, 10:20] = 1
    labels[CHOSEN:15, 40:60, 20:35] = 2
    return labels


@pytest.fixture
def specimen(labels, rng):
    return specimen_of(labels, rng)


def specimen_of(labels, rng, **rule):
    image = rng.integers(0, 200, labels.shape, np.uint8) + 50 * labels
    pair = (Volume.from_array(array) for array in (image.astype(np.uint8), labels))
    return Specimen.index(*pair, 3, rng, **rule)


def look_at(specimens, held_out=(), size=32, predict=lambda image: image > 0.5):
    looks = []
    Preview(specimens, held_out, size, looks.append).look_when_due(predict)
    return looks[0]


def test_the_plane_with_all_classes_is_shown_whole_and_in_its_place(specimen, labels):
    look = look_at([specimen])
    low, high = specimen.intensity
    grey = (specimen.image.read(CHOSEN, CHOSEN + 1)[0] - low) / (high - low)
    assert look.z == CHOSEN
    np.testing.assert_array_equal(look.labels, labels[CHOSEN])
    np.testing.assert_allclose(look.image, np.clip(grey, 0, 1), atol=1e-6)
    np.testing.assert_array_equal(look.found, look.image > 0.5)


def test_raw_grey_values_are_shown_between_black_and_white(labels, rng):
    raw = specimen_of(labels, rng, rule=None)
    seen = []
    look = look_at([raw], predict=lambda image: seen.append(image) or image > 100)
    grey = raw.image.read(CHOSEN, CHOSEN + 1)[0]
    np.testing.assert_allclose(look.image, grey / 255, atol=1e-6)
    assert max(image.max() for image in seen) > 200  # the network sees raw values


def test_without_a_scan_an_image_is_made_up_and_stays_the_same(labels, rng):
    alone = Specimen.index(None, Volume.from_array(labels), 3, rng)
    first, second = (look_at([alone], size=80) for _ in range(2))
    assert first.made_up
    assert first.z == CHOSEN
    np.testing.assert_array_equal(first.image, second.image)
    np.testing.assert_array_equal(first.labels, labels[CHOSEN])
    means = [first.image[first.labels == value].mean() for value in range(3)]
    assert 0 <= min(means) < max(means) <= 1
    np.testing.assert_array_equal(first.found, first.image > 0.5)


def test_a_large_section_is_cut_around_its_labels(rng, monkeypatch):
    monkeypatch.setattr(preview, "WINDOWS", 1)
    labels = np.zeros((8, 200, 300), np.uint8)
    labels[4, 150:160, 220:240] = 1
    look = look_at([specimen_of(labels, rng)])
    assert look.labels.shape == (32, 32)
    assert (look.labels == 1).sum() == 200


def test_scans_that_are_not_learned_from_come_first(specimen, rng):
    other = specimen_of(np.ones((4, 4, 4), np.uint8), rng)
    assert look_at([specimen]).trained_on
    look = look_at([specimen], [other])
    assert not look.trained_on
    assert look.labels.shape == (4, 4)


def test_it_looks_at_once_and_then_only_when_due(specimen, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(preview.time, "monotonic", lambda: now[0])
    looks = []
    seen = Preview([specimen], [], 32, looks.append)
    for now[0], n_looks in ((0.0, 1), (9.0, 1), (11.0, 2), (20.0, 2), (22.0, 3)):
        seen.look_when_due(lambda image: image > 0.5)
        assert len(looks) == n_looks
