from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from benchmarks.accuracy.data import DATA_SETS
from benchmarks.accuracy.loop import Objective
from benchmarks.accuracy.networks import NETWORKS, VARIANTS
from benchmarks.accuracy.peers import dynunet, n_poolings
from benchmarks.accuracy.results import Run
from benchmarks.accuracy.run import budget
from benchmarks.accuracy.settings import NETWORKS as NAMES
from benchmarks.accuracy.settings import RECIPES, SETTINGS
from benchmarks.accuracy.task import Task
from napari_meunet.config import TrainingConfig
from napari_meunet.training.loop.losses import segmentation_loss
from napari_meunet.volume.volume import Volume


class Constant(nn.Module):
    def __init__(self, logits):
        super().__init__()
        self.kept = logits

    def forward(self, _):
        return self.kept


def test_the_settings_know_all_networks_by_name():
    assert set(NAMES) == set(NETWORKS)


@pytest.mark.parametrize("name", VARIANTS)
@pytest.mark.parametrize("data_set", DATA_SETS)
@pytest.mark.parametrize("setting", SETTINGS.values(), ids=SETTINGS)
def test_every_variant_takes_as_many_steps_as_the_others(name, data_set, setting):
    config = VARIANTS[name].config(
        budget(Run(data_set, name, 0), setting, device="cpu")
    )

    steps = config.stage1_steps + config.stage2_steps + config.joint_steps
    assert steps == setting.steps(data_set)
    assert steps * config.batch_size == setting.n_patches
    assert config.patience is None


@pytest.mark.parametrize(
    ("name", "changed"),
    [
        ("undeformed", {"deform": 0.0}),
        ("affine", {"augmentation": "affine", "deform": 0.2}),
        ("raw", {"augmentation": "affine", "deform": 0.2, "normalise": False}),
        ("faster", {"learning_rate": 0.002}),
        ("frozen", {"stage2_steps": 300, "joint_steps": 0}),
    ],
)
def test_a_recipe_differs_from_the_default_in_what_it_is_named_after(name, changed):
    given = budget(Run("phantoms", name, 0), SETTINGS["recipe"], device="cpu")

    default, config = (VARIANTS[each].config(given) for each in ("post", name))

    assert config == default.model_copy(update=changed)


@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.parametrize("data_set", DATA_SETS)
def test_no_recipe_is_the_default_under_another_name(name, data_set):
    given = budget(Run(data_set, name, 0), SETTINGS["recipe"], device="cpu")

    default, config = (VARIANTS[each].config(given) for each in ("post", name))

    assert config != default


def test_ours_label_a_scan_alike_in_both_ways_where_a_window_holds_all(
    tmp_path, rng, short_calibration
):
    bright = np.zeros((32, 32, 32), np.uint8)
    bright[:, 8:24] = 1
    noise = rng.integers(0, 50, bright.shape, np.uint8)
    scan = Volume.from_array(150 * bright + noise)
    config = TrainingConfig(
        patch_size=32, expanded_size=32, batch_size=1, stage1_steps=40, joint_steps=0
    )
    task = Task([(scan, Volume.from_array(bright))], ("bright",), config)
    network = VARIANTS["stage1"]
    network.learn(task, tmp_path)

    found = [network.predictor(task, tmp_path, way)(scan) for way in network.ways]

    assert set(np.unique(found[0])) == {0, 1}
    assert (found[0] == found[1]).mean() > 0.98  # bfloat16 rounds where logits tie


def test_a_trial_with_steps_that_would_not_be_full_is_refused():
    trial = replace(SETTINGS["small"], n_patches=6)

    assert trial.steps("mouse_heads") == 6
    with pytest.raises(ValueError, match="fill all steps"):
        trial.steps("phantoms")


def test_nnunet_pools_to_maps_of_four_to_seven_voxels():
    assert [n_poolings(size) for size in (32, 48, 64, 96, 128)] == [3, 3, 4, 4, 5]


def test_dynunet_is_supervised_at_all_decoder_stages_but_the_coarsest():
    network = dynunet(2, 64)  # decoder stages of 64, 32, 16 and 8 voxels

    with torch.no_grad():
        logits = network(torch.zeros(1, 1, 32, 32, 32))

    assert logits.shape == (1, 3, 2, 32, 32, 32)
    assert network.filters == [32, 64, 128, 256, 320]


def test_deep_supervision_counts_at_its_own_resolution_with_halving_weights():
    fine, coarse = torch.randn(1, 2, 8, 8, 8), torch.randn(1, 2, 4, 4, 4)
    enlarged = nn.functional.interpolate(coarse, size=(8, 8, 8))
    labels = torch.randint(0, 2, (1, 8, 8, 8))
    objective = Objective(Constant(torch.stack((fine, enlarged), dim=1)))

    loss = objective(torch.zeros(1, 1, 8, 8, 8), labels, None)

    first = segmentation_loss(fine, labels)
    second = segmentation_loss(coarse, labels[:, ::2, ::2, ::2])
    torch.testing.assert_close(loss, (2 * first + second) / 3)
