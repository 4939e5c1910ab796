import csv
import json
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import tifffile
import torch

from napari_meunet.cli import main
from napari_meunet.config import PRESETS, TrainingConfig
from napari_meunet.network.card import read_card
from napari_meunet.network.checkpoint import load_checkpoint
from napari_meunet.training.log import read_log
from napari_meunet.training.loop.stepper import Stepper
from napari_meunet.training.output import log_path
from napari_meunet.training.specimens.scans import spacing_range
from napari_meunet.volume.volume import Volume

pytestmark = pytest.mark.usefixtures("short_calibration")

SMALL = ("--patch-size", 32, "--expanded-size", 32, "--batch-size", 1)
STEPS = ("--stage1-steps", 2, "--joint-steps", 1)
CLASSES = ("--classes", "gut", "ovary")


@pytest.fixture
def data(tmp_path, capsys):
    return phantoms(tmp_path / "data", capsys, seed=3)


def phantoms(folder, capsys, *, seed, count=1):
    shape = ("--shape", "48", "40", "40")
    numbers = ("--seed", str(seed), "--count", str(count))
    assert main(["phantom", "-o", str(folder), *shape, *numbers]) == 0
    capsys.readouterr()
    return folder


def train(data, model, *others):
    arguments = ("train", data, "-o", model, *CLASSES, *SMALL, *STEPS, *others)
    return [str(argument) for argument in arguments]


def test_phantoms_train_a_model_that_says_what_it_is(data, tmp_path, capsys):
    assert sorted(path.name for path in data.iterdir()) == [
        "phantom_0003.tif",
        "phantom_0003_labels.tif",
    ]
    model = tmp_path / "own.safetensors"
    others = phantoms(tmp_path / "others", capsys, seed=4)
    table = tmp_path / "own.csv"
    table.write_text("a table of a person's own\n")
    assert main(train(data, model, "--validation", others)) == 0
    assert table.read_text() == "a table of a person's own\n"
    assert str(model) in capsys.readouterr().out
    assert main(["info", str(model), "--json"]) == 0
    card = json.loads(capsys.readouterr().out)
    names = [label["name"] for label in card["classes"]]
    assert names == ["background", "gut", "ovary"]
    size = 470 * 2.951345 / 40
    for end in ("finest", "coarsest"):
        assert card["spacing"][end] == pytest.approx([size] * 3, rel=1e-5)
    assert all(0 <= value <= 1 for value in card["metrics"].values())
    assert list(card["metrics"]) == [
        f"{measure} {name}, mean of 1 scans"
        for name in ("gut", "ovary")
        for measure in ("Dice", "IoU")
    ]
    (record,) = card["training"]
    assert record["specimens"] == ["phantom_0003"]
    assert record["validation"] == ["phantom_0004"]
    assert record["config"]["stage1_steps"] == 2
    with model.with_suffix(".training.csv").open(newline="") as file:
        rows = list(csv.reader(file))[1:]
    figures = [(phase, step) for phase, step, name, _ in rows if name == "loss"]
    assert figures == [("stage 1", "1"), ("stage 1", "2"), ("both stages", "1")]
    assert {"Dice gut", "Dice ovary"} <= {name for _, _, name, _ in rows}


def test_a_model_learns_and_labels_at_the_voxel_size_that_is_asked(
    data, tmp_path, capsys
):
    size = 470 * 2.951345 / 40
    model = tmp_path / "own.safetensors"
    others = phantoms(tmp_path / "others", capsys, seed=4)
    asked = ("--voxel-size", 2.2 * size, "--validation", others)
    assert main(train(data, model, *asked)) == 0
    card = read_card(model)
    assert card.spacing.finest == pytest.approx([2 * size] * 3, rel=1e-5)
    capsys.readouterr()
    scan = str(others / "phantom_0004.tif")
    assert main(["segment", scan, "--model", str(model)]) == 0
    assert "2 x 2 x 2 voxels are seen as one" in capsys.readouterr().err
    # the figures are those of labels at every voxel of the scan
    assert main(["evaluate", str(others), "--model", str(model), "--json"]) == 0
    judged = json.loads(capsys.readouterr().out)["specimens"]["phantom_0004"]
    found = card.metrics["Dice gut, mean of 1 scans"]
    assert found == pytest.approx(judged["1"]["dice"], abs=1e-4)


@pytest.mark.parametrize("size", ["0", "-1", "nan", "inf", "some"])
def test_a_voxel_size_is_a_positive_number(data, tmp_path, size, capsys):
    with pytest.raises(SystemExit):
        main(train(data, tmp_path / "own.safetensors", f"--voxel-size={size}"))
    assert "positive number" in capsys.readouterr().err


def test_a_few_painted_planes_train_a_model(data, tmp_path):
    path = data / "phantom_0003_labels.tif"
    labels = tifffile.imread(path)
    painted = np.zeros_like(labels)
    painted[::12] = labels[::12]
    tifffile.imwrite(path, painted)
    model = tmp_path / "own.safetensors"
    assert main(train(data, model, "--painted-planes")) == 0
    assert load_checkpoint(model).card.network.n_classes == 3


def test_a_training_takes_the_stages_of_the_model_that_it_begins_from(
    data, tmp_path, capsys
):
    first, second = (tmp_path / f"{name}.safetensors" for name in ("first", "second"))
    alone = ("--fusion", "none", "--joint-steps", 0)
    assert main(train(data, first, *alone)) == 0
    assert main(train(data, second, "--initial", first)) == 0
    card = read_card(second)
    assert card.network.fusion == "none"
    assert [record.config["stage1_steps"] for record in card.training] == [2, 3]
    capsys.readouterr()
    third = tmp_path / "third.safetensors"
    assert main(train(data, third, "--initial", first, "--fusion", "pre")) == 2
    assert "use the same classes and fusion" in capsys.readouterr().err


def test_a_model_learns_on_with_the_statistics_that_it_has(data, tmp_path, capsys):
    first, second = (tmp_path / f"{name}.safetensors" for name in ("first", "second"))
    further = ("--statistics", "frozen", "--no-dice")
    assert main(train(data, second, *further)) == 2
    assert "statistics are those of an initial" in capsys.readouterr().err
    assert main(train(data, first)) == 0
    assert main(train(data, second, "--initial", first, *further)) == 0
    before, after = load_checkpoint(first), load_checkpoint(second)
    config = after.card.training[-1].config
    assert (config["statistics"], config["dice"]) == ("frozen", False)
    learned = {name for name in before.weights if name.endswith(("weight", "bias"))}
    for name, weights in before.weights.items():
        same = torch.equal(weights, after.weights[name])
        assert same == (name not in learned), name


def test_the_same_specimen_on_both_sides_is_refused(data, tmp_path, capsys):
    model = tmp_path / "own.safetensors"
    assert main(train(data, model, "--validation", data)) == 2
    assert "not for both, got phantom_0003" in capsys.readouterr().err
    assert not model.exists()


def test_specimens_are_held_out_and_the_published_recipe_is_a_preset(tmp_path, capsys):
    data = phantoms(tmp_path / "data", capsys, seed=0, count=3)
    model = tmp_path / "own.safetensors"
    arguments = ["train", data, "-o", model, "--classes", "gut=1", "ovary=2"]
    arguments += ["--preset", "paper", "--stage1-steps", 1, *SMALL]
    arguments += ["--validation-fraction", "0.3", "--seed", 1]
    assert main([str(argument) for argument in arguments]) == 0
    (record,) = read_card(model).training
    assert len(record.specimens) == 2
    (held_out,) = record.validation
    assert f"held out for validation: {held_out}" in capsys.readouterr().err
    assert {held_out, *record.specimens} == {f"phantom_000{i}" for i in range(3)}
    config = TrainingConfig.checked(**record.config)
    given = {"patch_size": 32, "expanded_size": 32, "batch_size": 1}
    expected = {**PRESETS["paper"], **given, "stage1_steps": 1, "seed": 1}
    assert config == TrainingConfig.checked(**expected)
    assert main(["info", str(model)]) == 0
    shown = capsys.readouterr().out
    assert f"held out 1: {held_out}" in shown
    assert "seed 1; settings: " in shown
    assert "sampling windows, cross_entropy weighted" in shown
    assert "raw grey values" in shown


def test_labels_without_scans_train_a_model_if_all_images_are_made_up(
    data, tmp_path, capsys
):
    (data / "phantom_0003.tif").unlink()
    model = tmp_path / "own.safetensors"
    assert main(train(data, model)) == 2
    assert "no scan of phantom_0003 and 0 of the images" in capsys.readouterr().err
    assert main(train(data, model, "--synthetic", 1)) == 0
    assert read_card(model).training[0].specimens == ("phantom_0003",)
    assert main(train(data, model, "--overwrite", "--synthetic", 1, "--hold-out", 1))
    assert "0 of them with scans" in capsys.readouterr().err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_keeps_the_step_and_the_same_command_goes_on(
    data, tmp_path, capsys, monkeypatch, number
):
    model, step, fractions = tmp_path / "own.safetensors", Stepper.step, []

    def counted(stepper, batch, done):
        if len(fractions) == 1:
            signal.raise_signal(number)  # in the midst of the second step
        fractions.append(done)
        return step(stepper, batch, done)

    monkeypatch.setattr(Stepper, "step", counted)
    assert main(train(data, model)) == 130
    hint = "meunet: interrupted; run the same command to go on"
    assert capsys.readouterr().err.splitlines()[-1] == hint
    assert not model.exists()
    assert main(train(data, model)) == 0
    assert "interrupted here; it goes on" in capsys.readouterr().err
    assert fractions == [0, 0.5, 0]  # two steps of stage 1, a joint one
    logged = [row[:2] for row in read_log(log_path(model)) if row[2] == "loss"]
    assert logged == [("stage 1", 1), ("stage 1", 2), ("both stages", 1)]


def test_scans_that_were_learned_from_are_told_from_others(data, tmp_path, capsys):
    model = tmp_path / "own.safetensors"
    assert main(train(data, model)) == 0
    assert "goes on" not in capsys.readouterr().err
    assert main(["evaluate", str(data), "--model", str(model)]) == 0
    assert "the model has learned from phantom_0003:" in capsys.readouterr().err
    for path in sorted(data.iterdir()):
        path.rename(path.with_name(path.name.replace("0003", "0004")))
    assert main(["evaluate", str(data), "--model", str(model)]) == 0
    assert "learned from" not in capsys.readouterr().err


def test_a_class_that_no_scan_holds_is_told(data, tmp_path, capsys):
    for path in sorted(data.iterdir()):
        shutil.copy(path, path.with_name(path.name.replace("0003", "0004")))
    words = train(data, tmp_path / "own.safetensors")
    place = words.index("--classes") + 1
    words[place + 2 : place + 2] = ["brain"]
    assert main(words) == 0
    told = capsys.readouterr().err
    assert "no brain in any scan, so that it cannot be learned" in told


def test_before_the_first_step_an_interruption_takes_effect_at_once(
    data, tmp_path, capsys, monkeypatch
):
    def endless(*_):
        signal.raise_signal(signal.SIGINT)
        pytest.fail("the preparation goes on")

    monkeypatch.setattr(Stepper, "step", endless)
    model = tmp_path / "own.safetensors"
    model.write_bytes(b"an older model")
    assert main(train(data, model, "--overwrite")) == 130
    told = capsys.readouterr().err.splitlines()
    assert told[-1] == "meunet: interrupted"
    assert "patches should have 64 voxels or more, got 32" in told[0]


def test_an_interruption_at_the_very_start_is_one(data, tmp_path, capsys, monkeypatch):
    class Interrupted:
        def __getattr__(self, _):
            raise KeyboardInterrupt

    # while torch is imported, which takes seconds
    monkeypatch.setitem(sys.modules, "napari_meunet.measurement", Interrupted())
    assert main(train(data, tmp_path / "own.safetensors")) == 130
    assert capsys.readouterr().err == "meunet: interrupted\n"


def test_a_complete_model_is_said_to_be_so(data, tmp_path, capsys, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("napari_meunet.measurement.overlap", interrupt)
    others = phantoms(tmp_path / "others", capsys, seed=4)
    model = tmp_path / "own.safetensors"
    assert main(train(data, model, "--validation", others)) == 130
    hint = f"meunet: interrupted; {model} is complete, but was not measured"
    assert capsys.readouterr().err.splitlines()[-1] == hint
    assert load_checkpoint(model).card.training


def test_a_class_that_is_nowhere_is_named_and_training_goes_on(data, tmp_path, capsys):
    model = tmp_path / "own.safetensors"
    assert main(train(data, model, "--classes", "gut", "ovary", "brain")) == 0
    assert "meunet: no brain in phantom_0003: training goes" in capsys.readouterr().err


def test_other_label_values_are_learnt_and_written(data, tmp_path, capsys):
    path = data / "phantom_0003_labels.tif"
    labels = tifffile.imread(path)
    tifffile.imwrite(path, np.array([0, 7, 21], np.uint8)[labels])
    model = tmp_path / "own.safetensors"
    assert main(train(data, model)) == 2
    assert "name every class with --classes" in capsys.readouterr().err
    assert main(train(data, model, "--classes", "ovary=21", "gut=7")) == 0
    found = [(label.value, label.name) for label in read_card(model).classes]
    assert found == [(0, "background"), (7, "gut"), (21, "ovary")]
    scan = data / "phantom_0003.tif"
    assert main(["segment", str(scan), "--model", str(model)]) == 0
    written = tifffile.imread(data / "phantom_0003.meunet" / "labels.tif")
    assert set(np.unique(written)) <= {0, 7, 21}


def by_two_processes(data, model, *others):
    """Return the command that trains with torchrun."""
    torchrun = ["-m", "torch.distributed.run", "--nproc-per-node", "2", "-m"]
    arguments = train(data, model, "--devices", 2, "--device", "cpu", *others)
    return [sys.executable, *torchrun, "napari_meunet", *arguments]


@pytest.mark.slow
def test_two_processes_train_one_model(data, tmp_path):
    model = tmp_path / "own.safetensors"
    command = by_two_processes(data, model)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{model}\n"
    weights = load_checkpoint(model).weights
    assert all(tensor.isfinite().all() for tensor in weights.values())


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_two_processes_go_on_after_an_interruption(data, tmp_path):
    steps = ("--stage1-steps", 30, "--joint-steps", 2)
    models = [tmp_path / f"{name}.safetensors" for name in ("whole", "stopped")]
    whole, stopped = (by_two_processes(data, model, *steps) for model in models)
    subprocess.run(whole, check=True)
    with subprocess.Popen(stopped, start_new_session=True) as process:
        while len(logged_losses(models[1])) < 5:
            assert process.poll() is None
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
    assert process.returncode
    assert not models[1].exists()
    subprocess.run(stopped, check=True)
    expected, found = (load_checkpoint(model).weights for model in models)
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def logged_losses(model):
    """Return the losses that are in the log of a training so far."""
    return [row for row in read_log(log_path(model)) if row[2] == "loss"]


def test_the_card_says_the_finest_and_the_coarsest_spacing_of_training():
    planes = np.zeros((1, 1, 1), np.uint8)
    spacings = [(1.0, 9.0, 3.0), (5.0, 8.0, 3.0), (2.0, 7.0, 4.0)]
    scans = [Volume.from_array(planes).with_spacing(zyx) for zyx in spacings]
    unknown = Volume.from_array(planes)
    found = spacing_range([*scans, unknown])
    assert (found.finest, found.coarsest) == ((1.0, 7.0, 3.0), (5.0, 9.0, 4.0))
    assert spacing_range([unknown]) is None
