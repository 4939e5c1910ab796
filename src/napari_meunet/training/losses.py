"""The loss of the authors' notebook: Dice plus cross-entropy."""

import torch
from torch import Tensor
from torch.nn import functional

from napari_meunet.training.patches.sparse import IGNORE


def dice_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Return one minus the mean soft Dice of all classes, over the whole batch.

    Softmax, background included, 1e-5 in the denominator only, as in the authors'
    notebook (cells 33 to 42): a class that is absent counts as nearly 1.

    Parameters
    ----------
    logits
        ``(n, n_classes, z, y, x)``.
    labels
        ``(n, z, y, x)``, integers below ``n_classes``, or `IGNORE`.
    """
    labelled = labels != IGNORE
    probabilities = logits.float().softmax(dim=1) * labelled.unsqueeze(1)
    truth = functional.one_hot(labels.long() * labelled, logits.shape[1])  # n z y x c
    truth = truth.movedim(-1, 1).to(probabilities.dtype) * labelled.unsqueeze(1)
    axes = (0, 2, 3, 4)
    overlap = (probabilities * truth).sum(axes)
    total = probabilities.sum(axes) + truth.sum(axes)
    return 1 - (2 * overlap / (total + 1e-5)).mean()


def segmentation_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Return `dice_loss` plus the mean cross-entropy, with equal weight.

    Voxels with `IGNORE` count in neither. The notebook weights the cross-entropy by
    inverse frequency, because its patches lie on a regular grid; ours are drawn class
    by class, so the classes are balanced already and the weights are left out.
    """
    entropy = functional.cross_entropy(
        logits.float(), labels.long(), ignore_index=IGNORE, reduction="sum"
    )
    n_labelled = (labels != IGNORE).sum().clamp(min=1)
    return torch.add(dice_loss(logits, labels), entropy / n_labelled)
