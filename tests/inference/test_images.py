"""Voxels as the network wants them."""

import numpy as np
import pytest
import torch

from napari_meunet.inference.images import Images, scaled
from napari_meunet.inference.streaming.folded import FoldedCascade
from napari_meunet.inference.streaming.schedule import schedule_of
from napari_meunet.volume.volume import Volume


def test_limits_become_0_and_1_and_all_else_is_clipped():
    values = torch.tensor([-5.0, 10, 15, 20, 99, torch.nan, torch.inf, -torch.inf])
    assert scaled(values, (10, 20)).tolist() == [0, 0, 0.5, 1, 1, 0, 1, 0]


def test_raw_values_stay_as_they_are():
    assert scaled(torch.tensor([0, 7, 255], dtype=torch.uint8), None).tolist() == [
        0,
        7,
        255,
    ]


@pytest.mark.parametrize("dtype", ["u1", "i1", "<u2", ">u2", ">i4", "f2", ">f4", "f8"])
def test_every_data_type_is_read(dtype):
    voxels = np.arange(60).reshape(3, 4, 5).astype(dtype)
    part = Images(Volume.from_array(voxels), None).read(((1, 3), (0, 4), (2, 4)))
    assert part.dtype == (np.uint8 if dtype == "u1" else np.float32)
    assert part.dtype.isnative
    np.testing.assert_array_equal(part, voxels[1:3, 0:4, 2:4].astype(float))


def test_what_is_read_is_a_copy():
    voxels = np.zeros((2, 2, 2), np.uint8)
    part = Images(Volume.from_array(voxels), None).read(((0, 2), (0, 2), (0, 2)))
    part[:] = 9
    assert not voxels.any()


@pytest.mark.parametrize(
    "box",
    [
        ((0, 3), (0, 4), (0, 5)),
        ((-2, 1), (-1, 3), (0, 5)),
        ((2, 6), (1, 9), (4, 8)),
        ((3, 5), (0, 4), (0, 5)),
        ((-4, -1), (0, 4), (0, 5)),
        ((-1, 9), (-2, 8), (-3, 9)),
    ],
)
def test_images_are_zero_outside_the_volume(make_checkpoint, box):
    voxels = np.arange(1, 61, dtype=np.uint8).reshape(3, 4, 5)
    images = Images(Volume.from_array(voxels), None)
    checkpoint = make_checkpoint("none")
    schedule, device = schedule_of(checkpoint.card.network), torch.device("cpu")
    weights = FoldedCascade(checkpoint.build(), schedule, device, torch.double)
    image = images.image(images.read(box), box, weights)
    padded = np.pad(voxels, 10)
    expected = padded[tuple(slice(start + 10, stop + 10) for start, stop in box)]
    np.testing.assert_array_equal(image[0, 0].numpy(), expected)
