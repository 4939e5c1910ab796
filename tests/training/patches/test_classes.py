import numpy as np
import pytest

from napari_meunet.config import LabelClass
from napari_meunet.errors import MeUNetError
from napari_meunet.training.label_values import IGNORE
from napari_meunet.training.patches.classes import numbered
from napari_meunet.volume.volume import Volume


def classes(*values):
    return [LabelClass(value=v, name=f"class {v}", color="#ffffff") for v in values]


def test_values_become_their_place_in_the_table_and_ignored_voxels_stay():
    labels = np.array([[[0, 21, 2], [IGNORE, 2, 21]]], np.uint8)
    found = numbered(Volume.from_array(labels), classes(0, 2, 21))
    expected = [[[0, 2, 1], [IGNORE, 1, 2]]]
    np.testing.assert_array_equal(found.read(0, 1), expected)
    np.testing.assert_array_equal(found.planes[0, 1:, :2], [[IGNORE, 1]])
    assert found.dtype == np.uint8
    assert found.shape == (1, 2, 3)


def test_whole_numbers_of_another_type_are_labels_too():
    labels = Volume.from_array(np.array([[[0.0, 21.0]]]))
    np.testing.assert_array_equal(
        numbered(labels, classes(0, 21)).read(0, 1), [[[0, 1]]]
    )


def test_a_value_without_a_class_is_named():
    labels = Volume.from_array(np.array([[[0, 7]]], np.uint8))
    with pytest.raises(MeUNetError, match=r"must be 0, 2, 21 \(or 255 .*, got 7; name"):
        numbered(labels, classes(0, 2, 21)).read(0, 1)


def test_consecutive_values_are_read_as_they_are():
    labels = Volume.from_array(np.zeros((1, 1, 1), np.uint8))
    assert numbered(labels, classes(0, 1, 2)) is labels
