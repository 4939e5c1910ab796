"""The model calls every voxel gut, so that its figures are known."""

import numpy as np
import pytest
import torch
from torch import nn

from napari_meunet.config import Calibration, SegmentationConfig
from napari_meunet.measurement import measure_model, record_on_card
from napari_meunet.network.card import (
    Card,
    NetworkConfig,
    TrainingRecord,
    read_card,
)
from napari_meunet.network.cascade import Cascade
from napari_meunet.network.checkpoint import (
    Checkpoint,
    load_checkpoint,
    save_checkpoint,
)
from napari_meunet.network.classes import named_classes
from napari_meunet.training.evaluation.metrics import Overlap
from napari_meunet.training.label_values import IGNORE
from napari_meunet.volume.volume import Volume

CONFIG = SegmentationConfig(device="cpu")
CLASSES = named_classes(("gut", "ovary", "brain"))


@pytest.fixture
def model(tmp_path):
    """A network that calls every voxel gut."""
    network = NetworkConfig(
        n_classes=4, features=(2,) * 5, refinement_features=(2,) * 3, fusion="none"
    )
    card = Card(
        name="gut",
        version="1",
        network=network,
        classes=CLASSES,
        data="nothing",
        licence="BSD-3-Clause",
    )
    cascade = Cascade(**network.model_dump())
    head = cascade.stage1.conv_out
    nn.init.zeros_(head.weight)
    head.bias.data = torch.tensor([0.0, 1.0, 0.0, 0.0])
    path = tmp_path / "gut.safetensors"
    save_checkpoint(Checkpoint(cascade.state_dict(), card), path)
    return path


@pytest.fixture
def scan(rng):
    return Volume.from_array(rng.integers(0, 256, (9, 24, 24), dtype=np.uint8))


def truth(*planes):
    """Return labels with one value a plane."""
    values = np.array(planes, np.uint8)[:, None, None]
    return Volume.from_array(np.broadcast_to(values, (9, 24, 24)).copy())


def test_figures_are_means_over_the_scans_that_hold_a_class(model, scan):
    some_gut = truth(1, 1, 1, 1, 1, 0, 0, 0, IGNORE)
    with_ovary = truth(2, 2, 1, 1, 1, 1, 1, 1, 1)

    pairs = [(scan, some_gut), (scan, with_ovary)]
    steps = list(measure_model(model, pairs, CONFIG))

    assert steps[-1].message == "measuring on scan 2 of 2"
    assert steps[-1].done == steps[-1].total
    assert read_card(model).metrics == {
        "Dice gut, mean of 2 scans": round((10 / 13 + 14 / 16) / 2, 4),
        "IoU gut, mean of 2 scans": round((5 / 8 + 7 / 9) / 2, 4),
        "Dice ovary, mean of 1 scans": 0,
        "IoU ovary, mean of 1 scans": 0,
    }


def test_figures_of_other_scans_stand_beside_those_of_validation(model, scan):
    list(measure_model(model, [(scan, truth(*[1] * 9))], CONFIG))
    right, wrong = Overlap(4, 4, 4), Overlap(0, 4, 0)

    record_on_card(model, [{1: right}, {1: wrong, 2: wrong}], "old scans")
    record_on_card(model, [{1: right}], "new scans")
    record_on_card(model, [{1: wrong}], "old scans")

    assert read_card(model).metrics == {
        "Dice gut, mean of 1 scans": 1,
        "IoU gut, mean of 1 scans": 1,
        "Dice gut, new scans, mean of 1 scans": 1,
        "IoU gut, new scans, mean of 1 scans": 1,
        "Dice gut, old scans, mean of 1 scans": 0,
        "IoU gut, old scans, mean of 1 scans": 0,
    }


def test_what_is_known_of_its_judgement_stays_until_it_is_measured_anew(model, scan):
    measured = Calibration(claimed=(0.0, 1.0), wrong=(0.0, 0.5), n_scans=3)
    record_on_card(model, [], "others", measured)
    assert read_card(model).calibration == measured
    record_on_card(model, [], "others")
    assert read_card(model).calibration == measured
    # the same confidence everywhere is no curve
    list(measure_model(model, [(scan, truth(*[1] * 9))], CONFIG))
    assert read_card(model).calibration == measured


def test_scans_that_chose_the_weights_are_called_so(model, scan):
    checkpoint = load_checkpoint(model)
    record = TrainingRecord(
        specimens=("a",), config={"patience": 3}, versions={}, device="cpu", seconds=1
    )
    card = checkpoint.card.model_copy(update={"training": (record,)})
    save_checkpoint(Checkpoint(checkpoint.weights, card), model)
    list(measure_model(model, [(scan, truth(*[1] * 9))], CONFIG))
    names = read_card(model).metrics.keys()
    assert len(names) == 2
    assert all(", scans that chose the weights, " in name for name in names)


def test_without_scans_the_card_stays_as_it_is(model):
    before = model.read_bytes()

    assert list(measure_model(model, [], CONFIG)) == []

    assert model.read_bytes() == before


def test_one_that_is_broken_off_leaves_the_model_and_no_labels(model, scan, tmp_path):
    before = model.read_bytes()
    steps = measure_model(model, [(scan, scan)], CONFIG)
    next(steps)
    assert len(list(tmp_path.iterdir())) == 2

    steps.close()

    assert list(tmp_path.iterdir()) == [model]
    assert model.read_bytes() == before
