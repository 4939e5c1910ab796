import csv
import json
import os
import signal
import subprocess
import sys
import tempfile
import time

import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_meunet.cli import evaluate, main
from napari_meunet.config import Calibration
from napari_meunet.network.card import SpacingRange, TrainingRecord
from napari_meunet.network.checkpoint import (
    Checkpoint,
    load_checkpoint,
    save_checkpoint,
)

PERFECT = {"dice": 1, "iou": 1, "volume_error": 0, "hd95": 0, "surface_dice": 1}


def write(path, array):
    """Write a volume with spacing (3, 2, 2) um."""
    tifffile.imwrite(
        path,
        array,
        imagej=True,
        resolution=(0.5, 0.5),
        metadata={"spacing": 3.0, "unit": "um", "axes": "ZYX"},
    )


def bar(*planes):
    """Return labels with class 1 on some planes."""
    labels = np.zeros((12, 10, 10), np.uint8)
    labels[list(planes), 2:8, 2:8] = 1
    return labels


@pytest.fixture
def folders(tmp_path):
    """Three specimens: a is right, b is one plane of six off, c was missed."""
    truth, predicted = tmp_path / "truth", tmp_path / "predicted"
    for folder in (truth, predicted):
        folder.mkdir()
    for name, planes in {"a": range(6), "b": range(1, 7), "c": ()}.items():
        write(truth / f"{name}_labels.tif", bar(*range(6)))
        write(predicted / f"{name}.tif", bar(*planes))
    return truth, predicted


@pytest.fixture
def flies(tmp_path, rng):
    """Two labelled scans."""
    folder = tmp_path / "flies"
    folder.mkdir()
    for name in ("a", "b"):
        write(folder / f"{name}.tif", rng.integers(0, 255, (20, 24, 28), np.uint8))
        labels = rng.integers(0, 3, (5, 6, 7), np.uint8)
        write(
            folder / f"{name}_labels.tif", labels.repeat(4, 0).repeat(4, 1).repeat(4, 2)
        )
    return folder


def knows_voxels_of(model, um):
    """Let a card say on what voxels a model was trained."""
    checkpoint = load_checkpoint(model)
    trained = SpacingRange(finest=(um,) * 3, coarsest=(um,) * 3)
    card = checkpoint.card.model_copy(update={"spacing": trained})
    save_checkpoint(Checkpoint(checkpoint.weights, card), model)


def printed(capsys, *arguments):
    """Run the command, which must succeed; return what it printed."""
    assert main(["evaluate", *map(str, arguments)]) == 0
    return capsys.readouterr().out


def mistake(capsys, *arguments):
    """Run the command, which must fail as a user's mistake; return its one line."""
    assert main(["evaluate", *map(str, arguments)]) == 2
    output = capsys.readouterr()
    (line,) = output.err.splitlines()
    assert output.out == ""
    return line


def test_folders_are_summed_up_by_hand(folders, capsys):
    found = json.loads(printed(capsys, *folders, "--json"))
    rows = {name: classes["1"] for name, classes in found["specimens"].items()}
    assert rows["a"] == {"name": None, **PERFECT}
    assert rows["b"]["dice"] == pytest.approx(5 / 6)
    assert rows["b"]["iou"] == pytest.approx(5 / 7)
    assert rows["b"]["hd95"] == 3
    assert rows["c"]["dice"] == 0
    assert (rows["c"]["volume_error"], rows["c"]["hd95"]) == (-1, None)
    summary = found["summary"]["1"]
    dice = (1, 5 / 6, 0)
    assert summary["dice"]["n"] == 3
    assert summary["dice"]["mean"] == pytest.approx(sum(dice) / 3)
    assert summary["dice"]["sd"] == pytest.approx(np.std(dice, ddof=1))
    assert summary["hd95"] == {"n": 2, "mean": 1.5, "sd": pytest.approx(1.5 * 2**0.5)}
    assert (found["tolerance"], found["unit"]) == (pytest.approx(3), "um")


def test_a_folder_of_one_specimen_is_reported_like_others(folders, capsys):
    for path in (path for folder in folders for path in folder.glob("[ab]*")):
        path.unlink()
    found = json.loads(printed(capsys, *folders, "--json"))
    assert list(found["specimens"]) == ["c"]
    assert found["summary"]["1"]["dice"] == {"n": 1, "mean": 0, "sd": None}


def test_the_table_ends_with_means_and_deviations(folders, capsys):
    header, a, b, c, _, mean, _, sd, left_out, note = printed(
        capsys, *folders, "--tolerance", 2.9
    ).splitlines()
    assert header.split()[:3] == ["specimen", "class", "Dice"]
    assert a.split() == ["a", "1", "1.0000", "1.0000", "+0.0%", "0", "1.0000"]
    assert b.split()[:6] == ["b", "1", "0.8333", "0.7143", "+0.0%", "3"]
    assert c.split() == ["c", "1", "0.0000", "0.0000", "-100.0%", "absent", "0.0000"]
    assert mean.split()[:6] == ["mean", "of", "3", "1", "0.6111", "0.5714"]
    assert sd.split()[:5] == ["SD", "1", "0.5358", "0.5151", "57.7%"]
    assert left_out == "HD95 of 1: 2 of 3 specimens have a value"
    assert note == "HD95 in um; surface Dice within 2.9 um"


def test_truth_comes_first(folders, capsys):
    truth, predicted = folders[0] / "c_labels.tif", folders[1] / "c.tif"
    rows = json.loads(printed(capsys, truth, predicted, "--json"))
    assert rows["1"]["volume_error"] == -1
    rows = json.loads(printed(capsys, predicted, truth, "--json"))
    assert rows["1"]["volume_error"] is None


def test_table_and_figure_are_written_but_not_over_older_ones(
    folders, tmp_path, capsys
):
    table, figure = tmp_path / "table.csv", tmp_path / "figure.png"
    outputs = ("--csv", table, "--figure", figure)
    printed(capsys, *folders, *outputs)
    with table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["specimen"], row["value"], row["class"]) for row in rows] == [
        ("a", "1", "1"),
        ("b", "1", "1"),
        ("c", "1", "1"),
    ]
    assert float(rows[1]["dice"]) == pytest.approx(5 / 6)
    assert rows[2]["hd95"] == ""
    with Image.open(figure) as picture:
        assert picture.format == "PNG"
    for path in (table, figure):
        path.write_bytes(b"precious")
    assert "not exist yet" in mistake(capsys, *folders, "--csv", table)
    assert "not exist yet" in mistake(capsys, *folders, "--figure", figure)
    assert table.read_bytes() == figure.read_bytes() == b"precious"
    printed(capsys, *folders, *outputs, "--overwrite")
    assert table.read_text().startswith("specimen,value,class,dice")


@pytest.mark.parametrize(
    "way", [(), ("--resolution", "scan"), ("--spacing", "6", "6", "6")]
)
def test_a_model_is_judged_as_by_segmenting_and_evaluating(
    flies, model, tmp_path, capsys, monkeypatch, way
):
    knows_voxels_of(model, 12.0)
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    monkeypatch.setattr(tempfile, "tempdir", None)
    before = sorted(flies.iterdir())
    figure = ("--figure", tmp_path / "figure.png")
    judged = printed(capsys, flies, "--model", model, "--json", *figure, *way)
    assert sorted(flies.iterdir()) == before
    assert not list(temporary.rglob("*.tif"))  # torch may leave a cache there
    for name in ("a", "b"):
        scan = str(flies / f"{name}.tif")
        assert main(["segment", scan, "--model", str(model), *way]) == 0
    said = capsys.readouterr().err
    assert ("4 x 6 x 6 voxels" in said) is (not way)
    assert ("2 x 2 x 2 voxels" in said) is ("--spacing" in way)
    spacing = way if "--spacing" in way else ()
    compared = printed(capsys, flies, flies, "--json", *spacing)
    assert json.loads(judged) == json.loads(compared)
    specimens = json.loads(judged)["specimens"]
    assert list(specimens) == ["a", "b"]
    assert specimens["a"]["1"]["name"] == "class 1"


def test_figures_are_recorded_on_the_card(flies, model, capsys, monkeypatch):
    measured = Calibration(claimed=(0.0, 1.0), wrong=(0.0, 0.5), n_scans=2)
    counted = []

    def calibration(counts):  # a random model is as sure everywhere: that is no curve
        counted.extend(counts)
        return measured

    monkeypatch.setattr(evaluate, "calibration", calibration)
    before = load_checkpoint(model)
    arguments = (flies, "--model", model, "--json", "--record", "two flies")
    judged = json.loads(printed(capsys, *arguments))
    after = load_checkpoint(model)
    assert after.digest() == before.digest()
    added = {"metrics": {}, "calibration": None}
    assert after.card.model_copy(update=added) == before.card
    assert after.card.calibration == measured
    voxels, wrong = np.sum(counted, axis=(0, 1))
    assert 0 < wrong < voxels == 2 * 20 * 24 * 28
    mean = np.mean([judged["specimens"][name]["1"]["dice"] for name in ("a", "b")])
    assert after.card.metrics["Dice class 1, two flies, mean of 2 scans"] == (
        pytest.approx(mean, abs=1e-4)
    )


def test_a_card_that_cannot_be_written_is_found_out_before_the_work(
    flies, model, capsys, monkeypatch
):
    def refused(**_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(evaluate, "TemporaryFile", refused)
    arguments = ("--model", model, "--record", "flies")
    assert "must be writable" in mistake(capsys, flies, *arguments)


@pytest.mark.parametrize("names", [("b",), ()], ids=["learned", "chosen by"])
def test_figures_of_what_a_model_knows_are_not_recorded(flies, model, capsys, names):
    checkpoint = load_checkpoint(model)
    record = TrainingRecord(
        specimens=(*names, "c"),
        validation=() if names else ("b",),
        config={"patience": None if names else 3},
        versions={},
        device="cpu",
        seconds=1,
    )
    card = checkpoint.card.model_copy(update={"training": (record,)})
    save_checkpoint(Checkpoint(checkpoint.weights, card), model)
    content = model.read_bytes()
    arguments = ("--model", model, "--record", "flies")
    assert "must be new to the model, got b" in mistake(capsys, flies, *arguments)
    assert model.read_bytes() == content


@pytest.mark.skipif(sys.platform == "win32", reason="Windows knows no such signal")
def test_an_interruption_leaves_no_temporary_labels(tmp_path, rng, model):
    folder, temporary = tmp_path / "large", tmp_path / "temporary"
    folder.mkdir(), temporary.mkdir()
    write(folder / "a.tif", rng.integers(0, 255, (2000, 64, 64), np.uint8))
    write(folder / "a_labels.tif", np.ones((2000, 64, 64), np.uint8))
    command = ["-m", "napari_meunet", "evaluate", folder, "--model", model]
    with subprocess.Popen(
        [sys.executable, *map(str, command)],
        env={**os.environ, "TMPDIR": str(temporary)},
        stderr=subprocess.PIPE,
        text=True,
        # A shell's background job would pass on that it ignores the signal.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as process:
        while process.poll() is None and not list(
            temporary.glob("*/labels/labels.tif")
        ):
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        _, error = process.communicate(timeout=60)
    assert (process.returncode, error) == (130, "meunet: interrupted\n")
    assert not list(temporary.glob("meunet-*"))


def test_mistakes_are_one_line_before_the_work(folders, flies, model, tmp_path, capsys):
    truth, predicted = folders
    assert "got neither" in mistake(capsys, truth)
    assert "got both" in mistake(capsys, truth, predicted, "--model", model)
    assert "got 'none'" in mistake(capsys, flies, "--model", "none")
    record = ("--record", "flies")
    assert "got None" in mistake(capsys, truth, predicted, *record)
    tiny = ("--model", model, "--average")
    assert "'tiny', which does not say" in mistake(capsys, flies, *tiny)
    assert "--record with --average; leave" in mistake(capsys, flies, *tiny, *record)
    bundled = ("--model", "fly-phantom")
    assert "got 'fly-phantom'" in mistake(capsys, flies, *bundled, *record)
    single = truth / "a_labels.tif"
    assert "labels beside them" in mistake(capsys, single, "--model", model)
    assert "not a folder of label maps" in mistake(capsys, truth, single)
    device = ("--device", "cuda:77")
    assert "cuda:77" in mistake(capsys, flies, "--model", model, *device)
    missing = tmp_path / "missing" / "table.csv"
    assert "writable" in mistake(capsys, *folders, "--csv", missing)
    assert "must end in" in mistake(capsys, *folders, "--figure", tmp_path / "a.xls")
    write(predicted / "b.tif", np.zeros((3, 4, 5), np.uint8))
    assert "of b must have the same shape" in mistake(capsys, *folders)
    (predicted / "b.tif").rename(predicted / "d.tif")
    assert "got b only in" in mistake(capsys, *folders)


def test_a_complaint_about_a_scan_comes_before_any_is_segmented(flies, model, capsys):
    write(flies / "b_labels.tif", np.zeros((20, 24, 27), np.uint8))
    assert "of b must have the same shape" in mistake(capsys, flies, "--model", model)
    (flies / "b.tif").unlink()
    assert "b_labels.tif alone" in mistake(capsys, flies, "--model", model)
