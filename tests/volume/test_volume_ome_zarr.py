import json

import numpy as np
import pytest
import zarr
from hypothesis import given
from hypothesis.extra.numpy import basic_indices

from napari_meunet.errors import MeUNetError
from napari_meunet.volume.formats import ome_zarr
from napari_meunet.volume.formats.ome_zarr import ZarrPlanes
from napari_meunet.volume.open import open_volume

ALL = (slice(None),) * 3


def scale(*factors):
    return {"type": "scale", "scale": list(factors)}


def axes_of(names, unit="micrometer"):
    types = {"c": "channel", "t": "time"}
    return [
        {"name": name, "type": types.get(name, "space")}
        | ({} if name in types or unit is None else {"unit": unit})
        for name in names
    ]


def write(path, levels, version="0.4", axes="zyx", unit="micrometer", common=None):
    """Write levels as [(array, scale), ...] with plain Zarr, as the standard says."""
    zarr_format = 2 if version == "0.4" else 3
    group = zarr.create_group(path, zarr_format=zarr_format)
    for number, (array, _) in enumerate(levels):
        chunks = tuple(min(4, size) for size in array.shape)
        group.create_array(str(number), data=array, chunks=chunks)
    multiscale = {
        "axes": axes_of(axes, unit),
        "datasets": [
            {"path": str(number), "coordinateTransformations": [scale(*factors)]}
            for number, (_, factors) in enumerate(levels)
        ],
    }
    if common:
        multiscale["coordinateTransformations"] = [scale(*common)]
    metadata = {"multiscales": [multiscale]}
    group.attrs.update(metadata if version == "0.4" else {"ome": metadata})
    return path


@pytest.fixture
def array(rng):
    return rng.integers(0, 60_000, (10, 9, 8), dtype=np.uint16)


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_the_finest_level_is_read_with_its_spacing(tmp_path, array, version):
    levels = [(array, (3.0, 0.5, 0.25)), (array[::2, ::2, ::2], (6.0, 1.0, 0.5))]
    volume = open_volume(write(tmp_path / "a.zarr", levels, version))
    assert volume.dtype == np.uint16
    assert volume.chunks == (4, 4, 4)
    assert volume.spacing.zyx == (3.0, 0.5, 0.25)
    assert volume.spacing.origin == "OME-Zarr"
    np.testing.assert_array_equal(volume.read(0, 10), array)
    np.testing.assert_array_equal(volume.data[2:7, 3].compute(), array[2:7, 3])


def test_the_levels_of_the_file_come_along(tmp_path, array):
    coarse = array[::2, ::2, ::2]
    levels = [(array, (1.0, 1.0, 1.0)), (coarse, (2.0, 2.0, 2.0))]
    (lower,) = open_volume(write(tmp_path / "a.zarr", levels)).lower
    assert lower.spacing.zyx == (2.0, 2.0, 2.0)
    np.testing.assert_array_equal(lower.read(0, 5), coarse)


def test_scales_of_dataset_and_multiscale_multiply(tmp_path, array):
    levels = [(array, (1.0, 1.0, 2.0))]
    path = write(tmp_path / "a.zarr", levels, common=(3.0, 0.5, 0.25))
    assert open_volume(path).spacing.zyx == (3.0, 0.5, 0.5)


@pytest.mark.parametrize(
    ("unit", "expected"),
    [("millimeter", 2000.0), ("nanometer", 0.002), (None, None), ("second", None)],
)
def test_units_are_converted_and_never_guessed(tmp_path, array, unit, expected):
    path = write(tmp_path / "a.zarr", [(array, (2.0, 2.0, 2.0))], unit=unit)
    volume = open_volume(path)
    assert (volume.spacing and volume.spacing.zyx) == (expected and (expected,) * 3)
    assert ("without a unit" in volume.source.format) == (expected is None)


def test_a_channel_and_a_time_are_chosen(tmp_path, rng):
    array = rng.integers(0, 255, (2, 3, 5, 6, 7), dtype=np.uint8)
    levels = [(array, (1.0, 1.0, 3.0, 2.0, 1.0))]
    path = write(tmp_path / "a.zarr", levels, axes="tczyx")
    volume = open_volume(path, channel=2, time=1)
    assert volume.shape == (5, 6, 7)
    assert volume.spacing.zyx == (3.0, 2.0, 1.0)
    np.testing.assert_array_equal(volume.read(1, 4), array[1, 2, 1:4])
    with pytest.raises(MeUNetError, match="got 3 channels; pass --channel 0 to 2"):
        open_volume(path)


def test_axes_of_old_versions_are_understood(tmp_path, array):
    path = write(tmp_path / "a.zarr", [(array[None, None], (1.0,) * 5)], axes="tczyx")
    attributes = json.loads((path / ".zattrs").read_text())
    for axes in (list("tczyx"), None):
        attributes["multiscales"][0]["axes"] = axes
        (path / ".zattrs").write_text(json.dumps(attributes))
        np.testing.assert_array_equal(open_volume(path).read(0, 10), array)


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_a_plain_array_has_no_spacing(tmp_path, array, zarr_format):
    path = tmp_path / "a"
    zarr.create_array(path, data=array, chunks=(4, 4, 4), zarr_format=zarr_format)
    volume = open_volume(path)
    assert volume.spacing is None
    assert volume.source.format == f"Zarr v{zarr_format} array"
    np.testing.assert_array_equal(volume.read(0, 10), array)


def test_a_big_endian_array_is_read_in_the_order_of_the_machine(tmp_path, array):
    path = tmp_path / "a.zarr"
    zarr.create_array(path, data=array.astype(">u2"), zarr_format=2)
    volume = open_volume(path)
    assert volume.dtype.isnative
    np.testing.assert_array_equal(volume.read(0, 10), array)


@pytest.mark.parametrize("layout", ["0.4", "0.5"])
def test_the_folder_of_bioformats2raw_opens_at_its_first_image(tmp_path, array, layout):
    path = tmp_path / "a.zarr"
    group = zarr.create_group(path, zarr_format=2 if layout == "0.4" else 3)
    mark = {"bioformats2raw.layout": 3}
    group.attrs.update(mark if layout == "0.4" else {"ome": mark})
    write(path / "0", [(array, (3.0, 2.0, 1.0))], layout)
    volume = open_volume(path)
    assert volume.spacing.zyx == (3.0, 2.0, 1.0)
    np.testing.assert_array_equal(volume.read(0, 10), array)


def test_a_group_without_an_image_lists_what_it_holds(tmp_path, array):
    group = zarr.create_group(tmp_path / "a.zarr")
    with pytest.raises(MeUNetError, match="with nothing in it"):
        open_volume(tmp_path / "a.zarr")
    group.create_array("left", data=array)
    group.create_array("right", data=array)
    with pytest.raises(MeUNetError, match="with left, right in it; open one of these"):
        open_volume(tmp_path / "a.zarr")
    volume = open_volume(tmp_path / "a.zarr" / "left")
    np.testing.assert_array_equal(volume.read(0, 10), array)


@pytest.mark.parametrize(
    "content", ["{ not json", '{"zarr_format": 3, "node_type": "array"}']
)
def test_broken_metadata_are_an_error(tmp_path, content):
    path = tmp_path / "a.zarr"
    path.mkdir()
    (path / "zarr.json").write_text(content)
    with pytest.raises(MeUNetError, match="metadata of a Zarr folder must be whole"):
        open_volume(path)


def test_a_missing_level_is_an_error(tmp_path, array):
    path = write(tmp_path / "a.zarr", [(array, (1.0, 1.0, 1.0))])
    attributes = json.loads((path / ".zattrs").read_text())
    attributes["multiscales"][0]["datasets"][0]["path"] = "9"
    (path / ".zattrs").write_text(json.dumps(attributes))
    with pytest.raises(MeUNetError, match="metadata of a Zarr folder must be whole"):
        open_volume(path)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((9, 8), "got y=9 x=8"),
        ((), "axes z, y, x, got "),
        ((2, 1, 1, 4, 9, 8), "got .*z=4 y=9 x=8; save one volume"),
        ((0, 9, 8), r"needs a voxel along every axis, got \(0, 9, 8\)"),
    ],
)
def test_an_array_that_is_not_a_volume_is_refused(tmp_path, shape, message):
    zarr.create_array(tmp_path / "a.zarr", shape=shape, dtype="u1")
    with pytest.raises(MeUNetError, match=message):
        open_volume(tmp_path / "a.zarr")


def test_a_damaged_chunk_is_a_readable_error(tmp_path, array):
    path = tmp_path / "a.zarr"
    zarr.create_array(path, data=array, chunks=(4, 9, 8))
    (path / "c" / "1" / "0" / "0").write_bytes(b"no chunk")
    volume = open_volume(path)
    np.testing.assert_array_equal(volume.read(0, 4), array[:4])
    with pytest.raises(MeUNetError, match=r"every chunk must decode, got .*a\.zarr"):
        volume.read(4, 6)


class CountingArray:
    """A numpy array in chunks that notes what is read of it."""

    def __init__(self, array, chunks):
        self.array, self.shape, self.dtype = array, array.shape, array.dtype
        self.chunks, self.reads = chunks, []

    def __getitem__(self, index):
        self.reads.append(index)
        return self.array[index]


@pytest.mark.parametrize("step", [1, 3, 4, 7, 10])
def test_reading_plane_after_plane_decodes_every_chunk_once(array, step):
    source = CountingArray(array, (4, 4, 4))
    planes = ZarrPlanes(source, ALL)
    parts = [planes[start : start + step] for start in range(0, 10, step)]
    np.testing.assert_array_equal(np.concatenate(parts), array)
    slabs = [(read[0].start // 4, -(-read[0].stop // 4)) for read in source.reads]
    assert [n for slab in slabs for n in range(*slab)] == [0, 1, 2]


def test_a_part_of_plane_after_plane_decodes_every_chunk_once(array):
    source = CountingArray(array, (4, 4, 4))
    planes = ZarrPlanes(source, ALL)
    parts = [planes[start : start + 3, 2:5, :7] for start in range(0, 10, 3)]
    np.testing.assert_array_equal(np.concatenate(parts), array[:, 2:5, :7])
    assert source.reads == [
        (slice(first, first + 4), slice(2, 5), slice(0, 7)) for first in (0, 4, 8)
    ]
    np.testing.assert_array_equal(planes[9:10, 3:6, :7], array[9:10, 3:6, :7])


def test_whole_chunks_are_read_side_by_side(array):
    source = CountingArray(array, (4, 4, 4))
    planes = ZarrPlanes(source, ALL)
    planes[1:2]
    for z in (slice(0, 4), slice(4, 8), slice(8, 10)):
        np.testing.assert_array_equal(planes[z, 4:8, 0:4], array[z, 4:8, 0:4])
    planes[2:3]
    assert [read[0] for read in source.reads] == [
        slice(0, 4),
        slice(0, 4),
        slice(4, 8),
        slice(8, 10),
    ]


def test_a_slab_that_is_too_large_is_not_kept(array, monkeypatch):
    monkeypatch.setattr(ome_zarr, "_LARGEST_SLAB", 4 * 9 * 8 * 2 - 1)
    source = CountingArray(array, (4, 4, 4))
    planes = ZarrPlanes(source, ALL)
    np.testing.assert_array_equal(planes[1:3], array[1:3])
    assert source.reads[0][0] == slice(1, 3)


ARRAY = np.arange(720, dtype=np.uint16).reshape(10, 9, 8)


@given(basic_indices(ARRAY.shape, allow_ellipsis=False, max_dims=3))
def test_any_part_is_that_part_of_the_array(index):
    planes = ZarrPlanes(CountingArray(ARRAY, (4, 4, 4)), ALL)
    np.testing.assert_array_equal(planes[index], ARRAY[index])


def test_an_image_without_z_is_a_volume_of_one_plane(tmp_path, array):
    levels = [(array[:3], (1.0, 1.0, 1.0))]
    path = write(tmp_path / "a.zarr", levels, "0.5", axes="cyx")
    volume = open_volume(path, channel=2)
    assert volume.shape == (1, 9, 8)
    assert volume.spacing is None
    np.testing.assert_array_equal(volume.read(0, 1), array[2:3])
    np.testing.assert_array_equal(volume.data[0, 2:5].compute(), array[2, 2:5])
