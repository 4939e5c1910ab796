"""EditableLabels as an array, and what the model writes meanwhile."""

import copy

import numpy as np
import pytest

from napari_meunet.errors import MeUNetError
from napari_meunet.labels import editable as editable_module


@pytest.fixture
def labels(store):
    return store.editable()


@pytest.mark.parametrize(
    "index",
    [
        2,
        -1,
        np.int64(1),
        (2, 3, 4),
        (slice(None), 3, -2),
        (slice(1, 3), slice(2, 99), slice(-5, None)),
        (..., 4),
        (1, ...),
        ...,
        (slice(3, 1),),
        (np.array([0, 4, 2]), np.array([6, 0, 1]), np.array([-1, 3, 18])),
        (np.array([[0], [4]]), np.array([1, 2]), np.array(3)),
    ],
)
def test_indices_mean_what_they_mean_to_numpy(labels, index):
    twin = np.zeros(labels.shape, np.uint8)
    labels[index] = 3
    twin[index] = 3
    np.testing.assert_array_equal(np.asarray(labels), twin)
    values = np.arange(twin[index].size).reshape(twin[index].shape) % 200
    labels[index] = values
    twin[index] = values
    np.testing.assert_array_equal(np.asarray(labels), twin)
    np.testing.assert_array_equal(labels[index], twin[index])
    assert type(labels[index]) is type(twin[index])


def test_it_looks_like_an_array(labels):
    assert (labels.shape, labels.ndim, labels.size) == ((5, 7, 19), 3, 665)
    assert labels.dtype == np.uint8
    assert np.asarray(labels, dtype=np.int64).dtype == np.int64


def test_a_duplicate_lies_in_memory(labels):
    labels[1, 2, 3] = 1
    duplicate = copy.deepcopy(labels)
    duplicate[0] = 2
    assert duplicate[1, 2, 3] == 1
    assert not labels[0].any()


def test_reading_gives_a_copy(labels):
    labels[0, 0, 0] = 1
    labels[0, :, :][0, 0] = 2
    labels[...][0, 0] = 2
    assert labels[0, 0, 0] == 1


def test_a_plane_by_its_number_is_a_look_without_a_copy(labels):
    plane = labels[1]
    labels[1, 2, 3] = 1
    assert plane[2, 3] == 1
    with pytest.raises(ValueError, match="read-only"):
        plane[0, 0] = 1


def test_only_changed_voxels_become_corrected(store, labels):
    labels[1, 2, 3:6] = [0, 2, 0]
    mask = store.corrected.read((slice(1, 2), slice(2, 3), slice(0, 19)))
    assert np.flatnonzero(mask).tolist() == [4]


def test_points_that_are_set_and_undone_leave_no_trace(store, labels):
    points = np.array([0, 4]), np.array([1, 5]), np.array([2, 18])
    labels[points] = np.array([1, 2])
    assert labels[points].tolist() == [1, 2]
    store.journal.undo()
    assert not store.corrected.any((slice(0, 5), slice(0, 7), slice(0, 19)))
    labels[(np.array([], int),) * 3] = 1
    assert not store.labels.any()


@pytest.mark.parametrize("value", [256, -1, 1.5, np.array([1, 300]), None, "gut"])
def test_only_labels_that_uint8_holds_are_taken(labels, value):
    with pytest.raises(ValueError, match="integers from 0 to 255"):
        labels[0, 0, :2] = value
    assert not labels[:].any()


@pytest.mark.parametrize(
    "index",
    [
        (slice(None, None, 2),),
        np.zeros((5, 7, 19), bool),
        (np.array([0]), slice(None), 1),
        None,
        (0, 0, 0, 0),
        (0, 0, 19),
        True,
        (np.array([5]), np.array([0]), np.array([0])),
    ],
)
def test_other_indices_are_refused(labels, index):
    with pytest.raises(IndexError):
        labels[index] = 1
    assert not labels[:].any()


def test_values_must_fit_the_box(labels):
    with pytest.raises(ValueError, match="broadcast"):
        labels[0, :2, :2] = np.zeros((3, 3), np.uint8)


def test_what_the_model_writes_during_an_edit_stays(store, labels):
    # the model writes between the read and the write of a brush
    region = labels[1:2, 0:3, 0:3]
    store.write((0, 0, 0), np.full((5, 7, 19), 2, np.uint8))
    region[0, 1, 1] = 1
    labels[1:2, 0:3, 0:3] = region
    assert store.labels[1, :3, :3].tolist() == [[2, 2, 2], [2, 1, 2], [2, 2, 2]]
    assert store.corrected.read((slice(1, 2), slice(0, 3), slice(0, 3))).sum() == 1
    # ... and of a fill, which reads a plane and writes a part of it
    plane = labels[3, :, :]
    store.write((3, 0, 0), np.full((1, 7, 19), 0, np.uint8))
    part = plane[2:4, 2:4]
    part[0, 0] = 1
    labels[3, 2:4, 2:4] = part
    assert store.labels[3, 2:4, 2:4].tolist() == [[1, 0], [0, 0]]


def test_a_read_before_another_write_counts_no_more(store, labels):
    labels[0:1, 0:2, 0:2]  # seen: zeros
    labels[0:1, 0:2, 0:2] = 1
    labels[0:1, 0:2, 0:2] = np.zeros((1, 2, 2), np.uint8)
    assert not store.labels.any()


def test_an_undo_restores_what_the_model_has_said_meanwhile(store, labels):
    region = labels[0:1, 0:3, 0:3]
    region[0, 1, 1] = 1
    labels[0:1, 0:3, 0:3] = region
    store.write((0, 0, 0), np.full((1, 7, 19), 2, np.uint8))
    assert labels[0, 1, 1] == 1
    store.journal.undo()
    assert np.all(store.labels[0] == 2)
    assert not store.corrected.any((slice(0, 1), slice(0, 7), slice(0, 19)))


def test_writing_what_was_there_before_is_an_edit_like_others(store, labels):
    labels[1] = 1
    labels[1] = np.zeros((7, 19), np.uint8)
    assert not labels[1].any()
    assert store.corrected.read((slice(1, 2), slice(0, 7), slice(0, 19))).all()
    assert len(store.journal.history.done) == 2


def test_a_read_before_an_undo_counts_no_more(store, labels):
    labels[1, 2, 3] = 1
    assert labels[1, 2, 3] == 1
    store.journal.undo()
    labels[1, 2, 3] = np.array(1)
    assert labels[1, 2, 3] == 1


def test_an_edit_must_fit_into_memory(labels, monkeypatch):
    monkeypatch.setattr(editable_module, "LARGEST_EDIT", 100)
    labels[0, :5, :5] = 1
    with pytest.raises(MeUNetError, match=r"at most 100 voxels.*\(1, 7, 19\)"):
        labels[1] = 1
    with pytest.raises(MeUNetError, match="edit smaller parts"):
        labels[(np.array([0, 4]), np.array([0, 6]), np.array([0, 18]))] = 1


def test_all_planes_of_much_are_not_filled_at_once(labels, monkeypatch):
    everything = (slice(None),) * 3
    assert labels[everything].shape == labels.shape
    monkeypatch.setattr(editable_module, "LARGEST_FILL", labels.size - 1)
    with pytest.raises(MeUNetError, match="press G"):
        labels[everything]
    assert labels[:].shape == labels.shape


def test_a_viewer_that_shows_3d_gets_all_of_a_small_volume(labels, monkeypatch):
    monkeypatch.setattr(editable_module, "LARGEST_FILL", 1)
    labels.viewed_as = lambda: editable_module.View.VOLUME
    assert labels[:, :, :].shape == labels.shape


def test_a_viewer_that_shows_an_overview_gets_a_voxel(labels):
    labels.viewed_as = lambda: editable_module.View.OVERVIEW
    assert labels[:, :, :].tolist() == [[[0]]]
    assert labels[1:, :, :].shape == (labels.shape[0] - 1, *labels.shape[1:])
    assert labels[0, :, :].shape == labels.shape[1:]
    assert np.asarray(labels).shape == labels[:].shape == labels.shape


def test_what_may_not_be_painted_on_stays(store, scan):
    labels = store.editable()
    labels.paintable = lambda box: scan.planes[box] > 100
    labels[:, 2:, :] = 2
    may = np.zeros(store.shape, bool)
    may[:, 2:] = scan.planes[:, 2:] > 100
    np.testing.assert_array_equal(store.labels, 2 * may)
    np.testing.assert_array_equal(store.corrected.read(np.s_[0:5, 0:7, 0:19]), may)
    labels[(np.array([1]), np.array([3]), np.array([4]))] = 1
    assert store.labels[1, 3, 4] == (1 if may[1, 3, 4] else 0)
    labels.paintable = None
    labels[:] = 1
    assert (store.labels == 1).all()
