import numpy as np
import pytest
import torch

from napari_meunet.training.label_values import IGNORE
from napari_meunet.training.patches.augmentation import Augmentation

CORNER = torch.zeros(8, 8, 8, dtype=torch.uint8)
"""Three arms of different length: its mirror image is another body."""
CORNER[0, 0, 0] = 1
CORNER[1:3, 0, 0] = 2
CORNER[0, 1:5, 0] = 3
CORNER[0, 0, 1:8] = 4


def handedness(labels):
    """Return the orientation of the three arms, 1 or -1."""
    where = {v: np.argwhere(labels.numpy() == v).mean(axis=0) for v in (1, 2, 3, 4)}
    arms = np.stack([where[v] - where[1] for v in (2, 3, 4)])
    return int(np.sign(np.linalg.det(arms)))


def test_without_deformation_image_and_labels_move_together(monkeypatch):
    monkeypatch.setattr("napari_meunet.training.patches.grey.CHANGES", ())
    seen = set()
    for seed in range(60):
        image = (CORNER > 0).float()[None, None]
        moved, truth, _ = Augmentation(0, mirror=True).apply(
            image, CORNER[None], 8, seed
        )
        assert torch.equal(moved[0, 0] > 0, truth[0] > 0)
        assert torch.equal(
            truth.unique(return_counts=True)[1], CORNER.unique(return_counts=True)[1]
        )
        seen.add(truth.numpy().tobytes())
    assert len(seen) > 30  # of 48 orientations


def test_nothing_is_changed_if_so_asked(rng):
    augmentation = Augmentation(1.0, mirror=True, kind="none")
    image, labels = random_patches(augmentation, 2, 16, rng)
    for seed in range(5):
        moved, truth, offsets = augmentation.apply(image, labels, 16, seed)
        assert torch.equal(moved, image)
        assert torch.equal(truth, labels)
        assert not offsets.any()


@pytest.mark.parametrize("mirror", [True, False])
def test_a_body_is_only_mirrored_where_that_is_allowed(mirror):
    image = (CORNER > 0).float()[None, None]
    found = {
        handedness(
            Augmentation(0, mirror=mirror).apply(image, CORNER[None], 8, s)[1][0]
        )
        for s in range(60)
    }
    assert found == ({1, -1} if mirror else {handedness(CORNER)})


@pytest.mark.parametrize(
    ("turn", "mirror", "n_ways"),
    [
        ("any", True, 48),
        ("any", False, 24),
        ("about_z", True, 16),
        ("about_z", False, 4),
        ("none", True, 8),
        ("none", False, 1),
    ],
)
def test_a_patch_lies_in_all_ways_that_are_allowed(turn, mirror, n_ways):
    augmentation = Augmentation(0, mirror=mirror, turn=turn)
    image = (CORNER > 0).float()[None, None]
    moved = [augmentation.apply(image, CORNER[None], 8, s)[1][0] for s in range(400)]
    assert len({m.numpy().tobytes() for m in moved}) == n_ways
    hands = {1, -1} if mirror else {handedness(CORNER)}
    assert {handedness(m) for m in moved} == hands
    if turn != "any":
        assert all((m == 2).any(2).any(1).sum() == 2 for m in moved)  # along z
    if turn == "none":
        assert all((m == 4).any(0).any(0).sum() == 7 for m in moved)  # along x


def test_a_deformed_ball_stays_where_its_labels_are():
    augmentation = Augmentation(1, mirror=True)
    drawn = augmentation.drawn_size(32)
    assert drawn == 40
    z, y, x = torch.meshgrid(*[torch.arange(drawn) - 17.0] * 3, indexing="ij")
    labels = ((z**2 + y**2 + 2 * x**2) < 100).to(torch.uint8)
    for seed in range(10):
        image, truth, _ = augmentation.apply(
            labels.float()[None, None], labels[None], 32, seed
        )
        assert image.shape == (1, 1, 32, 32, 32)
        assert set(truth.unique().tolist()) <= {0, 1, IGNORE}
        inside, outside = image[0, 0][truth[0] == 1], image[0, 0][truth[0] == 0]
        assert inside.numel() > 200
        # a voxel of the rim is a mixture of both
        assert inside.mean() > outside.mean() + 0.3


def test_what_is_turned_in_from_beyond_the_patch_has_no_label():
    ones = torch.ones(1, 16, 16, 16, dtype=torch.uint8)
    augmentation = Augmentation(1, mirror=True)
    found = [
        augmentation.apply(ones[:, None].float(), ones, 16, seed)[1].unique().tolist()
        for seed in range(10)
    ]
    assert [1, IGNORE] in found
    assert all(set(values) <= {1, IGNORE} for values in found)


def test_without_turn_zoom_and_bend_a_deformed_patch_is_the_centre(monkeypatch):
    for name in ("GREATEST_TURN", "GREATEST_SHIFT"):
        monkeypatch.setattr(f"napari_meunet.training.patches.augmentation.{name}", 0.0)
    monkeypatch.setattr(
        "napari_meunet.training.patches.augmentation.GREATEST_ZOOM", 1.0
    )
    labels = torch.randint(0, 5, (1, 20, 20, 20), dtype=torch.uint8)
    image = torch.rand(1, 1, 20, 20, 20)
    for seed in range(5):
        moved = Augmentation(1, mirror=True).apply(image, labels, 16, seed)[1]
        center = labels[0, 2:18, 2:18, 2:18]
        assert torch.equal(
            moved.unique(return_counts=True)[1], center.unique(return_counts=True)[1]
        )


def test_values_stay_between_zero_and_one_and_the_seed_decides():
    image = torch.rand(2, 1, 10, 10, 10)
    labels = torch.zeros(2, 10, 10, 10, dtype=torch.uint8)
    augmentation = Augmentation(0.5, mirror=True)
    first, _, _ = augmentation.apply(image, labels, 8, 3)
    again, _, _ = augmentation.apply(image, labels, 8, 3)
    other, _, _ = augmentation.apply(image, labels, 8, 4)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert first.min() >= 0
    assert first.max() <= 1


def random_patches(augmentation, n, size, rng):
    shape = (augmentation.drawn_size(size),) * 3
    image = rng.random((n, 1, *shape), np.float32)
    labels = rng.integers(0, 3, (n, *shape), np.uint8)
    return torch.from_numpy(image), torch.from_numpy(labels)


@pytest.mark.parametrize("kind", ["full", "affine"])
def test_mixed_precision_does_not_move_patches(kind, rng):
    augmentation = Augmentation(1.0, mirror=True, kind=kind)
    image, labels = random_patches(augmentation, 1, 64, rng)
    expected = augmentation.apply(image, labels, 64, seed=1)
    with torch.autocast("cpu", torch.bfloat16):
        found = augmentation.apply(image, labels, 64, seed=1)
    for one, other in zip(found, expected, strict=True):
        assert torch.equal(one, other)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("kind", ["full", "affine"])
def test_a_card_moves_patches_as_the_processor_does(kind, rng):
    augmentation = Augmentation(1.0, mirror=True, kind=kind)
    image, labels = random_patches(augmentation, 4, 32, rng)
    _, here, _ = augmentation.apply(image, labels, 32, seed=1)
    changed, there, _ = augmentation.apply(image.cuda(), labels.cuda(), 32, seed=1)
    assert changed.is_cuda
    # a place between two voxels may be rounded either way
    assert (there.cpu() == here).float().mean() > 0.999


def in_fine_voxels(axis, n, detail):
    """Return an image of its own coordinate along an axis, and labels of fine ones."""
    view = [1, 1, 1]
    view[axis] = -1
    coordinate = torch.arange(n, dtype=torch.float32).view(view).expand(n, n, n)
    fine = torch.arange(n * detail, dtype=torch.uint8).view(view)
    return coordinate[None, None], fine.expand([n * detail] * 3)[None].contiguous()


def places_of(labels, detail):
    """Return where fine labels lie, in voxels of the image."""
    return (labels.float() + 0.5) / detail - 0.5


@pytest.fixture
def moved_as_it_is(monkeypatch):
    """Return a function that moves one patch and leaves its grey values."""
    place = "napari_meunet.training.patches.augmentation.regrey"
    monkeypatch.setattr(place, lambda image, _: image)

    def move(augmentation, image, labels, size, seed):
        moved = augmentation.apply(image, labels, size, seed)
        return moved.images[0, 0], moved.labels[0], moved.offsets[0]

    return move


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("detail", [2, 3])
def test_offsets_say_where_in_a_voxel_its_label_lies(moved_as_it_is, axis, detail):
    image, labels = in_fine_voxels(axis, 10, detail)
    seen = set()
    for seed in range(60):
        at, truth, offset = moved_as_it_is(
            Augmentation(0, mirror=True), image, labels, 8, seed
        )
        slopes = [torch.diff(at, dim=a).mean() for a in range(3)]
        aside = sum(s * o for s, o in zip(slopes, offset, strict=True))
        known = truth != IGNORE
        found = places_of(truth, detail)[known]
        torch.testing.assert_close(found, (at + aside)[known], rtol=0, atol=1e-5)
        # beyond the outermost middles nothing is known
        inner = [n - bool(by) for n, by in zip(truth.shape, offset, strict=True)]
        assert known.sum() == np.prod(inner)
        seen.add(tuple(offset.tolist()))
    assert len(seen) > detail


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_offsets_hold_for_what_is_turned_and_bent(moved_as_it_is, axis):
    augmentation = Augmentation(1, mirror=True)
    drawn = augmentation.drawn_size(16)
    image, labels = in_fine_voxels(axis, drawn, 2)
    for seed in range(20):
        at, truth, offset = moved_as_it_is(augmentation, image, labels, 16, seed)
        inside = (at > 1) & (at < drawn - 2) & (truth != IGNORE)
        slopes = torch.stack(torch.gradient(at))
        aside = (slopes * offset.view(3, 1, 1, 1)).sum(0)
        off = (places_of(truth, 2) - at - aside)[inside]
        # the nearest label is a quarter of a voxel off at most
        assert off.abs().max() < 0.25 + 0.1
        assert abs(float(off.mean())) < 0.03
        assert float(aside[inside].abs().mean()) > 0.08


def test_one_label_in_a_voxel_lies_in_its_middle():
    image, labels = in_fine_voxels(0, 10, 1)
    for augmentation in (Augmentation(0.5, mirror=True), Augmentation(1, mirror=False)):
        assert not augmentation.apply(image, labels, 8, 1).offsets.any()


def test_a_made_up_image_shows_the_labels_where_they_were_taken():
    image, labels = in_fine_voxels(0, 10, 2)
    moved = Augmentation(0, mirror=True, synthetic=1).apply(image, labels % 3, 8, 1)
    assert not moved.offsets.any()


@pytest.mark.parametrize("deform", [0, 1])
def test_painted_planes_are_seen_whatever_part_of_a_voxel_they_lie_in(deform):
    augmentation = Augmentation(deform, mirror=True)
    size = augmentation.drawn_size(8)
    image = torch.rand(1, 1, size, size, size)
    for z in (size, size + 1):
        labels = torch.full((1, *(2 * size,) * 3), IGNORE, dtype=torch.uint8)
        labels[:, z] = 1
        for seed in range(10):
            moved = augmentation.apply(image, labels, 8, seed)
            assert (moved.labels == 1).any()
