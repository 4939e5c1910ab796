from itertools import pairwise

import numpy as np
import pytest
from scipy import ndimage

from napari_meunet.errors import MeUNetError
from napari_meunet.training.phantoms.anatomy import Tissue, draw_anatomy
from napari_meunet.training.phantoms.body import place
from napari_meunet.training.phantoms.phantom import (
    CLASSES,
    LABEL_OF_TISSUE,
    make_phantom,
)

SHAPE = (96, 64, 64)


@pytest.fixture(scope="module")
def phantoms():
    return [make_phantom(SHAPE, seed) for seed in range(6)]


def best_intensity_dice(image, mask):
    """Return the best Dice that any set of grey values can reach for a mask."""
    inside = np.bincount(image[mask], minlength=256)
    anywhere = np.bincount(image.ravel(), minlength=256)
    order = np.argsort(-inside / np.maximum(anywhere, 1))
    taken, hits = np.cumsum(anywhere[order]), np.cumsum(inside[order])
    return (2 * hits / (taken + inside.sum())).max()


def test_the_same_arguments_give_the_same_bytes(phantoms):
    again = make_phantom(SHAPE, 3)
    assert again.image.tobytes() == phantoms[3].image.tobytes()
    assert again.labels.tobytes() == phantoms[3].labels.tobytes()


def test_seeds_give_different_flies(phantoms):
    for one, other in pairwise(phantoms):
        assert (one.labels != other.labels).mean() > 0.01
        assert (one.image != other.image).mean() > 0.5


@pytest.mark.parametrize("scanner", [None, 5])
def test_a_texture_changes_the_picture_and_nothing_else(scanner):
    noise, cells = (
        make_phantom(SHAPE, 3, scanner=scanner, texture=each)
        for each in ("noise", "cells")
    )
    np.testing.assert_array_equal(noise.labels, cells.labels)
    assert noise.spacing == cells.spacing
    assert (noise.image != cells.image).mean() > 0.5
    assert noise.image.mean() == pytest.approx(cells.image.mean(), rel=0.01)


@pytest.mark.parametrize("scanner", [None, 5])
def test_a_stain_changes_the_picture_and_not_the_fly(scanner):
    usual, other = (
        make_phantom(SHAPE, 3, scanner=scanner, stain=each) for each in ("usual", "any")
    )
    np.testing.assert_array_equal(usual.labels, other.labels)
    assert (usual.image != other.image).mean() > 0.3


def test_a_scanner_changes_the_picture_and_not_the_fly(phantoms):
    same = make_phantom(SHAPE, 3, scanner=5)
    np.testing.assert_array_equal(same.labels, phantoms[3].labels)
    assert (same.image != phantoms[3].image).any()


def test_one_scanner_shows_an_organ_alike_in_every_fly():
    def contrast(seed, scanner):
        phantom = make_phantom(SHAPE, seed, scanner=scanner)
        ovary = phantom.image[phantom.labels == 2].mean()
        return ovary / phantom.image[phantom.labels == 1].mean()

    one = [contrast(seed, 5) for seed in range(4)]
    many = [contrast(seed, None) for seed in range(4)]
    assert np.std(one) < np.std(many) / 2


def test_gut_and_ovary_each_take_one_to_six_per_cent(phantoms):
    for phantom in phantoms:
        parts = np.bincount(phantom.labels.ravel(), minlength=3) / phantom.labels.size
        assert len(parts) == len(CLASSES)
        assert 0.01 < parts[1] < 0.06
        assert 0.01 < parts[2] < 0.06


def test_the_gut_is_one_tube_from_thorax_to_tail(phantoms):
    for phantom in phantoms:
        pieces, n = ndimage.label(phantom.labels == 1)
        assert n == 1
        (box,) = ndimage.find_objects(pieces)
        assert box[0].stop - box[0].start > 0.6 * SHAPE[0]


def test_no_grey_value_rule_finds_the_organs(phantoms):
    for phantom in phantoms:
        for value in (1, 2):
            assert best_intensity_dice(phantom.image, phantom.labels == value) < 0.75


def test_organs_show_in_the_picture(phantoms):
    for phantom in phantoms:
        around = ndimage.binary_dilation(phantom.labels == 2, iterations=4)
        around &= phantom.labels == 0
        inside = phantom.image[phantom.labels == 2].astype(float)
        assert inside.mean() > phantom.image[around].mean() + 10


@pytest.mark.parametrize("shape", [(32, 32, 32), (97, 80, 75), (40, 64, 96)])
def test_any_shape_from_32_up_has_every_class(shape):
    phantom = make_phantom(shape, 1)
    assert phantom.image.shape == phantom.labels.shape == shape
    assert phantom.image.dtype == phantom.labels.dtype == np.uint8
    assert np.unique(phantom.labels).tolist() == [0, 1, 2]


@pytest.mark.parametrize("shape", [(31, 64, 64), (64, 64), (64, 64, 0)])
def test_a_shape_too_small_is_refused_with_the_shape(shape):
    with pytest.raises(MeUNetError, match=r"at least 32 .*got \(" + str(shape[0])):
        make_phantom(shape)


def test_the_physical_width_does_not_depend_on_the_shape(phantoms):
    width = 470 * 2.951345
    for phantom in (phantoms[0], make_phantom((64, 40, 50))):
        assert len(set(phantom.spacing)) == 1
        assert phantom.spacing[2] * phantom.image.shape[2] == pytest.approx(width)


def test_labels_are_the_tissues_of_gut_and_ovary():
    labelled = {tissue.name: int(LABEL_OF_TISSUE[tissue]) for tissue in Tissue}
    assert {name for name, label in labelled.items() if label == 1} == {
        "GUT_WALL",
        "GUT_CONTENTS",
    }
    assert {name for name, label in labelled.items() if label == 2} == {
        "YOLK",
        "NURSE_CELLS",
        "SHEATH",
    }


def test_every_tissue_occurs_and_the_gut_wall_encloses_the_contents(rng):
    tissue = draw_anatomy(place((128, 96, 96), 1, rng), rng, None)
    assert np.unique(tissue).tolist() == sorted(Tissue)
    reached = ndimage.binary_dilation(tissue == Tissue.GUT_CONTENTS)
    assert set(np.unique(tissue[reached])) <= {Tissue.GUT_WALL, Tissue.GUT_CONTENTS}


def test_the_cuticle_encloses_the_body(rng):
    tissue = draw_anatomy(place((128, 96, 96), 1, rng), rng, None)
    outside, _ = ndimage.label(tissue == Tissue.AIR)
    reached = ndimage.binary_dilation(outside == outside[0, 0, 0])
    touched = set(np.unique(tissue[reached]))
    # Legs are cut by the faces of the volume, nothing else is ever open.
    assert touched <= {Tissue.AIR, Tissue.CUTICLE, Tissue.MUSCLE}


@pytest.mark.slow
def test_a_large_fly_is_drawn_coarsely_and_its_organs_stay_closed_and_of_their_size():
    phantom = make_phantom((536, 236, 236), 2)
    parts = np.bincount(phantom.labels.ravel(), minlength=3) / phantom.labels.size
    assert 0.01 < parts[1] < 0.06
    assert 0.01 < parts[2] < 0.06
    pieces, _ = ndimage.label(phantom.labels == 1)
    assert np.bincount(pieces.ravel())[1:].max() > 0.99 * (pieces > 0).sum()


def test_real_organs_keep_their_share_of_the_scan(shared_data):
    phantom = make_phantom(SHAPE, 0, shared_data / "fly_organs")
    parts = np.bincount(phantom.labels.ravel(), minlength=3) / phantom.labels.size
    assert 0.007 < parts[1] < 0.06
    assert 0.007 < parts[2] < 0.06
    again = make_phantom(SHAPE, 0, shared_data / "fly_organs")
    np.testing.assert_array_equal(phantom.image, again.image)
