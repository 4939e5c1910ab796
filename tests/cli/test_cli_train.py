import csv
import json
import subprocess
import sys

import numpy as np
import pytest
import tifffile

from napari_meunet.cli import main
from napari_meunet.cli.train import spacing_range
from napari_meunet.network.checkpoint import load_checkpoint
from napari_meunet.volume.volume import Volume

SMALL = ("--patch-size", 32, "--expanded-size", 32, "--batch-size", 1)
STEPS = ("--stage1-steps", 2, "--stage2-steps", 1)
CLASSES = ("--classes", "gut", "ovary")


@pytest.fixture
def data(tmp_path, capsys):
    folder = tmp_path / "data"
    shape = ("--shape", "48", "40", "40")
    assert main(["phantom", "-o", str(folder), *shape, "--seed", "3"]) == 0
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
    assert main(train(data, model, "--validation", data)) == 0
    assert str(model) in capsys.readouterr().out
    assert main(["info", str(model), "--json"]) == 0
    card = json.loads(capsys.readouterr().out)
    names = [label["name"] for label in card["classes"]]
    assert names == ["background", "gut", "ovary"]
    size = 470 * 2.951345 / 40
    for end in ("finest", "coarsest"):
        assert card["spacing"][end] == pytest.approx([size] * 3, rel=1e-5)
    assert all(0 <= value <= 1 for value in card["metrics"].values())
    assert len(card["metrics"]) == 2
    with model.with_suffix(".csv").open(newline="") as file:
        rows = list(csv.reader(file))[1:]
    figures = [(phase, step) for phase, step, name, _ in rows if name == "loss"]
    assert figures == [("stage 1", "1"), ("stage 1", "2"), ("stage 2", "1")]
    assert {"Dice gut", "Dice ovary"} <= {name for _, _, name, _ in rows}


def test_a_few_painted_planes_train_a_model(data, tmp_path):
    path = data / "phantom_0003_labels.tif"
    labels = tifffile.imread(path)
    painted = np.zeros_like(labels)
    painted[::12] = labels[::12]
    tifffile.imwrite(path, painted)
    model = tmp_path / "own.safetensors"
    assert main(train(data, model, "--painted-planes")) == 0
    assert load_checkpoint(model).card.network.n_classes == 3


@pytest.mark.slow
def test_two_processes_train_one_model(data, tmp_path):
    model = tmp_path / "own.safetensors"
    arguments = train(data, model, "--devices", 2, "--device", "cpu")
    torchrun = ["-m", "torch.distributed.run", "--nproc-per-node", "2", "-m"]
    done = subprocess.run(
        [sys.executable, *torchrun, "napari_meunet", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{model}\n"
    weights = load_checkpoint(model).weights
    assert all(tensor.isfinite().all() for tensor in weights.values())


def test_the_card_says_the_finest_and_the_coarsest_spacing_of_training():
    planes = np.zeros((1, 1, 1), np.uint8)
    spacings = [(1.0, 9.0, 3.0), (5.0, 8.0, 3.0), (2.0, 7.0, 4.0)]
    scans = [Volume.from_array(planes).with_spacing(zyx) for zyx in spacings]
    unknown = Volume.from_array(planes)
    found = spacing_range([*scans, unknown])
    assert (found.finest, found.coarsest) == ((1.0, 7.0, 3.0), (5.0, 9.0, 4.0))
    assert spacing_range([unknown]) is None
