import itertools

import numpy as np
import pytest
import torch

from napari_meunet.config import TrainingConfig
from napari_meunet.errors import MeUNetError
from napari_meunet.network.card import Card, NetworkConfig
from napari_meunet.network.checkpoint import load_checkpoint
from napari_meunet.network.classes import unnamed_classes
from napari_meunet.network.device import computes_bf16
from napari_meunet.network.stage import norms
from napari_meunet.training.evaluation.metrics import confusion, overlaps
from napari_meunet.training.loop.objectives import Stage1Objective
from napari_meunet.training.patches.specimen import Specimen
from napari_meunet.training.train import train
from napari_meunet.volume.volume import Volume

CONFIG = TrainingConfig(
    patch_size=32,
    expanded_size=32,
    batch_size=1,
    stage1_steps=80,
    stage2_steps=60,
    joint_steps=0,
    learning_rate=1e-2,
)


@pytest.fixture(autouse=True)
def _short_calibration(monkeypatch):
    monkeypatch.setattr("napari_meunet.training.loop.fit.CALIBRATION_STEPS", 10)


def small_card(fusion="post"):
    network = NetworkConfig(
        n_classes=2,
        features=(4, 4, 4, 4, 4),
        refinement_features=(2, 2, 2),
        fusion=fusion,
    )
    return Card(
        name="tiny",
        version="1",
        network=network,
        classes=unnamed_classes(2),
        data="a bright ball",
        licence="BSD-3-Clause",
    )


@pytest.fixture
def ball(rng):
    z, y, x = np.indices((48, 48, 48)) - 24
    labels = (z**2 + y**2 + x**2 < 12**2).astype(np.uint8)
    noise = rng.normal(0, 10, labels.shape)
    image = np.clip(60 + 120 * labels + noise, 0, 255).astype(np.uint8)
    return Volume.from_array(image), Volume.from_array(labels)


def run(ball, tmp_path, config=CONFIG, **arguments):
    path = tmp_path / "model.safetensors"
    steps = list(train([ball], config, small_card(config.fusion), path, **arguments))
    return steps, load_checkpoint(path)


def test_the_cascade_learns_a_ball(ball, tmp_path):
    progress, checkpoint = run(ball, tmp_path)
    steps = [step for step in progress if step.unit == "steps"]
    assert [step.done for step in steps] == [*range(1, 81), *range(1, 61)]
    assert steps[79].metrics["loss"] < steps[0].metrics["loss"]
    image = torch.from_numpy(ball[0].read(0, 48)).float()
    low, high = image.quantile(0.001), image.quantile(0.999)
    scaled = ((image - low) / (high - low)).clamp(0, 1)
    with torch.no_grad():
        found = checkpoint.build()(scaled[None, None]).argmax(1)[0].numpy()
    truth = ball[1].read(0, 48)
    dice = 2 * (found * truth).sum() / (found.sum() + truth.sum())
    assert dice > 0.9


def test_the_seed_decides(ball, tmp_path):
    config = CONFIG.model_copy(update={"stage1_steps": 3, "stage2_steps": 2})
    _, first = run(ball, tmp_path, config)
    _, again = run(ball, tmp_path, config)
    _, other = run(ball, tmp_path, config.model_copy(update={"seed": 1}))
    assert first.digest() == again.digest() != other.digest()


def test_stage_two_leaves_stage_one_as_it_is(ball, tmp_path):
    config = CONFIG.model_copy(
        update={"stage1_steps": 3, "stage2_steps": 0, "fusion": "none"}
    )
    _, alone = run(ball, tmp_path, config)
    config = CONFIG.model_copy(update={"stage1_steps": 3, "stage2_steps": 3})
    torch.manual_seed(0)
    _, both = run(ball, tmp_path, config)
    shared = [name for name in alone.weights if "num_batches" not in name]
    assert shared
    assert both.weights.keys() > alone.weights.keys()
    # the same seed draws the same stage 1 and the same patches
    for name in shared:
        torch.testing.assert_close(both.weights[name], alone.weights[name])


@pytest.mark.parametrize("fusion", ["pre", "post"])
def test_the_expanded_patch_and_both_fusions_train(ball, tmp_path, fusion):
    config = CONFIG.model_copy(
        update={"expanded_size": 64, "stage1_steps": 2, "stage2_steps": 2}
    ).model_copy(update={"fusion": fusion})
    _, checkpoint = run(ball, tmp_path, config)
    assert checkpoint.card.network.fusion == fusion
    assert all(tensor.isfinite().all() for tensor in checkpoint.weights.values())


def test_a_loss_that_is_not_finite_stops_and_keeps_the_old_model(ball, tmp_path):
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"the last good one")
    config = CONFIG.model_copy(update={"learning_rate": 1e30})
    with pytest.raises(MeUNetError, match="loss must stay finite"):
        list(train([ball], config, small_card(), path))
    assert path.read_bytes() == b"the last good one"


def test_training_goes_on_from_a_checkpoint_stage_by_stage(ball, tmp_path):
    _, first = run(ball, tmp_path)
    path = tmp_path / "second.safetensors"
    config = CONFIG.model_copy(update={"stage1_steps": 0, "stage2_steps": 2})
    list(train([ball], config, first.card, path, initial=first))
    second = load_checkpoint(path)
    changed = {
        name.split(".")[0]
        for name, tensor in second.weights.items()
        if not torch.equal(tensor, first.weights[name])
    }
    assert changed == {"stage2", "fuse", "conv_out"}


def test_a_stage_that_would_stay_random_is_an_error(ball, tmp_path):
    config = CONFIG.model_copy(update={"stage2_steps": 0})
    with pytest.raises(
        MeUNetError, match="got 80 steps of stage 1, 0 of stage 2 and 0 of both"
    ):
        run(ball, tmp_path, config)


def test_another_network_cannot_be_gone_on_from(ball, tmp_path):
    config = CONFIG.model_copy(update={"stage1_steps": 1, "stage2_steps": 1})
    _, first = run(ball, tmp_path, config)
    card = small_card("pre")
    with pytest.raises(MeUNetError, match="initial checkpoint must have the network"):
        list(train([ball], CONFIG, card, tmp_path / "a.safetensors", initial=first))


def test_nothing_to_train_on_is_an_error(tmp_path):
    with pytest.raises(MeUNetError, match="at least one scan"):
        list(train([], CONFIG, small_card(), tmp_path / "model.safetensors"))


def test_the_statistics_that_are_kept_are_measured_at_the_end(ball, tmp_path):
    config = CONFIG.model_copy(
        update={"stage1_steps": 4, "stage2_steps": 0, "fusion": "none"}
    )
    progress, checkpoint = run(ball, tmp_path, config)
    units = [step.unit for step in progress]
    assert units == ["steps"] * 4 + ["batches"] * 10
    # averages of the batches that measured them, and of no others
    assert checkpoint.weights["stage1.enc1.0.1.num_batches_tracked"] == 10


def test_with_frozen_statistics_it_learns_what_will_be_used(
    ball, tmp_path, monkeypatch
):
    short = {"stage1_steps": 4, "stage2_steps": 0, "fusion": "none"}
    _, first = run(ball, tmp_path, CONFIG.model_copy(update=short))
    gathering = []
    forward = Stage1Objective.forward

    def recorded(self, *batch):
        gathering.append(len(norms(self)))
        return forward(self, *batch)

    monkeypatch.setattr(Stage1Objective, "forward", recorded)
    config = CONFIG.model_copy(update={**short, "statistics": "frozen"})
    path = tmp_path / "second.safetensors"
    progress = list(train([ball], config, first.card, path, initial=first))
    assert [step.unit for step in progress] == ["steps"] * 4
    assert gathering == [0] * 4
    second = load_checkpoint(path)
    changed = {
        name.rsplit(".", 1)[1]
        for name, tensor in second.weights.items()
        if not torch.equal(tensor, first.weights[name])
    }
    assert changed == {"weight", "bias"}


def test_statistics_of_nothing_cannot_be_frozen(ball, tmp_path):
    config = CONFIG.model_copy(update={"statistics": "frozen"})
    with pytest.raises(MeUNetError, match="those of an initial checkpoint, got none"):
        run(ball, tmp_path, config)


def test_a_look_in_training_sees_the_model_that_would_be_saved(
    ball, tmp_path, monkeypatch
):
    monkeypatch.setattr("napari_meunet.training.loop.fit.INTERIM_STEPS", 10)
    config = CONFIG.model_copy(
        update={"stage1_steps": 60, "stage2_steps": 0, "fusion": "none"}
    )
    upside_down = tuple(Volume.from_array(part.read(0, 48)[::-1]) for part in ball)
    steps, checkpoint = run(ball, tmp_path, config, validation=[upside_down])
    network = checkpoint.build().to(memory_format=torch.channels_last_3d)
    bf16 = computes_bf16(torch.device("cpu"))

    def predict(image):
        with torch.no_grad(), torch.autocast("cpu", enabled=bf16):
            return network(torch.from_numpy(image)[None, None]).argmax(1)[0].numpy()

    specimen = Specimen.index(*upside_down, 2, np.random.default_rng(0))
    found = [s.metrics for s in steps if "Dice class 1" in s.metrics][-1]
    table = np.zeros((256, 256), np.int64)
    for start in itertools.product((-8, 24), repeat=3):
        image, labels = specimen.patch(np.array(start), 32)
        table += confusion(predict(image), labels)
    dice = overlaps(table)[1].dice
    assert found["Dice class 1"] == pytest.approx(dice, abs=2e-3)  # bf16
    assert 0 < found["Dice class 1"] < 1


def test_all_processes_go_by_the_scores_of_the_first(ball, tmp_path, monkeypatch):
    told = {1: 0.123}
    monkeypatch.setattr(
        "lightning_fabric.Fabric.broadcast",
        lambda _, value: told if isinstance(value, dict) else value,
    )
    config = CONFIG.model_copy(
        update={"stage1_steps": 2, "stage2_steps": 0, "fusion": "none"}
    )
    other = Volume.from_array(ball[0].planes[::-1]), ball[1]
    progress, _ = run(ball, tmp_path, config, validation=[other])
    scores = [step.metrics for step in progress if "Dice class 1" in step.metrics]
    assert [row["Dice class 1"] for row in scores] == [0.123]
