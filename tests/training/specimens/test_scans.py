"""Scans and labels that are found by their names."""

import pytest

from napari_meunet.errors import MeUNetError
from napari_meunet.training.specimens.scans import label_maps, labelled_scans


def touch(folder, *names):
    for name in names:
        (folder / name).touch()


def names(pairs):
    return [tuple(path.name if path else None for path in pair) for pair in pairs]


def test_labels_go_with_the_scan_of_their_name_and_format(tmp_path):
    touch(tmp_path, "b.ome.tif", "b_labels.ome.tif", "a.nii.gz", "a_labels.nii.gz")
    touch(tmp_path, "c_labels.tif", "c.zarr", "d.tif")
    both = [("a.nii.gz", "a_labels.nii.gz"), ("b.ome.tif", "b_labels.ome.tif")]
    pairs = [*both, ("c.zarr", "c_labels.tif")]
    assert names(labelled_scans(tmp_path)) == names(label_maps(tmp_path)) == pairs


def test_the_format_of_the_labels_comes_first_and_else_there_is_one(tmp_path):
    touch(tmp_path, "a.nii", "a.tif", "a_labels.tif")
    assert names(labelled_scans(tmp_path)) == [("a.tif", "a_labels.tif")]
    touch(tmp_path, "b.nii", "b.tiff", "b_labels.tif")
    for find in (labelled_scans, label_maps):
        with pytest.raises(MeUNetError, match=r"b_labels\.tif with b\.nii, b\.tiff"):
            find(tmp_path)


def test_a_scan_has_one_file_of_labels(tmp_path):
    touch(tmp_path, "fly.tif", "fly_labels.tif", "fly_2_labels.tif", "fly_2.tif")
    assert len(labelled_scans(tmp_path)) == 2
    touch(tmp_path, "fly_labels.nii.gz")
    for find in (labelled_scans, label_maps):
        with pytest.raises(MeUNetError, match=r"fly_labels\.nii\.gz and fly_labels"):
            find(tmp_path)


def test_slices_in_a_folder_are_a_scan(tmp_path):
    (tmp_path / "a").mkdir()
    touch(tmp_path, "a_labels.tif")
    assert names(labelled_scans(tmp_path)) == [("a", "a_labels.tif")]


def test_labels_without_a_scan_are_named_where_each_needs_one(tmp_path):
    touch(tmp_path, "a.tif", "a_labels.tif", "b_labels.tif")
    expected = [("a.tif", "a_labels.tif"), (None, "b_labels.tif")]
    assert names(label_maps(tmp_path)) == expected
    with pytest.raises(MeUNetError, match=r"got b_labels\.tif alone"):
        labelled_scans(tmp_path)


def test_tables_and_hidden_files_are_no_labels(tmp_path):
    touch(tmp_path, "a.tif", "a_labels.tif", "a_labels.csv", "a.csv")
    touch(tmp_path, "._a.tif", "._a_labels.tif")
    for found in (labelled_scans(tmp_path), label_maps(tmp_path)):
        assert names(found) == [("a.tif", "a_labels.tif")]


@pytest.mark.parametrize("find", [labelled_scans, label_maps])
def test_a_folder_that_is_not_there_is_an_error(tmp_path, find):
    with pytest.raises(MeUNetError, match=r"nowhere', which is no folder"):
        find(tmp_path / "nowhere")


@pytest.mark.parametrize("find", [labelled_scans, label_maps])
def test_a_folder_without_labels_is_an_error(tmp_path, find):
    touch(tmp_path, "a.tif", "a_labels.csv")
    with pytest.raises(MeUNetError, match="without any"):
        find(tmp_path)
