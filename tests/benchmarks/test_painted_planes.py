"""Which planes the benchmark of painted planes paints."""

import numpy as np

from benchmarks.painted.__main__ import planes_to_paint


def test_three_planes_of_each_class_and_three_of_nothing():
    labels = np.zeros((100, 4, 4), np.uint8)
    labels[20:50, 1, 1] = 1
    labels[60:72, 2, 2] = 2
    planes = planes_to_paint(labels)
    assert np.flatnonzero(planes[20:50]).tolist() == [5, 15, 25]
    assert np.flatnonzero(planes[60:72]).tolist() == [2, 6, 10]
    assert planes.sum() == 9


def test_a_plane_may_show_two_classes():
    labels = np.zeros((30, 4, 4), np.uint8)
    labels[6:24, 1, 1] = 1
    labels[6:24, 2, 2] = 2
    planes = planes_to_paint(labels)
    assert np.flatnonzero(planes).tolist() == [2, 9, 15, 21, 24, 28]
