"""Trainings of other kinds than the default: what they need, and what they leave."""

import itertools
from contextlib import closing

import numpy as np
import pytest
import torch

from napari_meunet.config import PRESETS, LabelClass, TrainingConfig
from napari_meunet.errors import MeUNetError
from napari_meunet.network.card import Card, IntensityRule, NetworkConfig
from napari_meunet.network.checkpoint import load_checkpoint
from napari_meunet.network.classes import unnamed_classes
from napari_meunet.training.label_values import IGNORE
from napari_meunet.training.loop import fit
from napari_meunet.training.loop.losses import class_weights
from napari_meunet.training.loop.objectives import Stage1Objective
from napari_meunet.training.train import train
from napari_meunet.volume.volume import Volume

pytestmark = pytest.mark.usefixtures("short_calibration")

SHORT = {"patch_size": 32, "expanded_size": 48, "batch_size": 1}
PAPER = TrainingConfig.checked(
    **{**PRESETS["paper"], **SHORT, "stage1_steps": 3, "validation_steps": 2}
)
STAGE1 = TrainingConfig.checked(
    **SHORT, fusion="none", stage1_steps=3, stage2_steps=0, synthetic=1
)


def card_for(config, classes=None):
    classes = classes or unnamed_classes(2)
    return Card(
        name="tiny",
        version="1",
        network=NetworkConfig(
            n_classes=len(classes),
            features=(4,) * 5,
            refinement_features=(2,) * 3,
            fusion="none",
        ),
        classes=classes,
        intensity=IntensityRule() if config.normalise else None,
        data="a ball",
        licence="BSD-3-Clause",
    )


def ball(seed=0, value=1):
    rng = np.random.default_rng(seed)
    z, y, x = np.indices((40, 44, 48)) - 22
    labels = np.where(z**2 + y**2 + x**2 < 12**2, value, 0).astype(np.uint8)
    image = rng.integers(0, 60, labels.shape) + 150 * (labels > 0)
    return Volume.from_array(image.astype(np.uint8)), Volume.from_array(labels)


def run(pairs, tmp_path, config, card=None, **others):
    path = tmp_path / "model.safetensors"
    steps = list(train(pairs, config, card or card_for(config), path, **others))
    return steps, load_checkpoint(path)


def test_the_published_recipe_trains_on_raw_values_and_keeps_running_statistics(
    tmp_path, monkeypatch
):
    shown, weights = [], []
    forward = Stage1Objective.forward

    def recorded(self, image, labels, offsets):
        shown.append(image.clone())
        weights.append(self._loss.keywords["weights"])
        return forward(self, image, labels, offsets)

    monkeypatch.setattr(Stage1Objective, "forward", recorded)
    steps, checkpoint = run([ball()], tmp_path, PAPER, validation=[ball(1)])
    units = ["steps", "windows", "steps", "windows", "steps"]  # validated twice
    assert [step.unit for step in steps] == units
    assert len(shown) == 3
    assert all(image.shape == (1, 1, 48, 48, 48) for image in shown)
    assert max(image.max() for image in shown) > 150
    # one update a step until the best validation, and no measurement afterwards
    assert int(checkpoint.weights["stage1.enc1.0.1.num_batches_tracked"]) in {2, 3}
    assert checkpoint.card.intensity is None
    # the scan is padded to 48 along each axis and has windows at 0 and 16
    labels = np.pad(ball()[1].read(0, 40), ((4, 4), (2, 2), (0, 0)))
    windows = [
        labels[z : z + 32, y : y + 32, x : x + 32]
        for z, y, x in itertools.product((0, 16), repeat=3)
    ]
    assert all(np.mean(window == 0) < 0.98 for window in windows)
    expected = class_weights(np.bincount(np.ravel(windows)))
    torch.testing.assert_close(weights[0], expected)


@pytest.fixture
def losses(monkeypatch):
    """Return how the loss is asked for, step by step."""
    asked = []
    forward = Stage1Objective.forward

    def recorded(self, image, labels, offsets):
        asked.append(self._loss.keywords)
        return forward(self, image, labels, offsets)

    monkeypatch.setattr(Stage1Objective, "forward", recorded)
    return asked


def test_weights_of_balanced_patches_are_those_of_all_voxels(tmp_path, losses):
    config = STAGE1.model_copy(update={"cross_entropy": "weighted", "stage1_steps": 1})
    run([ball()], tmp_path, config)
    labels = ball()[1].read(0, 40)
    expected = class_weights(np.bincount(labels.ravel()))
    torch.testing.assert_close(losses[0]["weights"], expected)


@pytest.mark.parametrize("cross_entropy", ["plain", "weighted"])
@pytest.mark.parametrize("dice", [True, False])
def test_dice_is_learned_from_if_it_is_asked_for(tmp_path, losses, cross_entropy, dice):
    update = {"cross_entropy": cross_entropy, "dice": dice, "stage1_steps": 1}
    run([ball()], tmp_path, STAGE1.model_copy(update=update))
    assert losses[0]["dice"] is dice


def test_labels_without_a_scan_train_as_well_as_with_one(tmp_path):
    image, labels = ball()
    _, without = run([(None, labels)], tmp_path, STAGE1)
    _, with_scan = run([(image, labels)], tmp_path, STAGE1)
    assert without.digest() == with_scan.digest()  # all images are made up


def test_a_missing_scan_is_an_error_unless_all_images_are_made_up(tmp_path):
    config = STAGE1.model_copy(update={"synthetic": 0.5})
    pairs = [ball(), (None, ball()[1])]
    with pytest.raises(
        MeUNetError, match=r"no scan of unnamed and 0\.5 .* --synthetic 1"
    ):
        run(pairs, tmp_path, config)


def test_the_card_says_how_the_model_was_trained(tmp_path):
    _, checkpoint = run([ball(), ball(1)], tmp_path, STAGE1, validation=[ball(2)])
    (record,) = checkpoint.card.training
    assert record.specimens == ("unnamed",) * 2
    assert record.validation == ("unnamed",)
    assert TrainingConfig.checked(**record.config) == STAGE1
    assert record.versions["torch"] == torch.__version__
    assert record.device
    assert 0 < record.seconds < 60
    again = tmp_path / "again.safetensors"
    list(train([ball()], STAGE1, checkpoint.card, again, initial=checkpoint))
    first, second = load_checkpoint(again).card.training
    assert first == record
    assert second.specimens == ("unnamed",)


def test_time_before_an_interruption_counts(tmp_path, monkeypatch):
    now = itertools.count(step=10.0)
    monkeypatch.setattr(fit.time, "monotonic", lambda: next(now))
    path = tmp_path / "model.safetensors"
    with closing(train([ball()], STAGE1, card_for(STAGE1), path)) as steps:
        next(steps)
    before = next(now)
    _, checkpoint = run([ball()], tmp_path, STAGE1)
    (record,) = checkpoint.card.training
    assert record.seconds > 20
    assert record.seconds <= next(now)
    assert before > 0


def test_a_specimen_is_not_trained_on_and_validated_on(tmp_path):
    with pytest.raises(MeUNetError, match="training or for validation, not for both"):
        run([ball(), ball(1)], tmp_path, STAGE1, validation=[ball(1)])


def test_classes_that_a_specimen_lacks_are_named_and_training_goes_on(tmp_path):
    classes = unnamed_classes(3)
    steps, _ = run([ball()], tmp_path, STAGE1, card_for(STAGE1, classes))
    (told,) = [step for step in steps if step.unit == "scans"]
    assert steps[0] is told
    assert told.message == "no class 2 in unnamed: training goes on with what is there"


def test_early_stopping_without_validation_is_told_to_be_impossible(tmp_path):
    config = STAGE1.model_copy(update={"patience": 1})
    told = run([ball()], tmp_path, config)[0][0]
    assert told.unit == "scans"
    assert told.message.startswith("no validation scans to end early by")


def test_early_stopping_needs_a_class_to_go_by(tmp_path):
    config = STAGE1.model_copy(update={"patience": 1})
    with pytest.raises(MeUNetError, match="a validation scan must hold one of the"):
        run([ball()], tmp_path, config, validation=[ball(1, value=0)])


def test_images_are_not_made_up_from_a_part_of_the_labels(tmp_path):
    image, labels = ball()
    sparse = np.array(labels.read(0, labels.shape[0]))
    sparse[0] = IGNORE
    pairs = [ball(1), (image, Volume.from_array(sparse))]
    for order in (pairs, pairs[::-1]):
        with pytest.raises(MeUNetError, match="got voxels without a label in unnamed"):
            run(order, tmp_path, STAGE1)
    run(pairs, tmp_path, STAGE1.model_copy(update={"synthetic": 0.0}))


def test_an_error_in_the_labels_says_whose_and_lists_all_values(tmp_path):
    image, labels = ball()
    wrong = np.array(labels.read(0, labels.shape[0]))
    wrong[20, 0, :3] = 7, 9, 7
    with pytest.raises(MeUNetError, match=r"^unnamed: .* got 7, 9 in plane 20"):
        run([ball(1), (image, Volume.from_array(wrong))], tmp_path, STAGE1)


def test_label_values_are_those_of_the_classes_on_the_card(tmp_path):
    organ = LabelClass(value=21, name="organ", color="#ffffff")
    classes = (unnamed_classes(2)[0], organ)
    steps, checkpoint = run(
        [ball(value=21)],
        tmp_path,
        STAGE1,
        card_for(STAGE1, classes),
        validation=[ball(1, value=21)],
    )
    assert "Dice organ" in {name for step in steps for name in step.metrics}
    _, plain = run([ball(value=1)], tmp_path, STAGE1, validation=[ball(1)])
    assert checkpoint.card.classes == classes
    assert checkpoint.digest() == plain.digest()
    with pytest.raises(MeUNetError, match=r"must be 0, 21 .* got 1"):
        run([ball(value=1)], tmp_path, STAGE1, card_for(STAGE1, classes))


def test_intensities_must_be_those_of_the_card_and_of_the_initial_model(tmp_path):
    raw = STAGE1.model_copy(
        update={"normalise": False, "augmentation": "affine", "synthetic": 0}
    )
    with pytest.raises(MeUNetError, match="normalise must be what the card says"):
        run([ball()], tmp_path, raw, card_for(STAGE1))
    _, first = run([ball()], tmp_path, raw)
    path = tmp_path / "second.safetensors"
    with pytest.raises(MeUNetError, match="raw grey values in the initial"):
        list(train([ball()], STAGE1, card_for(STAGE1), path, initial=first))
