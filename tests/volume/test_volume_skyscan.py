import pytest

from napari_meunet.volume.formats.skyscan import read_log, spacing_from_log

REC = """[System]
Scanner=SkyScan1272
[Acquisition]
Image Pixel Size (um)=    {projection}
[Reconstruction]
Section to Section Step={step}
Pixel Size (um)={pixel}
"""


def write_log(path, pixel="1.65905", step=1, projection="1.66"):
    path.write_text(REC.format(pixel=pixel, step=step, projection=projection))
    return path


def test_the_size_is_that_of_the_reconstruction_not_of_the_projections(tmp_path):
    spacing = read_log(write_log(tmp_path / "a_rec.log"))
    assert spacing.zyx == (1.65905, 1.65905, 1.65905)
    assert spacing.origin == "a_rec.log"


def test_skipped_sections_make_z_coarser(tmp_path):
    spacing = read_log(write_log(tmp_path / "a_rec.log", pixel=" 2.0", step=3))
    assert spacing.zyx == (6.0, 2.0, 2.0)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "not a log at all",
        "[Acquisition]\nImage Pixel Size (um)=1.66\n",
        "[Reconstruction]\nPixel Size (um)=\n",
        "[Reconstruction]\nPixel Size (um)\n",
        "[Reconstruction]\nPixel Size (um)=unknown\n",
        "[Reconstruction]\nPixel Size (um)=0\n",
    ],
)
def test_a_log_without_a_reconstruction_says_nothing(tmp_path, text):
    path = tmp_path / "a.log"
    path.write_text(text)
    assert read_log(path) is None


def test_a_log_may_hold_the_bytes_of_another_language(tmp_path):
    path = write_log(tmp_path / "a_rec.log")
    path.write_bytes(path.read_bytes() + b"[User]\nUser Name=M\xfcller\n")
    assert read_log(path).zyx == (1.65905, 1.65905, 1.65905)


def test_the_log_that_the_slices_are_named_after_wins(tmp_path):
    write_log(tmp_path / "fly_rec.log", pixel="1.0")
    write_log(tmp_path / "fly_rec_roi.log", pixel="2.0")
    write_log(tmp_path / "other_rec.log", pixel="3.0")
    assert spacing_from_log(tmp_path, "fly_rec00000001.bmp").zyx[0] == 1.0
    assert spacing_from_log(tmp_path, "fly_rec_roi0001.bmp").zyx[0] == 2.0
    assert spacing_from_log(tmp_path, "renamed0001.bmp") is None


def test_a_single_log_counts_whatever_the_slices_are_called(tmp_path):
    write_log(tmp_path / "fly_rec.log", pixel="4.0")
    (tmp_path / "fly.log").write_text("[Acquisition]\nImage Pixel Size (um)=9\n")
    assert spacing_from_log(tmp_path, "0001.tif").zyx == (4.0, 4.0, 4.0)


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("104016_rec.log", 13.00145),
        ("Control01_rec.log", 1.65905),
        ("Tooth021_rec.log", 9.99999),
        ("Tooth021.log", 9.99999),
        ("Tooth021~04.log", None),
    ],
)
def test_logs_of_a_real_scanner_are_read(shared_data, name, size):
    spacing = read_log(shared_data / "formats" / "skyscan_logs" / name)
    assert (spacing and spacing.zyx) == (size and (size, size, size))
