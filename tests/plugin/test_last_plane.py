"""The last plane of a scan can be reached, whatever its spacing."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from napari.components import ViewerModel

from napari_meunet.plugin.watch import watch


@pytest.mark.parametrize(("n_planes", "spacing"), [(60, 18.58), (239, 10.74)])
def test_a_last_plane_that_napari_loses(n_planes, spacing):
    lost = ViewerModel()
    lost.add_labels(np.zeros((n_planes, 4, 4), np.uint8), scale=(spacing, 1, 1))
    assert lost.dims.nsteps[0] == n_planes - 1  # else `last_plane` is not needed
    watch(lost)
    assert lost.dims.nsteps[0] == n_planes
    lost.dims.current_step = (n_planes - 1, 0, 0)
    assert lost.dims.current_step[0] == n_planes - 1


@given(
    shape=st.tuples(*[st.integers(1, 3000)] * 3),
    spacing=st.tuples(*[st.floats(0.01, 1000)] * 3),
)
def test_there_are_as_many_steps_as_planes(shape, spacing):
    viewer = ViewerModel()
    watch(viewer)
    planes = np.broadcast_to(np.uint8(0), shape)
    viewer.add_image(planes, scale=spacing, contrast_limits=(0, 1))
    assert viewer.dims.nsteps == shape
    viewer.add_points(np.zeros((1, 3)), scale=spacing)  # another range again
    assert viewer.dims.nsteps == shape
