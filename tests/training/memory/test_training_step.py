import pytest
import torch

from napari_meunet.config import TrainingConfig
from napari_meunet.network.cascade import Cascade
from napari_meunet.network.stage import conv_stages
from napari_meunet.training.loop.objectives import (
    JointObjective,
    Stage1Objective,
    Stage2Objective,
)
from napari_meunet.training.memory.step import LossRun, StageRun, step_of

CONFIG = TrainingConfig(patch_size=32, expanded_size=48, batch_size=2)


@pytest.mark.parametrize("fusion", ["post", "pre"])
@pytest.mark.parametrize("kind", [Stage1Objective, Stage2Objective, JointObjective])
def test_a_step_runs_through_the_stages_in_order_with_their_sizes(kind, fusion):
    cascade = Cascade(
        n_classes=3,
        features=(2, 3, 4, 5, 6),
        refinement_features=(3, 4, 5),
        fusion=fusion,
    )
    seen = []

    def note(name):
        def hook(stage, inputs, output):
            channels = sum(tensor.shape[1] for tensor in inputs)
            voxels = output.numel() // output.shape[1]
            frozen = not output.requires_grad
            joins = len(inputs) > 1
            seen.append((name, voxels, channels, output.shape[1], joins, frozen))

        return hook

    for name, stage in conv_stages(cascade).items():
        stage.register_forward_hook(note(name))
    local = kind is Stage1Objective
    objective = kind(cascade, 32) if local else kind(cascade)
    size = 48 if local else 32
    labels = torch.zeros(2, size, size, size, dtype=torch.uint8)
    objective.train()(torch.rand(2, 1, size, size, size), labels, None)
    step = step_of(objective.name, cascade.network, CONFIG)
    planned = [
        (r.name, r.voxels, r.n_in, r.n_out, r.joins, r.is_frozen)
        for r in step.runs
        if isinstance(r, StageRun)
    ]
    assert planned == seen
    assert step.voxels == 2 * size**3


def test_both_heads_have_a_loss_and_the_expanded_one_at_half_resolution():
    cascade = Cascade(n_classes=3)
    runs = step_of("stage 1", cascade.network, CONFIG).runs
    losses = [run for run in runs if isinstance(run, LossRun)]
    assert losses == [LossRun(2 * 24**3, 3), LossRun(2 * 32**3, 3)]
    equal = CONFIG.model_copy(update={"expanded_size": 32})
    runs = step_of("stage 1", cascade.network, equal).runs
    losses = [run for run in runs if isinstance(run, LossRun)]
    assert losses == [LossRun(2 * 32**3, 3), LossRun(2 * 16**3, 3)]
    runs = step_of("both stages", cascade.network, equal).runs
    both = [run for run in runs if isinstance(run, LossRun)]
    assert both == [*losses, LossRun(2 * 32**3, 3)]


def test_the_weights_are_those_of_the_convolutions():
    cascade = Cascade(n_classes=3)
    step = step_of("stage 1", cascade.network, CONFIG)
    weights = [p for n, p in cascade.named_parameters() if p.ndim > 1]
    heads = [p for p in weights if p.shape[-1] == 1]
    n = sum(p.numel() for p in weights) - sum(p.numel() for p in heads)
    assert step.n_weights == n
