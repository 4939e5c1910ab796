import gc

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis.extra.numpy import basic_indices

from napari_meunet.errors import MeUNetError
from napari_meunet.volume.formats.planes import ConvertedPlanes, DecodedPlanes
from napari_meunet.volume.open import open_volume

UM = {"axes": "ZYX", "spacing": 3.0, "unit": "um"}

WRITERS = {
    "plain": {},
    "without metadata": {"metadata": None},
    "big-endian": {"byteorder": ">"},
    "BigTIFF": {"bigtiff": True},
    "strips": {"metadata": None, "rowsperstrip": 3},
    "LZW": {"compression": "lzw"},
    "LZW without metadata": {"compression": "lzw", "metadata": None},
    "zlib with predictor": {"compression": "zlib", "predictor": True},
    "zstd, big-endian": {"compression": "zstd", "byteorder": ">"},
    "tiles": {"tile": (16, 16)},
    "compressed tiles": {"tile": (16, 16), "compression": "zlib"},
    "ImageJ": {"imagej": True, "metadata": {"axes": "ZYX"}},
    "OME": {"ome": True, "metadata": {"axes": "ZYX"}},
    "OME, zlib": {"ome": True, "metadata": {"axes": "ZYX"}, "compression": "zlib"},
}
MAPPED = {"plain", "without metadata", "BigTIFF", "strips", "ImageJ", "OME"}


def write(path, array, **options):
    tifffile.imwrite(path, array, photometric="minisblack", **options)
    return path


@pytest.fixture
def array(rng):
    return rng.integers(0, 60_000, (5, 20, 17), dtype=np.uint16)


@pytest.mark.parametrize("writer", WRITERS)
def test_what_was_written_is_read(tmp_path, array, writer):
    volume = open_volume(write(tmp_path / "scan.tif", array, **WRITERS[writer]))
    assert volume.shape == array.shape
    assert volume.dtype == np.uint16
    assert volume.dtype.isnative
    np.testing.assert_array_equal(volume.read(0, 5), array)
    np.testing.assert_array_equal(volume.read(2, 4), array[2:4])
    np.testing.assert_array_equal(volume.data[1:, 3, ::2].compute(), array[1:, 3, ::2])


@pytest.mark.parametrize("writer", WRITERS)
def test_only_uncompressed_data_in_one_piece_is_memory_mapped(tmp_path, array, writer):
    planes = open_volume(write(tmp_path / "a.tif", array, **WRITERS[writer])).planes
    if writer == "big-endian":
        assert isinstance(planes, ConvertedPlanes)
        planes = planes.planes
    expected = np.memmap if writer in MAPPED | {"big-endian"} else DecodedPlanes
    assert isinstance(planes, expected)


@pytest.mark.parametrize(
    "dtype", ["u1", "i1", "u2", "i2", "u4", "i4", "f4", "f8", ">i2", ">f4"]
)
@pytest.mark.parametrize("compression", [None, "zlib"])
def test_every_data_type_survives(tmp_path, rng, dtype, compression):
    array = rng.integers(0, 100, (3, 6, 7)).astype(dtype)
    volume = open_volume(write(tmp_path / "a.tif", array, compression=compression))
    assert volume.dtype == array.dtype.newbyteorder("=")
    np.testing.assert_array_equal(volume.read(0, 3), array)


def test_truth_values_are_read_as_0_and_1(tmp_path, rng):
    array = rng.random((3, 6, 7)) < 0.5
    volume = open_volume(write(tmp_path / "a.tif", array))
    assert volume.dtype == np.uint8
    np.testing.assert_array_equal(volume.read(0, 3), array.astype(np.uint8))


@pytest.fixture(scope="module")
def compressed(tmp_path_factory):
    array = np.random.default_rng(0).integers(0, 255, (6, 9, 8), dtype=np.uint8)
    path = tmp_path_factory.mktemp("tiff") / "scan.tif"
    return array, open_volume(write(path, array, compression="zlib", tile=(16, 16)))


@given(basic_indices((6, 9, 8), allow_ellipsis=False, max_dims=3))
def test_a_part_of_a_compressed_file_is_that_part_of_the_array(compressed, index):
    array, volume = compressed
    np.testing.assert_array_equal(volume.planes[index], array[index])


@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("kind", ["imagej", "ome"])
def test_a_channel_and_a_time_are_chosen(tmp_path, rng, compression, kind):
    array = rng.integers(0, 255, (2, 4, 3, 8, 7), dtype=np.uint8)
    options = {kind: True, "metadata": {"axes": "TZCYX"}}
    if kind == "ome":
        options["compression"] = compression
    path = write(tmp_path / "a.tif", array, **options)
    volume = open_volume(path, channel=2, time=1)
    assert volume.shape == (4, 8, 7)
    np.testing.assert_array_equal(volume.read(0, 4), array[1, :, 2])
    with pytest.raises(MeUNetError, match="got 3 channels; pass --channel 0 to 2"):
        open_volume(path, time=0)
    with pytest.raises(MeUNetError, match="got 2 time points; pass --time 0 to 1"):
        open_volume(path, channel=0)


@pytest.mark.parametrize("unit", ["um", "micron", "\\u00B5m"])
def test_imagej_spacing_is_in_micrometres(tmp_path, array, unit):
    path = tmp_path / "a.tif"
    write(path, array, imagej=True, metadata={**UM, "unit": unit}, resolution=(4, 2))
    volume = open_volume(path)
    assert volume.spacing.zyx == (3.0, 0.5, 0.25)
    assert volume.spacing.origin == "ImageJ TIFF"


def test_imagej_millimetres_are_converted(tmp_path, array):
    metadata = {"axes": "ZYX", "spacing": 0.0195, "unit": "mm"}
    path = tmp_path / "a.tif"
    write(path, array, imagej=True, metadata=metadata, resolution=(50, 50))
    assert open_volume(path).spacing.zyx == (19.5, 20.0, 20.0)


def test_imagej_micrometres_may_be_counted_per_centimetre(tmp_path, array):
    """As ImageJ reads them; ITK finds the right size in such a file, too."""
    path = tmp_path / "a.tif"
    resolution = {"resolution": (40_000, 20_000), "resolutionunit": "CENTIMETER"}
    write(path, array, imagej=True, metadata=UM, **resolution)
    assert open_volume(path).spacing.zyx == (3.0, 0.5, 0.25)
    write(path, array, imagej=True, metadata={**UM, "unit": "cm"}, **resolution)
    assert open_volume(path).spacing.zyx == (30_000.0, 0.5, 0.25)


def test_imagej_leaves_a_spacing_of_one_out(tmp_path, array):
    metadata = {"axes": "ZYX", "unit": "um"}
    path = tmp_path / "a.tif"
    write(path, array, imagej=True, metadata=metadata, resolution=(2, 2))
    assert open_volume(path).spacing.zyx == (1.0, 0.5, 0.5)


@pytest.mark.parametrize("unit", [None, "", "pixel", "inch"])
def test_imagej_sizes_without_a_length_are_no_spacing(tmp_path, array, unit):
    metadata = {"axes": "ZYX", "spacing": 1.953} | ({"unit": unit} if unit else {})
    path = tmp_path / "a.tif"
    write(path, array, imagej=True, metadata=metadata, resolution=(0.512, 0.512))
    volume = open_volume(path)
    assert volume.spacing is None
    expected = f"in '{unit}'" if unit else "without a unit"
    assert volume.source.format == f"ImageJ TIFF, voxel size {expected}"


def test_dots_per_inch_are_never_a_spacing(tmp_path, array):
    path = tmp_path / "a.tif"
    write(path, array, resolution=(72, 72), resolutionunit="INCH")
    assert open_volume(path).spacing is None


@pytest.mark.parametrize(
    ("unit", "expected"),
    [(None, (3.0, 0.5, 0.25)), ("mm", (3000.0, 500.0, 250.0)), ("pixel", None)],
)
def test_ome_spacing_is_in_micrometres(tmp_path, array, unit, expected):
    metadata = {"axes": "ZYX"}
    for axis, size in zip("ZYX", (3.0, 0.5, 0.25), strict=True):
        metadata[f"PhysicalSize{axis}"] = size
        if unit:
            metadata[f"PhysicalSize{axis}Unit"] = unit
    volume = open_volume(write(tmp_path / "a.tif", array, ome=True, metadata=metadata))
    assert (volume.spacing and volume.spacing.zyx) == expected


def test_an_ome_size_that_is_missing_along_z_is_not_made_up(tmp_path, array):
    metadata = {"axes": "ZYX", "PhysicalSizeX": 1.0, "PhysicalSizeY": 1.0}
    volume = open_volume(write(tmp_path / "a.tif", array, ome=True, metadata=metadata))
    assert volume.spacing is None


def test_the_spacing_is_that_of_the_largest_image(tmp_path, array):
    path = tmp_path / "a.ome.tif"
    with tifffile.TiffWriter(path, ome=True) as writer:
        for part, size in ((array[:2], 9.0), (array, 2.0)):
            sizes = {f"PhysicalSize{axis}": size for axis in "ZYX"}
            writer.write(part, metadata={"axes": "ZYX", **sizes})
    volume = open_volume(path)
    assert volume.spacing.zyx == (2.0, 2.0, 2.0)
    assert volume.source.format == "OME-TIFF, the largest of 2 images"
    np.testing.assert_array_equal(volume.read(0, 5), array)


@pytest.mark.parametrize("writer", WRITERS)
def test_a_truncated_file_is_refused_or_read_in_full(tmp_path, rng, writer, caplog):
    """A cut that takes metadata alone may pass; one that takes voxels may not."""
    array = rng.integers(1, 60_000, (4, 6, 7), dtype=np.uint16)
    whole = write(tmp_path / "whole.tif", array, **WRITERS[writer]).read_bytes()
    path = tmp_path / "cut.tif"
    for length in range(1, len(whole), 11):
        path.write_bytes(whole[:length])
        try:
            planes = open_volume(path).read(0, 4)
        except MeUNetError:
            continue
        np.testing.assert_array_equal(planes, array)


@pytest.mark.parametrize("writer", ["plain", "ImageJ", "LZW", "tiles", "OME, zlib"])
def test_missing_voxels_are_named_as_the_cause(tmp_path, array, writer, caplog):
    path = write(tmp_path / "a.tif", array, **WRITERS[writer])
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(MeUNetError, match=r"a\.tif.* copy"):
        open_volume(path)


def test_an_imagej_stack_behind_one_header_must_be_whole(tmp_path, array, caplog):
    path = tmp_path / "a.tif"
    write(path, array, imagej=True, truncate=True, metadata={"axes": "ZYX"})
    np.testing.assert_array_equal(open_volume(path).read(0, 5), array)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(MeUNetError, match="fewer planes than its ImageJ header says"):
        open_volume(path)


def test_a_header_alone_is_refused(tmp_path, caplog):
    (tmp_path / "a.tif").write_bytes(b"II*\0" + bytes(12))
    with pytest.raises(MeUNetError, match="its list of pages breaks off"):
        open_volume(tmp_path / "a.tif")


def test_a_plane_in_another_file_that_is_missing_is_named(tmp_path, array, caplog):
    """OME-TIFF may spread its planes over files that lie side by side."""
    uuids = [f"urn:uuid:0000000{number}" for number in range(2)]
    planes = "".join(
        f'<TiffData FirstZ="{number}" IFD="0" PlaneCount="1">'
        f'<UUID FileName="{number}.ome.tif">{uuid}</UUID></TiffData>'
        for number, uuid in enumerate(uuids)
    )
    for number, uuid in enumerate(uuids):
        xml = (
            f'<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" '
            f'UUID="{uuid}"><Image ID="Image:0"><Pixels ID="Pixels:0" '
            'DimensionOrder="XYZCT" Type="uint16" SizeX="17" SizeY="20" SizeZ="2" '
            f'SizeC="1" SizeT="1">{planes}</Pixels></Image></OME>'
        )
        path = tmp_path / f"{number}.ome.tif"
        write(path, array[number], description=xml, metadata=None)
    volume = open_volume(tmp_path / "0.ome.tif")
    np.testing.assert_array_equal(volume.read(0, 2), array[:2])
    (tmp_path / "1.ome.tif").unlink()
    with pytest.raises(MeUNetError, match="a file beside it is missing"):
        open_volume(tmp_path / "0.ome.tif")


def claim(path, places):
    """Overwrite numbers of 32 bits in a file."""
    data = bytearray(path.read_bytes())
    for offset, value in places:
        data[offset : offset + 4] = value.to_bytes(4, "little")
    path.write_bytes(data)


@pytest.mark.parametrize("compression", [None, "zlib"])
def test_a_header_that_claims_497_gb_is_refused(tmp_path, compression, caplog):
    path = tmp_path / "claim.tif"
    write(path, np.zeros((2, 64, 64), np.uint8), metadata=None, compression=compression)
    with tifffile.TiffFile(path) as tif:
        tags = [page.tags for page in tif.pages]
        width, rows, strip = (
            [page[name].valueoffset for page in tags]
            for name in ("ImageWidth", "ImageLength", "StripByteCounts")
        )
    claim(path, [(offset, 498_500) for offset in width + rows])
    claim(path, [(offset, 2**32 - 1) for offset in strip])
    with pytest.raises(MeUNetError, match=r"claim\.tif.* copy"):
        open_volume(path)


def test_a_damaged_plane_is_a_readable_error(tmp_path, array):
    path = write(tmp_path / "a.tif", array, compression="zlib")
    with tifffile.TiffFile(path) as tif:
        offset = tif.pages[3].dataoffsets[0]
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(b"\xff" * 40)
    volume = open_volume(path)
    np.testing.assert_array_equal(volume.read(0, 3), array[:3])
    with pytest.raises(MeUNetError, match=r"in planes 3 to 3 of a\.tif"):
        volume.read(3, 4)


@pytest.mark.parametrize(
    ("shape", "options", "message"),
    [
        ((8, 9), {}, "axes z, y, x, got y=8 x=9; open the folder"),
        ((1, 8, 9), {}, "axes z, y, x, got y=8 x=9; open the folder"),
        ((2, 3, 8, 9), {}, "got q=2 q=3 y=8 x=9"),
        ((3, 8, 9), {"imagej": True, "metadata": {"axes": "CYX"}}, "got c=3 y=8 x=9"),
        ((4, 8, 9, 3), {"photometric": "rgb"}, "colour image with 3 samples"),
        (
            (4, 3, 8, 9),
            {"photometric": "rgb", "planarconfig": "separate"},
            "colour image with 3 samples",
        ),
        (
            (32, 32, 32),
            {"volumetric": True, "tile": (16, 16, 16)},
            "every page of a TIFF must hold one plane, got 1 pages for 32 planes",
        ),
    ],
)
def test_what_is_not_a_volume_is_refused(tmp_path, shape, options, message):
    path = tmp_path / "a.tif"
    options = {"photometric": "minisblack"} | options
    tifffile.imwrite(path, np.ones(shape, np.uint8), **options)
    with pytest.raises(MeUNetError, match=message):
        open_volume(path)


def test_complex_voxels_are_refused(tmp_path):
    path = write(tmp_path / "a.tif", np.zeros((3, 4, 5), np.complex64))
    with pytest.raises(MeUNetError, match="got complex64"):
        open_volume(path)


def test_the_file_is_closed_with_the_volume(tmp_path, array):
    volume = open_volume(write(tmp_path / "a.tif", array, compression="zlib"))
    file = volume.planes.decode._tif.filehandle
    assert not file.closed
    del volume
    gc.collect()
    assert file.closed
