import math

import numpy as np
import pytest
import torch

from napari_meunet.training.label_values import IGNORE
from napari_meunet.training.loop.losses import (
    FEW_LABELS,
    at_offsets,
    class_weights,
    dice_loss,
    segmentation_loss,
)


def certain(labels: torch.Tensor, n_classes: int) -> torch.Tensor:
    """Logits that leave no doubt about `labels`."""
    truth = torch.nn.functional.one_hot(labels.long(), n_classes)
    return 100.0 * truth.movedim(-1, 1).float()


def test_a_perfect_answer_costs_nothing():
    labels = torch.randint(0, 3, (2, 4, 5, 6), dtype=torch.uint8)
    assert dice_loss(certain(labels, 3), labels) == pytest.approx(0, abs=1e-5)
    assert segmentation_loss(certain(labels, 3), labels) == pytest.approx(0, abs=1e-5)


def test_dice_by_hand():
    labels = torch.tensor([0, 0, 1, 1]).reshape(1, 1, 1, 4)
    answer = torch.tensor([0, 1, 1, 1]).reshape(1, 1, 1, 4)
    # background: 2*1/(1+2), class 1: 2*2/(3+2)
    expected = 1 - (2 / 3 + 4 / 5) / 2
    assert dice_loss(certain(answer, 2), labels) == pytest.approx(expected, abs=1e-5)


def test_no_knowledge_costs_the_logarithm_of_the_number_of_classes():
    labels = torch.tensor([0, 1, 2]).reshape(1, 1, 1, 3)
    logits = torch.zeros(1, 3, 1, 1, 3)
    # every probability is 1/3: overlap 1/3, sizes 1 and 1 for each class
    assert segmentation_loss(logits, labels) == pytest.approx(
        math.log(3) + 1 - 1 / 3, abs=1e-5
    )


def test_an_absent_class_counts_as_nearly_one():
    labels = torch.zeros(1, 2, 2, 2, dtype=torch.uint8)
    assert dice_loss(certain(labels, 2), labels) == pytest.approx(0.5, abs=1e-5)


def test_voxels_without_a_label_give_no_loss_and_no_gradient():
    torch.manual_seed(0)
    logits = torch.randn(2, 3, 4, 4, 4, requires_grad=True)
    labels = torch.randint(0, 3, (2, 4, 4, 4), dtype=torch.uint8)
    labels[:, 2:] = IGNORE
    loss = segmentation_loss(logits, labels)
    loss.backward()
    assert torch.all(logits.grad[:, :, 2:] == 0)
    assert torch.all(logits.grad[:, :, :2] != 0)
    assert loss.item() == pytest.approx(
        segmentation_loss(logits[:, :, :2], labels[:, :2]).item(), rel=1e-6
    )


def test_the_cross_entropy_alone_is_what_dice_leaves():
    logits = torch.randn(2, 3, 4, 4, 4)
    labels = torch.randint(0, 3, (2, 4, 4, 4))
    labels[:, 0] = IGNORE  # of every patch as much
    both = segmentation_loss(logits, labels)
    alone = segmentation_loss(logits, labels, dice=False)
    torch.testing.assert_close(alone, both - dice_loss(logits, labels))
    expected = torch.nn.functional.cross_entropy(logits, labels, ignore_index=IGNORE)
    torch.testing.assert_close(alone, expected)


def test_a_patch_with_some_labels_counts_as_much_as_a_full_one():
    entropy = torch.nn.functional.cross_entropy
    logits = torch.randn(3, 3, 8, 16, 16, requires_grad=True)
    labels = torch.randint(0, 3, (3, 8, 16, 16))
    labels[0, 1:] = IGNORE
    labels[2] = IGNORE  # and one with none counts for nothing
    expected = entropy(logits[:1, :, :1], labels[:1, :1])
    expected = (expected + entropy(logits[1:2], labels[1:2])) / 2
    loss = segmentation_loss(logits, labels, dice=False)
    torch.testing.assert_close(loss, expected)
    loss.backward()
    assert not logits.grad[2].any()


def test_a_single_voxel_does_not_count_as_much_as_a_patch():
    logits = torch.randn(1, 3, 32, 32, 32)
    labels = torch.full((1, 32, 32, 32), IGNORE)
    labels[0, 3, 4, 5] = 1
    cost = -logits.log_softmax(dim=1)[0, 1, 3, 4, 5]
    torch.testing.assert_close(
        segmentation_loss(logits, labels, dice=False), cost / (FEW_LABELS * 32**3)
    )


def test_a_batch_without_any_label_teaches_nothing():
    logits = torch.zeros(1, 2, 2, 2, 2, requires_grad=True)
    loss = segmentation_loss(logits, torch.full((1, 2, 2, 2), IGNORE))
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.all(logits.grad == 0)


def test_the_weights_of_the_classes_by_hand():
    # frequencies .98, .018, .002: inverses 1.0204, 55.556, 500, which sum to 556.576
    inverse = np.array([1 / 0.98, 1 / 0.018, 1 / 0.002])
    powers = np.exp(inverse / inverse.sum())
    weights = class_weights(np.array([98_000, 1_800, 200]))
    np.testing.assert_allclose(weights, powers / powers.sum(), rtol=1e-6)
    np.testing.assert_allclose(weights, [0.2196, 0.2422, 0.5382], atol=1e-4)


def test_classes_that_are_equally_frequent_weigh_the_same():
    np.testing.assert_allclose(class_weights(np.full(4, 7)), np.full(4, 0.25))


def test_the_rarest_class_weighs_at_most_e_times_as_much():
    weights = class_weights(np.array([10**6, 1])).double()
    assert 2.7 < weights[1] / weights[0] <= math.e + 1e-6


def test_a_class_without_voxels_weighs_nothing_and_changes_nothing():
    weights = class_weights(np.array([90, 0, 10]))
    assert weights[1] == 0
    np.testing.assert_allclose(weights[[0, 2]], class_weights(np.array([90, 10])))


def test_the_weighted_loss_is_the_sum_of_the_notebook_by_another_way():
    torch.manual_seed(0)
    logits, labels = torch.randn(2, 3, 4, 4, 4), torch.randint(0, 3, (2, 4, 4, 4))
    weights = class_weights(np.array([80, 15, 5]))
    expected = dice_loss(logits, labels)
    expected += torch.nn.CrossEntropyLoss(weight=weights)(logits, labels)
    torch.testing.assert_close(segmentation_loss(logits, labels, weights), expected)
    # and, voxel by voxel, the mean is over the weights
    costs = -logits.log_softmax(dim=1).gather(1, labels[:, None])[:, 0]
    each = weights[labels]
    torch.testing.assert_close(
        expected - dice_loss(logits, labels), (each * costs).sum() / each.sum()
    )


def test_the_weighted_loss_leaves_out_voxels_without_a_label():
    logits, labels = torch.randn(1, 3, 4, 4, 4), torch.randint(0, 3, (1, 4, 4, 4))
    weights = class_weights(np.array([80, 15, 5]))
    half = labels.clone()
    half[:, 2:] = IGNORE
    torch.testing.assert_close(
        segmentation_loss(logits, half, weights),
        segmentation_loss(logits[:, :, :2], labels[:, :2], weights),
    )
    nothing = segmentation_loss(logits, torch.full_like(labels, IGNORE), weights)
    assert nothing == dice_loss(logits, torch.full_like(labels, IGNORE))


@pytest.mark.parametrize("detail", [2, 3])
def test_logits_are_moved_as_the_engine_draws_between_voxels(detail):
    logits = torch.randn(1, 3, 4, 5, 6)
    fine = torch.nn.functional.interpolate(
        logits.softmax(1),
        scale_factor=detail,
        mode="trilinear",
        align_corners=False,
    )
    for z, y, x in np.ndindex(detail, detail, detail):
        offset = (torch.tensor([[z, y, x]]) + 0.5) / detail - 0.5
        found = at_offsets(logits, offset).softmax(1)
        expected = fine[:, :, z::detail, y::detail, x::detail]
        torch.testing.assert_close(found, expected)


def test_every_patch_has_an_offset_of_its_own():
    logits = torch.randn(2, 3, 4, 4, 4)
    offsets = torch.tensor([[0.25, 0.0, -0.25], [-0.25, 0.25, 0.25]])
    both = at_offsets(logits, offsets)
    for i in range(2):
        alone = at_offsets(logits[i : i + 1], offsets[i : i + 1])
        torch.testing.assert_close(both[i : i + 1], alone)


def test_without_offsets_logits_stay_what_they_are():
    logits = torch.randn(2, 3, 4, 4, 4)
    assert at_offsets(logits, None) is logits
    assert at_offsets(logits, torch.zeros(2, 3)) is logits


def test_half_as_much_where_voxels_are_twice_as_large():
    logits = torch.randn(1, 3, 4, 4, 4)
    offsets = torch.tensor([[0.25, 0.0, -0.25]])
    found, expected = at_offsets(logits, offsets, 0.5), at_offsets(logits, offsets / 2)
    torch.testing.assert_close(found, expected)


def test_what_is_surely_wrong_is_learned_all_the_same():
    labels = torch.ones(1, 4, 4, 4, dtype=torch.uint8)
    logits = torch.zeros(1, 2, 4, 4, 4)
    logits[:, 0] = 30  # far from what is true
    logits.requires_grad_()
    segmentation_loss(at_offsets(logits, torch.full((1, 3), 0.25)), labels).backward()
    assert (logits.grad[:, 1] < -0.3 / 4**3).all()


def test_a_certain_answer_has_a_finite_loss_between_voxels():
    labels = torch.randint(0, 3, (1, 4, 4, 4), dtype=torch.uint8)
    logits = certain(labels, 3).requires_grad_()
    offsets = torch.full((1, 3), 0.25)
    loss = segmentation_loss(at_offsets(logits, offsets), labels)
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(logits.grad).all()
