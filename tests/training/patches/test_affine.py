import math

import numpy as np
import pytest
import torch
from monai.transforms import Affine

from napari_meunet.training.patches.affine import moved, random_affine, rotation
from napari_meunet.training.patches.augmentation import Augmentation


@pytest.fixture
def patch():
    generator = torch.Generator().manual_seed(0)
    image = 255 * torch.rand(1, 9, 9, 9, generator=generator)
    return image, torch.randint(0, 4, (9, 9, 9), generator=generator).to(torch.uint8)


def test_the_identity_changes_nothing(patch):
    image, labels = moved(*patch, torch.eye(3))
    torch.testing.assert_close(image, patch[0], atol=1e-2, rtol=0)
    assert torch.equal(labels, patch[1])


@pytest.mark.parametrize(("axis", "plane"), [(0, (1, 2)), (1, (2, 0)), (2, (0, 1))])
def test_a_right_angle_about_an_axis_is_an_exact_turn(patch, axis, plane):
    angles = torch.zeros(3)
    angles[axis] = math.pi / 2
    image, labels = moved(*patch, rotation(angles))
    torch.testing.assert_close(
        image[0], patch[0][0].rot90(-1, plane), atol=1e-2, rtol=0
    )
    assert torch.equal(labels, patch[1].rot90(-1, plane))


def test_what_lies_beyond_the_patch_is_its_reflection():
    column = torch.arange(8.0)
    image = column.expand(1, 8, 8, 8)
    stretched = torch.diag(torch.tensor([1.0, 1.0, 2.0]))
    seen, _ = moved(image, image[0].to(torch.uint8), stretched)
    # twice as far from the centre 3.5: -3.5, -1.5, 0.5, ... reflected about -0.5
    expected = torch.tensor([2.5, 0.5, 0.5, 2.5, 4.5, 6.5, 6.5, 4.5])
    torch.testing.assert_close(seen[0, 0, 0], expected)


def test_it_is_the_transform_that_the_authors_took(patch):
    angles, scales = (0.3, -0.7, 1.2), (1.05, 0.92, 1.1)
    matrix = rotation(torch.tensor(angles)) @ torch.diag(torch.tensor(scales))
    image, labels = moved(*patch, matrix)
    settings = {"rotate_params": angles, "scale_params": scales}
    settings |= {"padding_mode": "reflection", "image_only": True}
    theirs = Affine(mode="bilinear", **settings)(patch[0])
    torch.testing.assert_close(image, torch.as_tensor(theirs), atol=1e-2, rtol=1e-4)
    theirs = Affine(mode="nearest", **settings)(patch[1][None].float())
    assert torch.equal(labels.float(), torch.as_tensor(theirs)[0])


def test_it_turns_and_scales_within_the_published_ranges(monkeypatch, patch):
    matrices = []
    monkeypatch.setattr(
        "napari_meunet.training.patches.affine.moved",
        lambda image, labels, matrix: matrices.append(matrix.numpy()),
    )
    generator = torch.Generator().manual_seed(1)
    for _ in range(500):
        random_affine(*patch, generator)
    scales = np.linalg.norm(
        matrices, axis=1
    )  # of the columns: a rotation keeps lengths
    assert 0.9 <= scales.min() < 0.905
    assert 1.095 < scales.max() <= 1.1
    assert np.all(np.linalg.det(matrices) > 0)  # never a mirror image
    first = np.array([m / s for m, s in zip(matrices, scales, strict=True)])
    about_y = np.arcsin(first[:, 0, 2])  # the second angle of the Euler angles
    assert np.abs(about_y).max() <= math.pi / 2
    assert 0.4 < np.mean(np.abs(about_y) < math.pi / 4) < 0.6  # uniform


def test_the_affine_augmentation_leaves_most_patches_exactly_as_they_are():
    labels = torch.randint(0, 3, (300, 6, 6, 6)).to(torch.uint8)
    images = 255 * torch.rand(300, 1, 6, 6, 6)
    augmentation = Augmentation(0.2, mirror=True, kind="affine")
    assert augmentation.drawn_size(240) == 240
    seen, truth, _ = augmentation.apply(images, labels, 6, seed=5)
    same = (seen == images).flatten(1).all(dim=1)
    assert 0.7 < same.float().mean() < 0.9
    assert torch.equal(same, (truth == labels).flatten(1).all(dim=1))
