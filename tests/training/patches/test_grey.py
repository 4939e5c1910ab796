import pytest
import torch

from napari_meunet.training.patches import grey
from napari_meunet.training.patches.grey import regrey

CUBE = torch.rand(1, 12, 12, 12, generator=torch.Generator().manual_seed(0))
FLAT = torch.full((1, 8, 8, 8), 0.5)


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def test_as_many_patches_are_left_alone_as_the_fractions_say():
    alone = 1.0
    for probability, _ in grey.CHANGES:
        alone *= 1 - probability
    n = sum(torch.equal(regrey(CUBE, seeded(s)), CUBE) for s in range(400))
    assert n / 400 == pytest.approx(alone, abs=0.1)
    assert 0.4 < alone < 0.5


@pytest.mark.parametrize("change", [change for _, change in grey.CHANGES])
def test_every_change_changes_keeps_the_shape_and_follows_the_seed(change):
    first, again = change(CUBE, seeded(1)), change(CUBE, seeded(1))
    assert first.shape == CUBE.shape
    assert torch.equal(first, again)
    assert not torch.equal(first, CUBE)


@pytest.mark.parametrize(
    "change", [grey.blurred, grey.contrasted], ids=lambda f: f.__name__
)
def test_without_contrast_there_is_nothing_to_blur_or_stretch(change):
    assert torch.allclose(change(FLAT, seeded(2)), FLAT)


def test_all_at_once_stays_between_zero_and_one(monkeypatch):
    always = tuple((1.0, change) for _, change in grey.CHANGES)
    monkeypatch.setattr(grey, "CHANGES", always)
    for seed in range(20):
        changed = regrey(CUBE, seeded(seed))
        assert changed.min() >= 0
        assert changed.max() <= 1


def test_contrast_keeps_the_mean_and_a_power_the_ends():
    assert grey.contrasted(CUBE, seeded(3)).mean() == pytest.approx(float(CUBE.mean()))
    ends = torch.tensor([0.0, 1.0]).reshape(1, 2, 1, 1)
    assert torch.equal(grey.bent(ends, seeded(3)), ends)
