"""The loss of the authors' notebook: Dice plus cross-entropy."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from napari_meunet.training.label_values import IGNORE

Loss = Callable[[Tensor, Tensor], Tensor]
"""From logits ``(n, n_classes, z, y, x)`` and labels ``(n, z, y, x)`` to a scalar."""


LEAST_PROBABILITY = 1e-30
"""Less than what single precision holds well. Far less than any that matters: below
it, a class that is wanted would no longer be learned."""


FEW_LABELS = 2**-10
"""Of the voxels of a patch; of 64 x 64 x 64, a stroke of 16 x 16 in one plane."""


def at_offsets(logits: Tensor, offsets: Tensor | None, share: float = 1.0) -> Tensor:
    """Return logits at places between the middles of voxels.

    Probabilities are linear there, as the engine draws labels that are finer than the
    voxels that the network sees; beyond the patch they are those of its face.

    Parameters
    ----------
    logits
        ``(n, n_classes, z, y, x)``.
    offsets
        ``(n, 3)`` voxels along (z, y, x), less than one; None is none.
    share
        Of the offsets: a half where voxels are twice as large.
    """
    if offsets is None or not offsets.any():
        return logits
    probabilities = logits.float().softmax(dim=1)
    moved = [
        _moved(one, offset)
        for one, offset in zip(probabilities, (share * offsets).tolist(), strict=True)
    ]
    return torch.stack(moved).clamp(min=LEAST_PROBABILITY).log()


def _moved(values: Tensor, offset: Sequence[float]) -> Tensor:
    """Return values ``(c, z, y, x)`` at an offset along (z, y, x)."""
    for axis, aside in enumerate(offset, start=1):
        n = values.shape[axis]
        if aside > 0:
            neighbours = (values.narrow(axis, 1, n - 1), values.narrow(axis, n - 1, 1))
        else:
            neighbours = (values.narrow(axis, 0, 1), values.narrow(axis, 0, n - 1))
        if aside:
            values = torch.lerp(values, torch.cat(neighbours, axis), abs(aside))
    return values


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


def class_weights(counts: NDArray[np.int64]) -> Tensor:
    """Return the weights of the classes in the authors' cross-entropy (cells 33, 34).

    Inverse frequency, divided by the sum, then softmax: the rarest class counts at most
    e times as much as the most frequent one. A class without voxels gets 0; in the
    notebook that is one which the first scan lacks.

    Parameters
    ----------
    counts
        ``(n_classes,)`` voxels of each class in what the network is trained on.

    Returns
    -------
    Tensor
        ``(n_classes,)`` float32; the sum is 1.
    """
    present = torch.from_numpy(counts > 0)
    inverse = torch.from_numpy(counts.sum() / np.maximum(counts, 1)).float() * present
    normalised = inverse / inverse.sum()
    return normalised.masked_fill(~present, -torch.inf).softmax(dim=0)


def segmentation_loss(
    logits: Tensor,
    labels: Tensor,
    weights: Tensor | None = None,
    *,
    dice: bool = True,
) -> Tensor:
    """Return `dice_loss` plus the mean cross-entropy, with equal weight.

    Voxels with `IGNORE` count in neither. The notebook weights the cross-entropy by
    inverse frequency, because its patches lie on a regular grid; patches that are drawn
    class by class are balanced already and need no weights. Theirs is the mean over the
    batch; where voxels need no weights, ours is the mean over patches, see
    `cross_entropy_by_patch`.

    Parameters
    ----------
    logits
        ``(n, n_classes, z, y, x)``.
    labels
        ``(n, z, y, x)``, integers below ``n_classes``, or `IGNORE`.
    weights
        ``(n_classes,)`` of the classes in the cross-entropy, whose mean is weighted,
        too; None counts all voxels of a patch alike.
    dice
        False returns the cross-entropy alone.
    """
    if weights is None:
        entropy = cross_entropy_by_patch(logits, labels)
    else:
        entropy = _weighted_cross_entropy(logits, labels, weights.to(logits.device))
    return torch.add(dice_loss(logits, labels), entropy) if dice else entropy


def cross_entropy_by_patch(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the cross-entropy of every patch, averaged over the patches with labels.

    So a patch with a few planes that a person has painted counts as much as one that is
    labelled throughout: a mean over all voxels would hardly see it beside that. Where
    all voxels have labels, both are the same. A patch with less than `FEW_LABELS`
    counts by their number, or a single voxel would have the weight of a patch.

    Parameters
    ----------
    logits
        ``(n, n_classes, z, y, x)``.
    labels
        ``(n, z, y, x)``, integers below ``n_classes``, or `IGNORE`.
    """
    costs = functional.cross_entropy(
        logits.float(), labels.long(), ignore_index=IGNORE, reduction="none"
    )
    n_labelled = (labels != IGNORE).flatten(1).sum(dim=1)
    few = max(1, FEW_LABELS * labels[0].numel())
    means = costs.flatten(1).sum(dim=1) / n_labelled.clamp(min=few)
    return means.sum() / (n_labelled > 0).sum().clamp(min=1)


def _weighted_cross_entropy(logits: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
    """Return the mean over the batch, weighted, as torch and the notebook take it.

    Torch's own is no number where no voxel has a label.
    """
    labelled = labels != IGNORE
    total = (weights[labels.long() * labelled] * labelled).sum()
    entropy = functional.cross_entropy(
        logits.float(), labels.long(), weights, ignore_index=IGNORE, reduction="sum"
    )
    return entropy / total.clamp(min=1e-12)
