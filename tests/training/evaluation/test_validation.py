import numpy as np
import pytest

from napari_meunet.training.evaluation.validation import validation_dice
from napari_meunet.training.label_values import IGNORE
from napari_meunet.training.patches.specimen import Specimen
from napari_meunet.volume.volume import Volume


@pytest.fixture
def specimen(rng):
    image = rng.integers(0, 255, (20, 33, 40), dtype=np.uint8)
    labels = (image > 120).astype(np.uint8) + (image > 200)
    return Specimen.index(
        Volume.from_array(image), Volume.from_array(labels.astype(np.uint8)), 3, rng
    )


def dice(*arguments):
    """Return what the generator returns."""

    def scores():
        found.append((yield from validation_dice(*arguments, "measuring")))

    found = []
    list(scores())
    return found[0]


@pytest.mark.parametrize("size", [16, 32, 64])
def test_windows_of_any_size_count_every_voxel_once(specimen, size):
    def predict(image):
        return (image > 0.6).astype(np.int64)

    low, high = specimen.intensity
    scaled = (specimen.image.read(0, 20).astype(float) - low) / (high - low)
    found, truth = scaled > 0.6, specimen.labels.read(0, 20) == 1
    expected = 2 * (found & truth).sum() / (found.sum() + truth.sum())
    scores = dice(predict, [specimen], size)
    assert scores[1] == pytest.approx(expected, abs=1e-6)
    assert scores[2] == 0


def test_voxels_without_a_label_do_not_count(rng):
    image = rng.integers(0, 255, (16, 16, 16), dtype=np.uint8)
    labels = np.full_like(image, IGNORE)
    labels[3] = 1
    one = Specimen.index(Volume.from_array(image), Volume.from_array(labels), 2, rng)
    assert dice(lambda p: np.ones(p.shape, int), [one], 16) == {1: 1.0}


def test_what_lies_beyond_the_scan_does_not_count(rng):
    image = rng.integers(0, 255, (16, 20, 20), dtype=np.uint8)
    one = Specimen.index(
        Volume.from_array(image), Volume.from_array(np.ones_like(image)), 2, rng
    )
    assert dice(lambda p: np.ones(p.shape, int), [one], 16) == {1: 1.0}


def test_every_window_is_told(specimen):
    predict = np.zeros_like
    steps = validation_dice(predict, [specimen, specimen], 32, "measuring")
    assert [(step.done, step.total) for step in steps] == [(i, 8) for i in range(1, 9)]
