import json

import numpy as np
import pytest
import tifffile

from napari_meunet.cli import main
from napari_meunet.labels.store import LabelStore
from napari_meunet.network.card import read_card

pytestmark = pytest.mark.usefixtures("short_calibration")

SHAPE = (40, 40, 140)
STEPS = ("--steps", "1", "--device", "cpu")


@pytest.fixture(autouse=True)
def _small_patches(monkeypatch):
    monkeypatch.setattr("napari_meunet.learning.lesson.PATCH", 32)


@pytest.fixture
def scan(tmp_path, model, rng):
    """Return a scan whose labels were made by a model, and corrected in three cells."""
    path = tmp_path / "fly.tif"
    voxels = rng.integers(0, 255, SHAPE, np.uint8)
    tifffile.imwrite(path, voxels, photometric="minisblack")
    assert main(["segment", str(path), "--model", str(model)]) == 0
    with LabelStore.open(tmp_path / "fly.meunet") as store:
        labels = store.editable()
        for x in (10, 80, 130):
            labels[5:30, 5:30, x : x + 8] = 3 - np.asarray(
                labels[5:30, 5:30, x : x + 8]
            )
    return path


def learn(scan, *others):
    return main([str(part) for part in ("learn", scan, *others)])


def test_the_model_that_made_the_labels_learns(scan, model, capsys, monkeypatch):
    monkeypatch.setattr("napari_meunet.learning.comparison.Outcome.is_better", True)
    capsys.readouterr()
    assert learn(scan, *STEPS) == 0
    output = scan.with_name("fly-learned.safetensors")
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == "held-out cells"
    assert printed[1].startswith("  before  ")
    assert "voxels wrong; Dice" in printed[2]
    assert printed[-1] == str(output)
    is_mean = "means of the weights" in printed[-2]
    card = read_card(output)
    assert card.name == "fly-learned"
    assert card.training[-1].specimens == ("fly", "fly")
    assert card.command[-1].startswith("meunet ")
    learned = f"{read_card(model).data}; then corrections of a scan"
    mean = "; the mean of the weights before and after"
    assert card.data == learned + (mean if is_mean else "")


def test_another_model_learns_if_it_is_given(scan, model, capsys):
    moved = model.rename(model.with_name("moved.safetensors"))
    assert learn(scan, *STEPS) == 2
    assert "got '" + str(model) in capsys.readouterr().err
    assert learn(scan, "--model", moved, *STEPS) in (0, 1)


def test_a_model_that_is_no_better_is_a_finding(scan, capsys):
    capsys.readouterr()
    output = scan.with_name("new.safetensors")
    how = ("--steps", 0, "-o", output, "--device", "cpu")
    assert learn(scan, *how, "--json") == 1
    found = json.loads(capsys.readouterr().out)
    assert found["model"] is None
    assert found["before"] == found["after"]
    assert found["before"]["wrong"] <= found["before"]["total"]
    assert learn(scan, *how) == 1
    assert "no better than before" in capsys.readouterr().out
    assert not output.exists()


def test_what_is_missing_is_said_before_work_starts(scan, capsys, tmp_path):
    assert learn(scan, "--labels", tmp_path / "none.meunet") == 2
    assert "none.meunet" in capsys.readouterr().err
    (tmp_path / "fly-learned.safetensors").touch()
    assert learn(scan) == 2
    assert "--overwrite" in capsys.readouterr().err
