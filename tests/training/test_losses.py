import math

import pytest
import torch

from napari_meunet.training.losses import dice_loss, segmentation_loss
from napari_meunet.training.patches.sparse import IGNORE


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


def test_a_batch_without_any_label_teaches_nothing():
    logits = torch.zeros(1, 2, 2, 2, 2, requires_grad=True)
    loss = segmentation_loss(logits, torch.full((1, 2, 2, 2), IGNORE))
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.all(logits.grad == 0)
