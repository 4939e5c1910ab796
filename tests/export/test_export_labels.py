"""Labels in files: other programs read the same voxels and the same spacing."""

import json

import dask.array as da
import nibabel
import numpy as np
import pytest
import SimpleITK
import tifffile
import zarr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from napari_meunet.config import LabelClass
from napari_meunet.errors import MeUNetError
from napari_meunet.export.export import SUFFIXES, export_labels
from napari_meunet.export.tiff import write_tiff
from napari_meunet.labels.store import LabelStore
from napari_meunet.volume.open import open_volume
from napari_meunet.volume.volume import Spacing, Volume

SPACING = Spacing((10.0, 3.0, 4.0), "given by the user")
INTEGERS = ("bool", "u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", ">u2", ">i4")
CLASSES = (
    LabelClass(value=0, name="background", color="#000000"),
    LabelClass(value=1, name="fly", color="#ff8800"),
    LabelClass(value=2, name="gut", color="#0044ff"),
)


def some_labels(shape, dtype="u1", seed=0):
    return np.random.default_rng(seed).integers(0, 2, shape).astype(dtype) * np.array(
        1 if dtype == "bool" else 100, dtype
    )


def export(labels, path, spacing=SPACING, **options):
    steps = list(export_labels(labels, path, spacing, **options))
    assert [step.done for step in steps] == sorted(step.done for step in steps)
    assert steps[-1].done == steps[-1].total
    return path


def read_back(path):
    """Read the voxels with a program that is not ours."""
    if path.suffix == ".zarr":
        return zarr.open_group(path, mode="r")["0"][:]
    if ".nii" in path.suffixes:
        return np.asarray(nibabel.load(path).dataobj).T
    return tifffile.imread(path)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("dtype", INTEGERS)
def test_voxels_are_the_same_in_every_format(tmp_path, suffix, dtype):
    labels = some_labels((5, 7, 19), dtype)
    path = export(labels, tmp_path / f"labels{suffix}")
    np.testing.assert_array_equal(read_back(path), labels)
    assert [found.name for found in tmp_path.iterdir()] == [path.name]


@given(shape=st.tuples(*[st.integers(1, 6)] * 3), suffix=st.sampled_from(SUFFIXES))
@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_axes_of_any_length_come_back(tmp_path, shape, suffix):
    labels = some_labels(shape)
    path = export(labels, tmp_path / f"labels{suffix}", overwrite=True)
    np.testing.assert_array_equal(read_back(path).reshape(shape), labels)


@pytest.mark.parametrize("suffix", [".tif", ".nii.gz", ".ome.zarr"])
def test_any_array_like_can_be_exported(tmp_path, suffix):
    labels = some_labels((40, 5, 6))
    lazy = da.from_array(labels, chunks=(3, 5, 6))
    mapped = np.memmap(tmp_path / "raw", np.uint8, "w+", shape=labels.shape)
    mapped[:] = labels
    for array in (lazy, mapped, labels[:, ::-1, ::-1][:, ::-1, ::-1]):
        path = export(array, tmp_path / f"labels{suffix}", overwrite=True)
        np.testing.assert_array_equal(read_back(path), labels)


@pytest.mark.parametrize("dtype", ["u1", "u2"])
def test_imagej_finds_spacing_and_unit(tmp_path, dtype):
    path = export(some_labels((5, 7, 19), dtype), tmp_path / "labels.tif")
    with tifffile.TiffFile(path) as tif:
        assert tif.is_imagej
        assert not tif.is_bigtiff
        assert tif.imagej_metadata["unit"] == "um"
        assert tif.imagej_metadata["spacing"] == 10
        assert tif.imagej_metadata["slices"] == 5
        for tag, size in (("XResolution", 4), ("YResolution", 3)):
            pixels, um = tif.pages.first.tags[tag].value
            assert 1e4 * um / pixels == pytest.approx(size, rel=1e-6)
        unit = tif.pages.first.tags["ResolutionUnit"].value
    assert unit == tifffile.RESUNIT.CENTIMETER
    # TIFF has no tag for z
    found = SimpleITK.ReadImage(str(path)).GetSpacing()[:2]
    assert found == pytest.approx((0.004, 0.003), rel=1e-6)


@pytest.mark.parametrize(
    ("name", "dtype"),
    [("labels.ome.tif", "u1"), ("labels.ome.tiff", "u2"), ("labels.tif", "i4")],
)
def test_ome_readers_find_spacing_and_unit(tmp_path, name, dtype):
    path = export(some_labels((5, 7, 19), dtype), tmp_path / name)
    with tifffile.TiffFile(path) as tif:
        assert tif.is_ome
        pixels = tifffile.xml2dict(tif.ome_metadata)["OME"]["Image"]["Pixels"]
    assert [pixels[f"PhysicalSize{axis}"] for axis in "ZYX"] == [10, 3, 4]
    assert {pixels[f"PhysicalSize{axis}Unit"] for axis in "ZYX"} == {"µm"}
    image = SimpleITK.ReadImage(str(path))
    assert image.GetSpacing()[:2] == pytest.approx((0.004, 0.003), rel=1e-6)


def test_labels_above_4_gb_become_a_bigtiff(tmp_path):
    path = tmp_path / "labels.tif"
    labels = np.broadcast_to(np.uint8(7), (4300, 1, 10**6))
    steps = write_tiff(labels, path, SPACING, ome=False)
    assert next(steps).total == 4300  # the header is complete with the first plane
    steps.close()
    with tifffile.TiffFile(path) as tif:
        assert tif.is_bigtiff
        assert tif.is_ome
        assert tif.series[0].shape == (4300, 1, 10**6)
        assert tif.series[0].dataoffset is not None


def test_64_bit_labels_that_a_tiff_cannot_hold_are_refused(tmp_path):
    labels = np.zeros((2, 3, 4), np.int64)
    labels[1, 0, 0] = 2**31
    with pytest.raises(MeUNetError, match="between -2147483648 and 2147483647, got 0"):
        export(labels, tmp_path / "labels.tif")
    assert list(tmp_path.iterdir()) == []
    path = export(labels, tmp_path / "labels.nii")
    np.testing.assert_array_equal(read_back(path), labels)


@pytest.mark.parametrize("name", ["labels.nii", "labels.nii.gz"])
def test_itk_reads_nifti_with_spacing_and_without_turning_it(tmp_path, name):
    labels = some_labels((5, 7, 19), "u2")
    image = SimpleITK.ReadImage(str(export(labels, tmp_path / name)))
    np.testing.assert_array_equal(SimpleITK.GetArrayFromImage(image), labels)
    assert image.GetSpacing() == pytest.approx((0.004, 0.003, 0.010))
    assert image.GetDirection() == (1, 0, 0, 0, 1, 0, 0, 0, 1)
    assert image.GetOrigin() == (0, 0, 0)


def test_the_nifti_header_says_millimetres(tmp_path):
    path = export(some_labels((5, 7, 19)), tmp_path / "labels.nii")
    header = nibabel.load(path).header
    assert header.get_xyzt_units()[0] == "mm"
    assert header.get_zooms() == pytest.approx((0.004, 0.003, 0.010))
    assert header.get_data_dtype() == np.uint8
    expected = np.diag([-0.004, -0.003, 0.010, 1])
    np.testing.assert_allclose(header.get_sform(), expected, rtol=1e-6)
    np.testing.assert_allclose(header.get_qform(), expected, rtol=1e-6)


def test_an_axis_that_nifti_cannot_count_is_refused(tmp_path):
    labels = np.broadcast_to(np.uint8(0), (1, 1, 2**15))
    with pytest.raises(MeUNetError, match="at most 32767 voxels"):
        export(labels, tmp_path / "labels.nii")


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_our_own_reader_finds_the_same_voxels_and_spacing(tmp_path, suffix):
    labels = some_labels((5, 7, 19))
    volume = open_volume(export(labels, tmp_path / f"labels{suffix}"))
    np.testing.assert_array_equal(volume.read(0, 5), labels)
    assert volume.spacing.zyx == pytest.approx(SPACING.zyx, rel=1e-6)
    volume = open_volume(export(labels, tmp_path / f"unknown{suffix}", None))
    assert volume.spacing is None


def test_without_a_spacing_no_file_claims_one(tmp_path):
    labels = some_labels((5, 7, 19))
    with tifffile.TiffFile(export(labels, tmp_path / "a.tif", None)) as tif:
        assert "unit" not in tif.imagej_metadata
        assert "spacing" not in tif.imagej_metadata
        assert tif.pages.first.tags["XResolution"].value == (1, 1)
    with tifffile.TiffFile(export(labels, tmp_path / "a.ome.tif", None)) as tif:
        assert "PhysicalSize" not in tif.ome_metadata
    header = nibabel.load(export(labels, tmp_path / "a.nii", None)).header
    assert header.get_xyzt_units()[0] == "unknown"
    assert (header["sform_code"], header["qform_code"]) == (0, 0)
    group = zarr.open_group(export(labels, tmp_path / "a.zarr", None), mode="r")
    assert all("unit" not in a for a in group.attrs["multiscales"][0]["axes"])


def test_an_ome_zarr_is_an_image_label_with_a_pyramid(tmp_path):
    z, y, x = np.ogrid[:33, :260, :520]
    labels = ((z // 5 + y // 9 + x // 7) % 3).astype(np.uint8)
    path = export(labels, tmp_path / "labels.ome.zarr", classes=CLASSES)
    group = zarr.open_group(path, mode="r", zarr_format=2)
    multiscale = group.attrs["multiscales"][0]
    assert multiscale["version"] == "0.4"
    assert multiscale["axes"] == [
        {"name": name, "type": "space", "unit": "micrometer"} for name in "zyx"
    ]
    assert [level["path"] for level in multiscale["datasets"]] == ["0", "1", "2"]
    for number, level in enumerate(multiscale["datasets"]):
        step = 2**number
        np.testing.assert_array_equal(
            group[level["path"]][:], labels[::step, ::step, ::step]
        )
        scale = [10 * step, 3 * step, 4 * step]
        assert level["coordinateTransformations"] == [{"type": "scale", "scale": scale}]
    assert group.attrs["image-label"] == {
        "version": "0.4",
        "colors": [
            {"label-value": 0, "rgba": [0, 0, 0, 0]},
            {"label-value": 1, "rgba": [255, 136, 0, 255]},
            {"label-value": 2, "rgba": [0, 68, 255, 255]},
        ],
        "properties": [
            {"label-value": 0, "name": "background"},
            {"label-value": 1, "name": "fly"},
            {"label-value": 2, "name": "gut"},
        ],
    }
    assert json.loads((path / "0" / ".zarray").read_text())["chunks"] == [32, 256, 256]
    assert (path / "0" / "1" / "1" / "2").is_file()  # nested chunks, as 0.4 asks


def test_an_axis_that_cannot_be_halved_keeps_its_scale(tmp_path):
    """A level's voxel is as thick as the step between those that it took."""
    labels = some_labels((1, 3, 1025))
    path = export(labels, tmp_path / "labels.ome.zarr")
    group = zarr.open_group(path, mode="r")
    datasets = group.attrs["multiscales"][0]["datasets"]
    found = [
        (group[level["path"]].shape, level["coordinateTransformations"][0]["scale"])
        for level in datasets
    ]
    assert found == [
        ((1, 3, 1025), [10, 3, 4]),
        ((1, 2, 513), [10, 6, 8]),
        ((1, 1, 257), [10, 12, 16]),
        ((1, 1, 129), [10, 12, 32]),
    ]
    for level in open_volume(path).lower:
        assert level.spacing.zyx[0] == 10


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_an_existing_file_is_kept_unless_told_otherwise(tmp_path, suffix):
    path = export(some_labels((2, 3, 4)), tmp_path / f"labels{suffix}")
    before = read_back(path)
    with pytest.raises(MeUNetError, match="must not exist yet"):
        export_labels(before + 1, path, SPACING)
    np.testing.assert_array_equal(read_back(path), before)
    export(before + 1, path, overwrite=True)
    np.testing.assert_array_equal(read_back(path), before + 1)


def test_the_working_copy_of_the_labels_is_never_replaced(tmp_path):
    """What is painted later would go to the replaced file, and be lost."""
    scan = Volume.from_array(np.zeros((2, 3, 4), np.uint8))
    with LabelStore.create(tmp_path / "scan.meunet", scan, CLASSES) as store:
        path = store.folder / "labels.tif"
        with pytest.raises(MeUNetError, match=r"working copy.*choose another name"):
            export_labels(store.labels, path, SPACING, overwrite=True)
        store.editable()[0] = 1
    assert tifffile.imread(path).sum() == 12


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_cancelled_export_leaves_what_was_there(tmp_path, suffix):
    path = export(some_labels((70, 3, 4)), tmp_path / f"labels{suffix}")
    steps = export_labels(np.ones((70, 3, 4), "u1"), path, None, overwrite=True)
    next(steps)
    steps.close()
    np.testing.assert_array_equal(read_back(path), some_labels((70, 3, 4)))
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", ["labels.png", "labels", "labels.tif.bak"])
def test_an_unknown_suffix_is_refused_with_the_known_ones(tmp_path, name):
    with pytest.raises(MeUNetError, match=r"\.nii\.gz, \.ome\.tif.*got labels"):
        export_labels(some_labels((2, 3, 4)), tmp_path / name, None)


@pytest.mark.parametrize("labels", [np.zeros((2, 3, 4)), np.zeros((3, 4), np.uint8)])
def test_only_volumes_of_integers_are_labels(tmp_path, labels):
    with pytest.raises(MeUNetError, match="must be integers"):
        export_labels(labels, tmp_path / "labels.tif", None)


def test_a_missing_folder_is_one_clear_error(tmp_path):
    for suffix in (".tif", ".nii.gz"):
        with pytest.raises(MeUNetError, match="must be writable, got No such file"):
            export(some_labels((2, 3, 4)), tmp_path / "missing" / f"a{suffix}")


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_disk_that_fills_up_leaves_what_was_there(tmp_path, suffix):
    resource = pytest.importorskip("resource")
    path = export(some_labels((2, 3, 4)), tmp_path / f"labels{suffix}")
    noise = np.random.default_rng(0).integers(0, 255, (64, 256, 256), np.uint8)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**20, limits[1]))
    try:
        with pytest.raises(MeUNetError, match="must be writable, got"):
            export(noise, path, overwrite=True)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    np.testing.assert_array_equal(read_back(path), some_labels((2, 3, 4)))
    assert list(tmp_path.iterdir()) == [path]


def test_labels_of_a_nifti_scan_lie_where_the_scan_lies(tmp_path):
    """Turned, moved and flipped, as a scanner would; in ITK's words and nibabel's."""
    affine = np.array(
        [[0, 0.02, 0, 5], [-0.03, 0, 0, -7], [0, 0, 0.04, 9], [0, 0, 0, 1]]
    )
    labels = some_labels((5, 7, 19))
    scan = tmp_path / "scan.nii.gz"
    image = nibabel.Nifti1Image(labels.T, affine)
    image.header.set_xyzt_units("mm")
    nibabel.save(image, scan)
    opened = open_volume(scan)
    with LabelStore.create(tmp_path / "scan.meunet", opened, ()) as store:
        store.write((0, 0, 0), labels)
    mask = tmp_path / "mask.nii.gz"
    with LabelStore.open(tmp_path / "scan.meunet", writable=False) as store:
        list(export_labels(store.labels, mask, store.spacing))
    np.testing.assert_allclose(nibabel.load(mask).affine, affine, atol=1e-6)
    expected, found = SimpleITK.ReadImage(str(scan)), SimpleITK.ReadImage(str(mask))
    assert found.GetOrigin() == pytest.approx(expected.GetOrigin())
    assert found.GetDirection() == pytest.approx(expected.GetDirection())
    assert found.GetSpacing() == pytest.approx(expected.GetSpacing())
