import pytest
import torch

from napari_meunet.training.label_values import IGNORE
from napari_meunet.training.patches.augmentation import Augmentation
from napari_meunet.training.patches.synthesis import synthesised


def made(labels, seed):
    return synthesised(labels, torch.Generator().manual_seed(seed))


@pytest.fixture
def block():
    labels = torch.zeros(16, 20, 24, dtype=torch.uint8)
    labels[4:10, 5:15, 6:18] = 1
    return labels


@pytest.fixture
def _perfect_scanner(monkeypatch):
    monkeypatch.setattr(
        "napari_meunet.training.patches.synthesis._scanned", lambda image, _: image
    )


@pytest.mark.parametrize("seed", range(10))
def test_the_image_is_finite_between_zero_and_one_and_the_seed_decides(block, seed):
    image = made(block, seed)
    assert image.shape == (1, 16, 20, 24)
    assert image.dtype == torch.float32
    assert image.isfinite().all()
    assert image.min() >= 0
    assert image.max() <= 1
    assert torch.equal(image, made(block, seed))
    assert not torch.equal(image, made(block, seed + 1))


@pytest.mark.usefixtures("_perfect_scanner")
@pytest.mark.parametrize("seed", range(10))
def test_a_class_changes_its_own_voxels_and_no_others(block, seed):
    with_class, without = made(block, seed), made(torch.zeros_like(block), seed)
    same = (with_class == without)[0]
    assert torch.all(same[block == 0])
    assert not torch.any(same[block == 1])


@pytest.mark.usefixtures("_perfect_scanner")
def test_voxels_without_a_label_look_like_background(block):
    unlabelled = torch.where(block == 1, IGNORE, block)
    assert torch.equal(made(unlabelled, 3), made(torch.zeros_like(block), 3))


@pytest.mark.usefixtures("_perfect_scanner")
def test_two_classes_are_told_apart_by_contrast(block):
    labels = block.clone()
    labels[4:10, 5:15, 12:18] = 2
    contrasts = []
    for seed in range(20):
        image = made(labels, seed)[0]
        contrasts.append((image[labels == 1].mean() - image[labels == 2].mean()).abs())
    assert torch.stack(contrasts).mean() > 0.15  # of two random numbers: 1/3


def test_a_fraction_of_the_patches_is_made_up(block):
    labels = block[:16, :16, :16].expand(200, 16, 16, 16)
    images = torch.full((200, 1, 16, 16, 16), 0.5)
    augmented, _, _ = Augmentation(0, mirror=True, synthetic=0.5).apply(
        images, labels, 16, seed=1
    )
    made_up = (augmented.flatten(1).std(dim=1) > 0.05).sum()
    assert 70 < made_up < 130
