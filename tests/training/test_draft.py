from pathlib import Path

import numpy as np
import pytest

from napari_meunet.config import TrainingConfig
from napari_meunet.network.card import Card, IntensityRule, NetworkConfig
from napari_meunet.network.checkpoint import Checkpoint
from napari_meunet.network.classes import unnamed_classes
from napari_meunet.training.draft import draft_card
from napari_meunet.volume.volume import Volume

SCANS = [Volume.from_array(np.zeros((4, 4, 4), np.uint8))]


def draft(initial=None, **values):
    return draft_card(
        Path("models/fly.safetensors"),
        unnamed_classes(3),
        TrainingConfig(**values),
        SCANS,
        command="now",
        initial=initial,
    )


@pytest.fixture
def initial():
    card = Card(
        name="earlier",
        version="1",
        network=NetworkConfig(
            n_classes=2,
            features=(4, 4, 4, 4, 4),
            refinement_features=(2, 2, 2),
            fusion="post",
        ),
        classes=unnamed_classes(2),
        intensity=IntensityRule(low=1, high=99),
        data="",
        licence="CC0-1.0",
        command=("before",),
    )
    return Checkpoint({}, card)


def test_a_new_model_is_what_the_config_says():
    card = draft(fusion="pre")

    assert card.name == "fly"
    assert (card.network.n_classes, card.network.fusion) == (3, "pre")
    assert card.intensity == IntensityRule()
    assert (card.data, card.licence) == ("labelled scans: 1", "unknown")
    assert card.command == ("now",)


def test_grey_values_as_they_are_need_no_rule():
    assert draft(normalise=False, augmentation="affine").intensity is None


def test_widths_percentiles_and_commands_of_an_earlier_model_are_kept(initial):
    card = draft(initial)

    assert card.network.features == initial.card.network.features
    assert card.network.refinement_features == (2, 2, 2)
    assert card.intensity == initial.card.intensity
    assert card.command == ("before", "now")
    assert card.licence == "unknown"


def test_what_an_earlier_model_does_not_fit_is_left_for_the_engine_to_refuse(initial):
    card = draft(initial, fusion="none")

    assert card.network.n_classes == 3
    assert card.network.fusion == "none"
