"""Which mirror images mean the same to a model."""

import pytest

from napari_meunet.config import TrainingConfig
from napari_meunet.network.card import (
    BUNDLED,
    TrainingRecord,
    checkpoint_path,
    read_card,
)
from napari_meunet.network.orientations import AXES, flips_alike, orientations


def card_of(*configs):
    records = tuple(
        TrainingRecord(
            specimens=("one",), config=config, versions={}, device="cpu", seconds=1
        )
        for config in configs
    )
    card = read_card(checkpoint_path(BUNDLED))
    return card.model_copy(update={"training": records})


def learned(**values):
    return TrainingConfig(**values).model_dump(mode="json")


@pytest.mark.parametrize("turn", ["any", "about_z", "none"])
@pytest.mark.parametrize("mirror", [True, False])
def test_what_a_patch_may_look_like_is_what_is_alike(turn, mirror):
    flips = flips_alike(card_of(learned(turn=turn, mirror=mirror)))
    assert flips[0] == ()
    n_alike = {"any": 4, "about_z": 2, "none": 1}[turn]
    assert len(set(flips)) == (8 if mirror else n_alike)
    assert {(AXES, each) for each in flips} <= set(orientations(turn, mirror=mirror))


@pytest.mark.parametrize("turn", ["any", "about_z", "none"])
def test_sides_are_never_exchanged_by_half_turns(turn):
    flips = flips_alike(card_of(learned(turn=turn, mirror=False)))
    assert all(len(each) % 2 == 0 for each in flips)


@pytest.mark.parametrize(
    ("first", "second", "n"),
    [
        ({}, {"mirror": False}, 4),
        ({"mirror": False, "turn": "about_z"}, {}, 2),
        ({}, {"augmentation": "affine"}, 1),
        ({}, {"augmentation": "none"}, 1),
    ],
)
def test_all_trainings_of_a_model_count(first, second, n):
    card = card_of(learned(**first), learned(**second))
    assert len(flips_alike(card)) == n


def test_the_bundled_model_learned_all_flips():
    assert len(flips_alike(read_card(checkpoint_path(BUNDLED)))) == 8


@pytest.mark.parametrize("config", [{}, {"mirror": "yes", "turn": 3}])
def test_of_a_model_nobody_knows_the_trainings_of_nothing_is_supposed(config):
    assert flips_alike(card_of()) == ((),)
    assert flips_alike(card_of(config)) == ((),)


def test_turns_of_a_body_are_24_and_with_mirror_images_48():
    assert len(set(orientations("any", mirror=False))) == 24
    assert len(set(orientations("any", mirror=True))) == 48
    assert all(order == AXES for order, _ in orientations("none", mirror=True))
    about_z = orientations("about_z", mirror=False)
    assert len(about_z) == 4
    assert all(-3 not in flips for _, flips in about_z)
