"""Which of two models is better, or what lies halfway between them."""

import numpy as np
import pytest
import torch

from napari_meunet.config import SegmentationConfig
from napari_meunet.inference.part import segment_part
from napari_meunet.labels.box import box_at
from napari_meunet.learning.comparison import Known, Outcome, Score, better_model
from napari_meunet.network.card import Card, NetworkConfig
from napari_meunet.network.cascade import Cascade
from napari_meunet.network.checkpoint import Checkpoint
from napari_meunet.network.classes import unnamed_classes
from napari_meunet.progress import returned
from napari_meunet.volume.volume import Volume

HOW = SegmentationConfig(device="cpu", precision="fp32")
BOXES = [box_at((0, 0, 0), (16, 16, 16)), box_at((16, 8, 8), (16, 24, 16))]


@pytest.fixture
def volume(rng):
    return Volume.from_array(rng.integers(0, 255, (32, 32, 32), dtype=np.uint8))


@pytest.fixture
def models():
    """Return two models, and one with the means of their weights."""
    network = NetworkConfig(
        n_classes=3,
        features=(4, 4, 4, 4, 4),
        refinement_features=(2, 2, 2),
        fusion="post",
    )
    card = Card(
        name="some",
        version="1",
        network=network,
        classes=unnamed_classes(3),
        data="nothing",
        licence="BSD-3-Clause",
    )
    weights = []
    for seed in (1, 3):
        torch.manual_seed(seed)
        weights.append(Cascade(**network.model_dump()).eval().state_dict())
        for name, weight in weights[-1].items():
            if name.endswith("bias"):  # else most networks say the same everywhere
                weight.zero_()
    means = {
        name: (weight + weights[1][name]) / 2 if weight.is_floating_point() else weight
        for name, weight in weights[0].items()
    }
    return [Checkpoint(each, card) for each in (*weights, means)]


@pytest.fixture
def known(volume, tmp_path):
    """Return a function that takes for known what a model says."""

    def labelled_by(model):
        parts = [
            (box, returned(segment_part(volume, model, HOW, box, tmp_path)))
            for box in BOXES
        ]
        return Known(volume, parts, HOW, tmp_path)

    return labelled_by


def test_what_lies_halfway_is_taken_where_it_is_better(known, models):
    old, new, middle = models
    outcome, best = returned(better_model(known(middle), old, new))
    assert outcome.halfway
    assert outcome.is_better
    assert outcome.after.wrong == 0 < outcome.before.wrong
    assert outcome.before.total == outcome.after.total == 16**3 + 16 * 24 * 16
    for name, weight in middle.weights.items():
        torch.testing.assert_close(best.weights[name], weight)
    assert "mean of the weights" in best.card.data


def test_the_new_model_is_taken_where_it_is_better(known, models):
    old, new, _ = models
    outcome, best = returned(better_model(known(new), old, new))
    assert not outcome.halfway
    assert outcome.after.wrong == 0
    assert best is new


@pytest.mark.parametrize(
    ("after", "is_better"), [(94, True), (95, False), (200, False)]
)
def test_a_model_must_be_clearly_better(after, is_better):
    outcome = Outcome(Score(100, 1000, {}), Score(after, 1000, {}))
    assert outcome.is_better == is_better
