import json
import shutil
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import tifffile
import torch
import zarr

from napari_meunet.cli import main
from napari_meunet.config import LabelClass, TrainingConfig
from napari_meunet.labels.store import LabelStore
from napari_meunet.network.card import (
    SpacingRange,
    TrainingRecord,
    read_card,
)
from napari_meunet.network.checkpoint import (
    load_checkpoint,
    save_checkpoint,
)
from napari_meunet.network.meunet import MeUNet
from napari_meunet.volume.volume import Volume

FINEST = (9.0, 3.0, 2.0)


@pytest.fixture
def scan(tmp_path, rng):
    """A small scan with spacing (3, 2, 2) um."""
    path = tmp_path / "scan.tif"
    image = rng.integers(0, 255, (20, 24, 28), dtype=np.uint8)
    tifffile.imwrite(
        path,
        image,
        imagej=True,
        resolution=(0.5, 0.5),
        metadata={"spacing": 3.0, "unit": "um", "axes": "ZYX"},
    )
    return path


@pytest.fixture
def model(model):
    """Return the tiny model with a card that tells more."""
    checkpoint = load_checkpoint(model)
    record = TrainingRecord(
        specimens=("fly 1", "fly 2"),
        validation=("fly 3",),
        config={"seed": 7, "fusion": "post", "stage1_steps": 5},
        versions={"torch": "2.1", "numpy": "2.0"},
        device="cpu",
        seconds=150,
    )
    told = {
        "spacing": SpacingRange(finest=FINEST, coarsest=(12.385108482142858, 3, 2)),
        "metrics": {"Dice gut, mean of 7 scans": 0.8145, "Dice ovary": 0.8},
        "command": ("meunet phantom -o a", "meunet train a -o tiny.safetensors"),
        "training": (record,),
    }
    card = checkpoint.card.model_copy(update=told)
    save_checkpoint(replace(checkpoint, card=card), model)
    return model


def mistake(capsys, *arguments):
    """Run a command that must fail as a user's mistake; return its one line."""
    try:
        code = main([str(argument) for argument in arguments])
    except SystemExit as error:
        code = error.code
    output = capsys.readouterr()
    assert code == 2
    assert output.out == ""
    lines = output.err.splitlines()
    assert len(lines) == 1
    return lines[0]


def printed(capsys, *arguments):
    """Run a command that must succeed; return what it printed."""
    assert main([str(argument) for argument in arguments]) == 0
    return capsys.readouterr().out


def test_info_says_shape_type_and_spacing(scan, capsys):
    facts = json.loads(printed(capsys, "info", scan, "--json"))
    assert facts["shape"] == [20, 24, 28]
    assert facts["dtype"] == "uint8"
    assert facts["spacing_um"] == pytest.approx([3, 2, 2])
    text = printed(capsys, "info", scan)
    assert "20 x 24 x 28" in text
    assert "spacing        3 x 2 x 2 um (z, y, x)" in text


def test_info_says_how_many_channels_there_are(tmp_path, capsys):
    path = tmp_path / "two.ome.tif"
    image = np.zeros((2, 5, 6, 7), np.uint16)
    tifffile.imwrite(path, image, metadata={"axes": "CZYX"})
    facts = json.loads(printed(capsys, "info", path, "--json"))
    assert facts["channels"] == 2
    assert facts["shape"] == [5, 6, 7]
    assert "unknown" in printed(capsys, "info", path, "--channel", 1)


def test_info_reads_the_card_of_a_model(model, capsys):
    facts = json.loads(printed(capsys, "info", model, "--json"))
    assert facts == read_card(model).model_dump(mode="json")


def test_info_shows_a_model_in_words(model, capsys):
    assert printed(capsys, "info", model).splitlines() == [
        "name       tiny",
        "version    1",
        "network    fusion post, features 2 2 2 2 2, refinement 2 2 2",
        "classes    0  background  #000000",
        "           1  class 1     #f28e2b",
        "           2  class 2     #4e79a7",
        "spacing    9 x 3 x 2 um (z, y, x) to 12.39 x 3 x 2 um (z, y, x)",
        "intensity  percentiles 0.1 to 99.9 become 0 to 1",
        "data       nothing",
        "metrics    0.8145  Dice gut, mean of 7 scans",
        "           0.8000  Dice ovary",
        "licence    BSD-3-Clause",
        "commands   meunet phantom -o a",
        "           meunet train a -o tiny.safetensors",
        "training   on 2: fly 1, fly 2",
        "           held out 1: fly 3",
        "           seed 7; settings: stage1_steps 5",
        "           2 min on cpu; torch 2.1, numpy 2.0",
    ]


def test_info_shows_what_the_weights_of_a_model_without_a_card_say(tmp_path, capsys):
    path = tmp_path / "authors.pt"
    network = MeUNet(n_classes=4, features=(2, 3, 4, 5, 6))
    torch.save({"model_state_dict": network.state_dict()}, path)
    text = printed(capsys, "info", path)
    assert "fusion none, features 2 3 4 5 6" in text
    assert "3  class 3" in text
    assert "raw grey values" in text


def test_info_shows_a_model_that_says_little(model, capsys):
    bare = {"spacing": None, "intensity": None, "metrics": {}, "command": ()}
    checkpoint = load_checkpoint(model)
    card = checkpoint.card.model_copy(update=bare)
    save_checkpoint(replace(checkpoint, card=card), model)
    text = printed(capsys, "info", model)
    assert "spacing    unknown\nintensity  raw grey values\n" in text
    assert "metrics    none\n" in text
    assert "commands   none\n" in text


def test_segment_export_and_evaluate_agree(scan, model, tmp_path, capsys):
    summary = json.loads(printed(capsys, "segment", scan, "--model", model, "--json"))
    assert summary["voxels"] == 20 * 24 * 28
    folder = tmp_path / "scan.meunet"
    mask = tmp_path / "mask.tif"
    assert printed(capsys, "export", folder, "-o", mask) == f"{mask}\n"
    exported = tifffile.imread(mask)
    np.testing.assert_array_equal(exported, tifffile.imread(folder / "labels.tif"))
    assert exported.any()
    rows = json.loads(printed(capsys, "evaluate", folder, mask, "--json"))
    assert rows
    perfect = {"dice": 1, "iou": 1, "volume_error": 0, "hd95": 0, "surface_dice": 1}
    for value, row in rows.items():
        assert row == {"name": f"class {value}", **perfect}
    facts = json.loads(printed(capsys, "info", folder, "--json"))
    assert facts["spacing_um"] == pytest.approx([3, 2, 2])


def test_classes_are_named_where_names_are_known(tmp_path, capsys):
    truth = np.zeros((4, 5, 6), np.uint8)
    truth[0], truth[1], truth[2] = 1, 2, 7
    tifffile.imwrite(tmp_path / "truth.tif", truth, metadata={"axes": "ZYX"})
    names = ("background", "gut", "ovary")
    classes = tuple(
        LabelClass(value=value, name=name, color="#000000")
        for value, name in enumerate(names)
    )
    folder = tmp_path / "scan.meunet"
    with LabelStore.create(folder, Volume.from_array(truth), classes) as store:
        store.write((0, 0, 0), np.where(truth == 2, 0, truth))
    for pair in ((folder, tmp_path / "truth.tif"), (tmp_path / "truth.tif", folder)):
        header, gut, ovary, other, note = printed(
            capsys, "evaluate", *pair
        ).splitlines()
        assert header.split()[:4] == ["class", "Dice", "IoU", "volume"]
        assert gut.split() == ["gut", "1.0000", "1.0000", "+0.0%", "0", "1.0000"]
        assert ovary.split()[:3] == ["ovary", "0.0000", "0.0000"]
        assert other.split() == ["7", "1.0000", "1.0000", "+0.0%", "0", "1.0000"]
        assert note == "HD95 in voxels; surface Dice within 1 voxels"
    exact = printed(capsys, "evaluate", *pair, "--tolerance", 0).splitlines()
    assert exact[-1] == "HD95 in voxels; surface Dice within 0 voxels"
    found = json.loads(printed(capsys, "evaluate", *pair, "--json"))
    assert {value: row["name"] for value, row in found.items()} == {
        "1": "gut",
        "2": "ovary",
        "7": None,
    }


def said(capsys, *arguments):
    """Run a command that must succeed; return the lines on standard error."""
    assert main([str(argument) for argument in arguments]) == 0
    return capsys.readouterr().err.splitlines()


def test_a_complete_scan_is_segmented_again_only_when_told(
    scan, model, tmp_path, capsys
):
    command = ("segment", scan, "--model", model, "--spacing", 12, 3, 2)
    assert said(capsys, *command) == []
    folder = tmp_path / "scan.meunet"
    with LabelStore.open(folder) as store:
        expected = store.labels.copy()
        expected[3, 4, :5] = (expected[3, 4, :5] + 1) % 3
        store.editable()[3, 4, :5] = expected[3, 4, :5]
        store.write((9, 0, 0), (store.labels[9:10] + 1) % 3)  # not a person's work
    damaged = tifffile.imread(folder / "labels.tif")
    assert said(capsys, *command) == [
        "meunet: the labels are complete, nothing to do; --restart segments again"
    ]
    np.testing.assert_array_equal(tifffile.imread(folder / "labels.tif"), damaged)
    assert said(capsys, *command, "--restart") == []
    np.testing.assert_array_equal(tifffile.imread(folder / "labels.tif"), expected)


def test_voxels_unlike_those_of_training_get_one_line(scan, model, capsys):
    every = "segment", scan, "--model", model, "--resolution", "scan"
    (line,) = said(capsys, *every)
    assert line.startswith("meunet: the voxels of this scan are 3 x 2 x 2 um (z, y, x)")
    assert "12.39 x 3 x 2 um (z, y, x)" in line
    assert line.endswith("show it at the resolution of the model")
    coarse = "segment", scan, "--model", model, "--spacing", 30, 3, 2, "--restart"
    (line,) = said(capsys, *coarse, "-o", scan.with_name("coarse.meunet"))
    assert line.startswith("meunet: the voxels of this scan are 30 x 3 x 2 um")
    assert line.endswith("check its spacing, or train a model for it")


def test_a_finer_scan_is_shown_at_the_resolution_of_the_model(
    scan, model, tmp_path, capsys
):
    (line,) = said(capsys, "segment", scan, "--model", model)
    assert line == (
        "meunet: 4 x 2 x 1 voxels are seen as one, at the resolution of the model; "
        "--resolution scan shows it every voxel"
    )
    (again, complete) = said(capsys, "segment", scan, "--model", model)
    assert again == line
    assert "complete, nothing to do" in complete
    (other,) = said(capsys, "segment", scan, "--model", model, "--resolution", "scan")
    assert "its labels may be poor" in other  # and it is another run
    with LabelStore.open(tmp_path / "scan.meunet") as store:
        assert store.shape == tifffile.imread(scan).shape


def test_the_mean_over_flipped_scans_is_another_run(scan, model, tmp_path, capsys):
    checkpoint = load_checkpoint(model)
    learned = TrainingRecord(
        specimens=("one",),
        config=TrainingConfig().model_dump(mode="json"),
        versions={},
        device="cpu",
        seconds=1,
    )
    card = checkpoint.card.model_copy(update={"training": (learned,)})
    save_checkpoint(replace(checkpoint, card=card), model)
    command = "segment", scan, "--model", model, "--spacing", 12, 3, 2
    assert said(capsys, *command) == []
    assert said(capsys, *command, "--average") == []  # it is not called complete
    with LabelStore.open(tmp_path / "scan.meunet") as store:
        assert len(store.run_description["flips"]) == 8


def test_a_run_says_that_it_replaces_what_another_model_has_labelled(
    scan, model, tmp_path, capsys
):
    checkpoint = load_checkpoint(model)
    weights = {name: 2 * tensor for name, tensor in checkpoint.weights.items()}
    card = checkpoint.card.model_copy(update={"name": "double"})
    other = tmp_path / "other.safetensors"
    save_checkpoint(replace(checkpoint, weights=weights, card=card), other)
    command = "segment", scan, "--spacing", 12, 3, 2, "--model"
    assert said(capsys, *command, model) == []
    replaced = "meunet: what another model, 'tiny', has labelled is replaced"
    assert said(capsys, *command, other) == [f"{replaced}, but for corrected voxels"]
    assert said(capsys, *command, other, "--restart") == []
    (again,) = said(capsys, *command, model, "--overwrite-corrected")
    assert again == replaced.replace("tiny", "double")


def test_a_model_that_learned_no_flips_is_not_averaged(scan, model, tmp_path, capsys):
    error = mistake(capsys, "segment", scan, "--model", model, "--average")
    assert "'tiny', which learned none" in error
    assert not (tmp_path / "scan.meunet").exists()


def test_a_spacing_that_was_given_once_is_known_from_then_on(scan, model, capsys):
    command = ("segment", scan, "--model", model)
    (first,) = said(capsys, *command, "--spacing", 5, 3, 2)
    assert "2 x 1 x 1 voxels are seen as one" in first
    (second, complete) = said(capsys, *command)
    assert second == first
    assert "complete" in complete


def test_a_given_spacing_reaches_the_labels(scan, model, tmp_path, capsys):
    folder = tmp_path / "other.meunet"
    arguments = ("--model", model, "-o", folder, "--spacing", 5, 6, 7)
    printed(capsys, "segment", scan, *arguments)
    facts = json.loads(printed(capsys, "info", folder, "--json"))
    assert facts["spacing_um"] == [5, 6, 7]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("info", "nowhere.tif"), "nowhere.tif"),
        (("segment", "SCAN", "--memory", "lots"), "got 'lots'"),
        (("segment", "SCAN", "--spacing", "0", "1", "1"), "positive along every axis"),
        (("segment", "SCAN", "--model", "elsewhere"), "got 'elsewhere'"),
        (("segment", "SCAN", "--device", "abacus"), "device: .* got 'abacus'"),
        (("export", "nowhere.meunet", "-o", "a.tif"), "nowhere.meunet"),
        (("segment", "SCAN", "-o", "mask.nii.gz"), "pass -o mask.meunet, then make"),
        (("train", "nowhere", "-o", "a.pt", "--classes", "gut"), "safetensors"),
        (("segment", "SCAN", "--memory", "inf"), "got 'inf'"),
        (("phantom", "-o", "SCAN"), "must be writable"),
        (("phantom", "-o", "new", "--seed", "-1"), "got '-1'"),
        (("demo", "-o", "SCAN"), "must be writable"),
        (("paint",), "invalid choice: 'paint'"),
        ((), "required"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_two(arguments, message, scan, capsys):
    arguments = [scan if part == "SCAN" else part for part in arguments]
    assert message.split(".*")[-1].strip() in mistake(capsys, *arguments)


def test_mistakes_of_a_training_are_found_before_it_starts(tmp_path, capsys):
    data, model = tmp_path / "data", tmp_path / "own.safetensors"
    printed(capsys, "phantom", "-o", data, "--shape", 32, 32, 32)
    names = ("--classes", "gut", "ovary")
    assert "seed: " in mistake(capsys, "train", data, "-o", model, *names, "--seed", -1)
    assert "name: " in mistake(capsys, "train", data, "-o", model, "--classes", "")
    missing = tmp_path / "missing" / "own.safetensors"
    assert "writable" in mistake(capsys, "train", data, "-o", missing, *names)
    model.write_bytes(b"precious")
    assert "not exist yet" in mistake(capsys, "train", data, "-o", model, *names)
    assert model.read_bytes() == b"precious"


def test_phantoms_are_not_written_over_others_unless_told(tmp_path, capsys):
    arguments = ("phantom", "-o", tmp_path, "--shape", 32, 32, 32)
    (tmp_path / "phantom_0001_labels.tif").write_bytes(b"precious")
    assert "not exist yet" in mistake(capsys, *arguments, "--count", 2)
    assert [path.name for path in tmp_path.iterdir()] == ["phantom_0001_labels.tif"]
    printed(capsys, *arguments, "--count", 2, "--overwrite")
    assert tifffile.imread(tmp_path / "phantom_0001_labels.tif").shape == (32, 32, 32)


def test_the_demo_touches_nothing_in_a_folder_of_somebody_else(tmp_path, capsys):
    for name in ("fly.tif", "notes.txt"):
        (tmp_path / name).write_bytes(b"precious")
    (tmp_path / "fly.meunet").mkdir()
    assert "notes.txt" in mistake(capsys, "demo", "-o", tmp_path)
    assert (tmp_path / "fly.tif").read_bytes() == b"precious"
    assert (tmp_path / "fly.meunet").is_dir()


def test_a_damaged_scan_is_one_line_whatever_libraries_log(scan):
    scan.write_bytes(scan.read_bytes()[:400])
    code = (
        "import sys; from napari_meunet.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    command = [sys.executable, "-c", code, "info", str(scan)]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 2
    assert len(run.stderr.splitlines()) == 1


def test_a_labels_folder_of_any_name_is_known(scan, model, tmp_path, capsys):
    folder = tmp_path / "mine"
    printed(capsys, "segment", scan, "--model", model, "-o", folder)
    facts = json.loads(printed(capsys, "info", folder, "--json"))
    assert facts["format"] == "labels folder"
    rows = json.loads(printed(capsys, "evaluate", folder, folder, "--json"))
    assert all(row["dice"] == 1 for row in rows.values())


def test_a_size_that_is_not_known_is_said_to_be(tmp_path, capsys):
    zarr.create_array(tmp_path / "a.zarr", shape=(3, 4, 5), dtype="u1")
    assert "bytes on disk  unknown" in printed(capsys, "info", tmp_path / "a.zarr")


def test_a_constant_scan_leaves_no_folder(model, tmp_path, capsys):
    path = tmp_path / "flat.tif"
    tifffile.imwrite(path, np.full((20, 24, 28), 7, np.uint8), metadata={"axes": "ZYX"})
    assert "got 7 everywhere" in mistake(capsys, "segment", path, "--model", model)
    assert not (tmp_path / "flat.meunet").exists()


def test_a_device_that_is_not_there_leaves_no_folder(scan, model, tmp_path, capsys):
    options = ("--model", model, "--device", "cuda:77")
    assert "'cuda:77'" in mistake(capsys, "segment", scan, *options)
    assert not (tmp_path / "scan.meunet").exists()


def test_corrections_of_two_people_come_together(scan, model, tmp_path, capsys):
    printed(capsys, "segment", scan, "--model", model)
    mine, hers = tmp_path / "scan.meunet", tmp_path / "hers.meunet"
    shutil.copytree(mine, hers)
    with LabelStore.open(hers) as store:
        store.editable()[3, :2, :5] = 9
    with LabelStore.open(mine) as store:
        store.editable()[3, 1:3, :5] = 8
    told = printed(capsys, "correct", mine, "--replay", hers)
    assert told.splitlines() == [
        "5 voxels taken over",
        "5 voxels set differently by both; yours stays:",
        "        5 at z 0-31, y 0-31, x 0-31",
    ]
    journal = hers / "journal"
    told = printed(capsys, "correct", mine, "--replay", journal, "--theirs", "--json")
    assert json.loads(told) == {
        "voxels": 5,
        "conflicts": [{"start": [0, 0, 0], "voxels": 5}],
    }
    with LabelStore.open(mine, writable=False) as store:
        assert store.labels[3, :3, 0].tolist() == [9, 9, 8]
    assert "neither" in mistake(capsys, "correct", mine, "--replay", scan)


def test_an_existing_export_is_kept(scan, model, tmp_path, capsys):
    printed(capsys, "segment", scan, "--model", model)
    mask = tmp_path / "mask.tif"
    mask.write_bytes(b"precious")
    line = mistake(capsys, "export", tmp_path / "scan.meunet", "-o", mask)
    assert "mask.tif" in line
    assert mask.read_bytes() == b"precious"


def test_phantom_shapes_and_seeds_are_said_on_the_command_line(tmp_path, capsys):
    printed(capsys, "phantom", "-o", tmp_path, "--shape", 33, 40, 50, "--count", 2)
    first, second = (tifffile.imread(tmp_path / f"phantom_000{n}.tif") for n in (0, 1))
    assert first.shape == (33, 40, 50)
    assert not np.array_equal(first, second)


def test_phantoms_of_another_texture_have_the_same_labels(tmp_path, capsys):
    pictures, labels = [], []
    for texture in ("noise", "cells"):
        folder = tmp_path / texture
        arguments = ("phantom", "-o", folder, "--shape", 32, 32, 32)
        printed(capsys, *arguments, "--texture", texture)
        pictures.append(tifffile.imread(folder / "phantom_0000.tif"))
        labels.append(tifffile.imread(folder / "phantom_0000_labels.tif"))
    assert np.array_equal(*labels)
    assert not np.array_equal(*pictures)


def test_the_doctor_names_versions_and_the_device(capsys):
    assert main(["doctor"]) in (0, 1)
    output = capsys.readouterr().out
    assert "torch" in output
    assert "device" in output
