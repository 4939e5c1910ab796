"""Where the labels of a scan lie."""

from pathlib import Path

import pytest

from napari_meunet.labels.folder import labels_folder


@pytest.mark.parametrize(
    ("scan", "folder"),
    [
        ("M1.nii.gz", "M1.meunet"),
        ("M1.nii", "M1.meunet"),
        ("fly.tif", "fly.meunet"),
        ("fly.TIFF", "fly.meunet"),
        ("fly.ome.tif", "fly.meunet"),
        ("fly.ome.zarr", "fly.meunet"),
        ("slices", "slices.meunet"),
        ("2024.05.slices", "2024.05.slices.meunet"),
        ("a.b.tif", "a.b.meunet"),
    ],
)
def test_the_folder_lies_beside_the_scan_without_its_image_suffix(scan, folder):
    assert labels_folder(Path("/data") / scan) == Path("/data") / folder


def test_a_relative_scan_has_its_folder_beside_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert labels_folder(Path("fly.tif")) == tmp_path / "fly.meunet"
