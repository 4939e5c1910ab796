"""Where stage 2 begins."""

from contextlib import closing

import pytest
import torch

from napari_meunet.config import TrainingConfig
from napari_meunet.network.card import Card
from napari_meunet.network.cascade import Cascade
from napari_meunet.network.checkpoint import Checkpoint, load_checkpoint
from napari_meunet.network.classes import unnamed_classes
from napari_meunet.training.loop import fit
from napari_meunet.training.loop.handover import hand_over
from napari_meunet.training.loop.objectives import Stage2Objective
from napari_meunet.training.train import train

pytestmark = pytest.mark.usefixtures("short_calibration")


@pytest.fixture
def cascade():
    torch.manual_seed(1)
    cascade = Cascade(n_classes=3, features=(4,) * 5, refinement_features=(3,) * 3)
    for norm in cascade.stage1.modules():
        if isinstance(norm, torch.nn.BatchNorm3d):
            torch.nn.init.uniform_(norm.weight, 0.5, 2)
            torch.nn.init.uniform_(norm.bias, -1, 1)
    return cascade


@pytest.fixture
def image():
    return torch.rand(2, 1, 32, 32, 32)


@pytest.mark.parametrize("autocast", [False, True])
def test_stage_2_begins_with_the_logits_of_stage_1(cascade, image, autocast):
    objective = Stage2Objective(cascade)
    other = torch.rand(1, 1, 48, 32, 32) ** 2
    with torch.no_grad(), torch.autocast("cpu", enabled=autocast):
        hand_over(cascade, [image])
        # by the statistics of the batch, and, in use, whatever the image
        for mode, shown in ((True, image), (False, image), (False, other)):
            expected = cascade.stage1(shown)
            assert expected.std() > 0.1
            found = objective.train(mode).logits(shown)
            atol = 0.05 if autocast else 1e-4
            torch.testing.assert_close(found, expected, rtol=0, atol=atol)


def test_the_moments_are_those_of_all_batches_together(cascade):
    batches = [torch.rand(2, 1, 32, 32, 32) * scale for scale in (0.2, 1, 3)]
    hand_over(cascade, batches)
    with torch.no_grad():
        features = cascade.stage1.features(torch.cat(batches))
    variance, mean = torch.var_mean(features, dim=(0, 2, 3, 4), correction=0)
    for _, norm, _ in cascade.fuse:
        torch.testing.assert_close(norm.running_mean, mean)
        torch.testing.assert_close(norm.running_var, variance, rtol=1e-3, atol=1e-5)


def test_stage_2_learns_from_the_second_step_on(cascade, image):
    hand_over(cascade, [image])
    objective = Stage2Objective(cascade).train()
    optimiser = torch.optim.Adam(cascade.parameters(), 0.01)
    labels = torch.randint(0, 3, (2, 32, 32, 32), dtype=torch.uint8)
    slopes = []
    for _ in range(2):
        optimiser.zero_grad()
        objective(image, labels, None).backward()
        slopes.append(float(cascade.stage2.enc1[0][0].weight.grad.abs().sum()))
        optimiser.step()
    assert slopes[0] == 0
    assert slopes[1] > 0


def test_a_second_time_gives_the_same_weights(cascade, image):
    hand_over(cascade, [image])
    first = {name: tensor.clone() for name, tensor in cascade.state_dict().items()}
    torch.nn.init.normal_(cascade.fuse[0][0].weight)
    hand_over(cascade, [image])
    assert all(torch.equal(t, first[n]) for n, t in cascade.state_dict().items())


@pytest.mark.parametrize(
    ("steps", "known", "expected"),
    [
        ({"stage2_steps": 1, "joint_steps": 1}, False, ["stage 2"]),
        ({"stage2_steps": 0, "joint_steps": 1}, False, ["both stages"]),
        ({"stage2_steps": 1, "joint_steps": 0}, True, []),
        ({"joint_steps": 1, "fusion": "pre"}, False, []),
        ({"stage1_steps": 0, "joint_steps": 1}, False, []),
    ],
)
def test_it_happens_once_and_never_to_a_stage_2_that_knows_something(
    pair, tmp_path, monkeypatch, steps, known, expected
):
    small = {"patch_size": 32, "expanded_size": 32, "batch_size": 1, "stage1_steps": 1}
    config = TrainingConfig.checked(**small | steps)
    cascade = Cascade(
        n_classes=2,
        features=(2,) * 5,
        refinement_features=(2,) * 3,
        fusion=config.fusion,
    )
    card = Card(
        name="tiny",
        version="1",
        network=cascade.network,
        classes=unnamed_classes(2),
        data="noise",
        licence="BSD-3-Clause",
    )
    calls = []
    monkeypatch.setattr(fit, "hand_over", lambda *_: calls.append(None))
    initial = Checkpoint(cascade.state_dict(), card) if known else None
    path, found = tmp_path / "model.safetensors", []
    with closing(train([pair], config, card, path, initial=initial)) as run:
        for step in run:
            found += [step.message] * len(calls)
            calls.clear()
    assert found == expected
    assert load_checkpoint(path).card.network == cascade.network
