"""A part of a scan gets the labels that it has in the whole."""

from dataclasses import replace

import numpy as np
import pytest

from napari_meunet.config import SegmentationConfig, TrainingConfig
from napari_meunet.errors import MeUNetError
from napari_meunet.inference.part import segment_part, with_surroundings
from napari_meunet.inference.segment import segment
from napari_meunet.network.card import SpacingRange, TrainingRecord
from napari_meunet.progress import returned
from napari_meunet.volume.volume import Spacing, Volume

CONFIG = SegmentationConfig(device="cpu", precision="fp32")
PLACES = {
    (500, 20, 20): np.s_[250:267, 3:9, :],
    (20, 450, 20): np.s_[:, 230:240, 5:6],
    (20, 20, 450): np.s_[4:12, :, 229:261],
}


@pytest.fixture(scope="module")
def checkpoint(make_checkpoint):
    return make_checkpoint("post")


def scan_of(shape, zyx=None):
    voxels = np.random.default_rng(3).integers(0, 200, shape, dtype=np.uint8)
    voxels[0] = 255  # elsewhere, so that the part alone would be scaled otherwise
    return Volume.from_array(voxels, zyx and Spacing(zyx, "test"))


def as_box(place, shape):
    z, y, x = (slice(*p.indices(n)[:2]) for p, n in zip(place, shape, strict=True))
    return z, y, x


def whole_labels(volume, checkpoint, labels, config=CONFIG):
    list(segment(volume, checkpoint, config, labels))
    return labels.labels


@pytest.mark.parametrize("shape", PLACES, ids=["z", "y", "x"])
def test_labels_are_those_of_the_whole(shape, checkpoint, memory_labels):
    volume, box = scan_of(shape), as_box(PLACES[shape], shape)
    seen = with_surroundings(volume, checkpoint.card, CONFIG, box)
    assert any(p.start > 0 and p.stop < n for p, n in zip(seen, shape, strict=True))
    expected = whole_labels(volume, checkpoint, memory_labels(shape))[box]
    found = returned(segment_part(volume, checkpoint, CONFIG, box))
    assert len(np.unique(expected)) == 3
    np.testing.assert_array_equal(found, expected)


def test_a_scan_that_is_shown_at_a_lower_resolution(checkpoint, memory_labels):
    coarse = SpacingRange(finest=(2.0, 2.0, 4.0), coarsest=(2.0, 2.0, 4.0))
    card = checkpoint.card.model_copy(update={"spacing": coarse})
    checkpoint, shape = replace(checkpoint, card=card), (20, 20, 720)
    volume, box = scan_of(shape, (2.0, 2.0, 2.0)), as_box(np.s_[:, 3:9, 350:377], shape)
    seen = with_surroundings(volume, card, CONFIG, box)
    assert seen[2] == slice(352 - 32 - 2 * 112, 384 + 2 * 112)
    expected = whole_labels(volume, checkpoint, memory_labels(shape))[box]
    found = returned(segment_part(volume, checkpoint, CONFIG, box))
    np.testing.assert_array_equal(found, expected)


def test_a_part_is_averaged_as_the_whole_is(checkpoint, memory_labels):
    record = TrainingRecord(
        specimens=("one",),
        config=TrainingConfig(mirror=False, turn="about_z").model_dump(mode="json"),
        versions={},
        device="cpu",
        seconds=1,
    )
    card = checkpoint.card.model_copy(update={"training": (record,)})
    checkpoint, shape = replace(checkpoint, card=card), (20, 20, 450)
    volume, box = scan_of(shape), as_box(PLACES[shape], shape)
    config = CONFIG.model_copy(update={"average": True})
    whole = whole_labels(volume, checkpoint, memory_labels(shape), config)[box]
    found = returned(segment_part(volume, checkpoint, config, box))
    np.testing.assert_array_equal(found, whole)
    once = returned(segment_part(volume, checkpoint, CONFIG, box))
    assert (found != once).any()


def test_half_the_surroundings_are_read_where_that_is_enough(checkpoint):
    volume = scan_of((20, 20, 450))
    config = CONFIG.model_copy(update={"exact_halo": False})
    box = as_box(np.s_[:, :, 229:261], volume.shape)
    seen = with_surroundings(volume, checkpoint.card, config, box)
    assert seen == (slice(0, 20), slice(0, 20), slice(224 - 48, 272 + 48))


def test_the_windows_of_the_paper_are_for_whole_scans(checkpoint):
    volume, config = scan_of((20, 20, 20)), SegmentationConfig(preset="paper")
    with pytest.raises(MeUNetError, match="preset 'exact', got 'paper'"):
        box = as_box(np.s_[:, :, :], volume.shape)
        next(segment_part(volume, checkpoint, config, box))
