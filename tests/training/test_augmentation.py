import torch

from napari_meunet.training.augmentation import augmented


def test_image_and_labels_move_together():
    labels = torch.zeros(1, 8, 8, 8, dtype=torch.uint8)
    labels[:, 1, 2, 3] = 1
    labels[:, 5:, :2, 6] = 1
    for seed in range(20):
        generator = torch.Generator().manual_seed(seed)
        image, moved = augmented(labels[:, None].float(), labels, generator)
        bright = image[:, 0] > 0.5
        assert torch.equal(bright, moved.bool())


def test_values_stay_between_zero_and_one_and_the_seed_decides():
    image = torch.rand(2, 1, 8, 8, 8)
    labels = torch.zeros(2, 8, 8, 8, dtype=torch.uint8)
    first, _ = augmented(image, labels, torch.Generator().manual_seed(3))
    again, _ = augmented(image, labels, torch.Generator().manual_seed(3))
    assert torch.equal(first, again)
    assert first.min() >= 0
    assert first.max() <= 1
    assert not torch.equal(first, image)
