import pytest
import torch

from napari_meunet.network.cascade import Cascade
from napari_meunet.network.stage import statistics_kept
from napari_meunet.training.label_values import IGNORE
from napari_meunet.training.loop.losses import at_offsets, segmentation_loss
from napari_meunet.training.loop.objectives import (
    STAGE1_SHARE,
    JointObjective,
    Stage1Objective,
    Stage2Objective,
    half_labels,
)


@pytest.fixture
def cascade():
    torch.manual_seed(0)
    return Cascade(n_classes=2, features=(2,) * 5, refinement_features=(2,) * 3)


@pytest.fixture
def batch():
    torch.manual_seed(1)
    return torch.rand(2, 1, 48, 48, 48), torch.randint(0, 2, (2, 48, 48, 48))


def with_gradient(module):
    return {n.split(".")[0] for n, p in module.named_parameters() if p.grad is not None}


def statistics(cascade):
    return {n: b.clone() for n, b in cascade.named_buffers()}


def test_stage_1_learns_from_both_patches_and_counts_a_batch_once(cascade, batch):
    image, labels = batch
    objective = Stage1Objective(cascade, 32).train()
    objective(image, labels, None).backward()
    assert with_gradient(cascade) == {"stage1"}
    assert cascade.stage1.global_out.weight.grad is not None
    both = statistics(cascade)
    assert both["stage1.enc1.0.1.num_batches_tracked"] == 1
    assert both["stage1.enc3.0.1.num_batches_tracked"] == 1

    torch.manual_seed(0)
    alone = Cascade(n_classes=2, features=(2,) * 5, refinement_features=(2,) * 3)
    center = slice(8, 40)
    Stage1Objective(alone, 32).train()(
        image[:, :, center, center, center], labels[:, center, center, center], None
    )
    for name, value in statistics(alone).items():
        torch.testing.assert_close(both[name], value)


def test_without_an_expanded_patch_one_pass_serves_both_heads(cascade, batch):
    image, labels = batch
    objective = Stage1Objective(cascade, 48).train()
    found = objective(image, labels, None)
    with statistics_kept(cascade.stage1):
        full = segmentation_loss(cascade.stage1(image), labels)
        half = cascade.stage1.expanded_logits(image)
    expected = full + segmentation_loss(half, labels[:, ::2, ::2, ::2])
    torch.testing.assert_close(found, expected)
    assert statistics(cascade)["stage1.enc1.0.1.num_batches_tracked"] == 1


def test_stage_2_leaves_the_weights_and_the_statistics_of_stage_1(cascade, batch):
    before = statistics(cascade)
    objective = Stage2Objective(cascade).train()
    objective(*batch, None).backward()
    assert with_gradient(cascade) == {"stage2", "fuse", "conv_out"}
    for name, value in statistics(cascade).items():
        if name.startswith("stage1."):
            assert torch.equal(value, before[name])
    assert statistics(cascade)["stage2.enc1.0.1.num_batches_tracked"] == 1


def test_both_stages_learn_together_with_all_heads(cascade, batch):
    image, labels = batch
    objective = JointObjective(cascade).train()
    found = objective(image, labels, None)
    found.backward()
    assert with_gradient(cascade) == {"stage1", "stage2", "fuse", "conv_out"}
    assert cascade.stage1.global_out.weight.grad is not None
    with torch.no_grad():
        full, half = cascade.stage1(image), cascade.stage1.expanded_logits(image)
        loss1 = segmentation_loss(full, labels)
        loss1 += segmentation_loss(half, labels[:, ::2, ::2, ::2])
        expected = segmentation_loss(cascade(image), labels) + STAGE1_SHARE * loss1
    torch.testing.assert_close(found.detach(), expected)


@pytest.fixture
def offsets():
    return torch.tensor([[0.25, -0.25, 0.25], [-0.25, 0.25, 0.25]])


def test_every_full_head_is_asked_where_its_labels_lie(batch, offsets):
    torch.manual_seed(0)
    cascade = Cascade(n_classes=2, features=(8,) * 5, refinement_features=(8,) * 3)
    image, labels = batch
    center = slice(8, 40)
    local_image = image[:, :, center, center, center]
    local = labels[:, center, center, center]
    stage1, coarse = cascade.stage1, half_labels(labels)

    def lost(logits, truth, share=1.0):
        return segmentation_loss(at_offsets(logits, offsets, share), truth)

    cascade.eval()
    with torch.no_grad():
        for head in (stage1.conv_out, stage1.global_out, cascade.conv_out):
            head.weight *= 1e3  # or what is not trained says the same everywhere
        half = lost(stage1.expanded_logits(image), coarse, 0.5)
        full = lost(stage1(image), labels)
        refined = lost(cascade(image), labels)
        cases = (
            (Stage1Objective(cascade, 48), full + half),
            (Stage1Objective(cascade, 32), lost(stage1(local_image), local) + half),
            (Stage2Objective(cascade), refined),
            (JointObjective(cascade), refined + STAGE1_SHARE * (full + half)),
        )
        for objective, expected in cases:
            found = objective.eval()(image, labels, offsets)
            torch.testing.assert_close(found, expected)
            assert abs(found - objective(image, labels, None)) > 1e-5


@pytest.mark.parametrize("z", [2, 3])
def test_a_painted_plane_is_seen_at_half_resolution_wherever_it_lies(z):
    labels = torch.full((1, 6, 6, 6), IGNORE, dtype=torch.uint8)
    labels[:, z] = 1
    half = half_labels(labels)
    assert half.shape == (1, 3, 3, 3)
    assert (half[:, 1] == 1).all()
    assert (half[:, [0, 2]] == IGNORE).all()
    whole = torch.arange(216).reshape(1, 6, 6, 6)
    whole[whole == IGNORE] = 0
    assert torch.equal(half_labels(whole), whole[:, ::2, ::2, ::2])


def test_a_phase_begins_with_what_it_trains_whatever_was_frozen_before(cascade):
    Stage2Objective(cascade)
    Stage1Objective(cascade, 32)
    assert all(p.requires_grad for p in cascade.stage1.parameters())


@pytest.mark.parametrize("kind", [Stage2Objective, JointObjective])
def test_the_logits_are_those_of_the_cascade(cascade, batch, kind):
    cascade.eval()
    with torch.no_grad():
        expected = cascade(batch[0])
        torch.testing.assert_close(kind(cascade).eval().logits(batch[0]), expected)
        loss = kind(cascade).eval()(*batch, None)
    assert loss >= segmentation_loss(expected, batch[1]) - 1e-6
