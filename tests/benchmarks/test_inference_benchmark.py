import json
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch
from torch import nn

from benchmarks.inference.peers import fold
from benchmarks.inference.report import cells, table_of, write_report
from benchmarks.inference.run import CONTENDERS, execute, model_for
from benchmarks.inference.settings import SETTINGS, STREAMED, Setting
from benchmarks.inference.task import Task
from napari_meunet.training.phantoms.phantom import make_phantom
from napari_meunet.volume.volume import Spacing, Volume

TINY = Setting("tiny", (32, 48, 40), ("whole", "stage1-fp32"), threads=1, rounds=1)


def result(name, seconds, n_bytes=2**30):
    contender = CONTENDERS[name]
    return {
        "contender": name,
        "title": contender.title,
        "network": contender.applies,
        "is_ours": False,
        "setting": asdict(replace(TINY, shape=(10, 10, 10), rounds=2)),
        "cost": {"seconds": seconds, "cpu_seconds": seconds, "n_bytes": n_bytes},
        "host_bytes": n_bytes,
        "different": None,
        "machine": {"device": "a machine", "cores": 2, "torch": "2"},
    }


@pytest.fixture(autouse=True)
def _threads_are_given_back():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("setting", SETTINGS.values(), ids=SETTINGS)
def test_every_contender_is_known_and_comes_after_its_truth(setting):
    order = list(setting.contenders)
    for name in order:
        truth = setting.truth[CONTENDERS[name].applies]
        assert order.index(truth) <= order.index(name)


@pytest.mark.parametrize(
    ("names", "network"),
    [
        (
            (
                "whole",
                "stage1-fp32",
                "paper",
                "monai-25-half",
                "monai-25-half-folded",
                "monai-on-host",
            ),
            "stage 1",
        ),
        (("whole-cascade", "cascade-fp32", "whole-folded-cascade"), "cascade"),
    ],
)
def test_ours_gives_the_labels_of_the_whole_scan_at_once(tmp_path, names, network):
    found = {}
    for name in names:
        path = tmp_path / f"{name}.json"
        execute(name, TINY, tmp_path / "work", path, "cpu")
        found[name] = json.loads(path.read_text())
        assert found[name]["network"] == network
        assert found[name]["cost"]["seconds"] > 0
    truth = np.load(tmp_path / "work" / f"tiny_{names[0]}.npy")
    assert truth.any()
    ours = found[names[1]]
    assert found[names[0]]["different"] == 0
    assert ours["different"] < 1e-3  # ties within rounding
    write_report(tmp_path)
    assert ours["title"] in (tmp_path / "table.md").read_text()
    assert (tmp_path / "figure.png").stat().st_size > 0


def test_where_a_scan_is_too_large_for_one_pass_ours_is_the_truth(tmp_path):
    tiny = replace(TINY, truth=STREAMED)
    for name in ("stage1-fp32", "monai-25"):
        execute(name, tiny, tmp_path / "work", tmp_path / f"{name}.json", "cpu")
    found = json.loads((tmp_path / "stage1-fp32.json").read_text())
    assert found["different"] == 0
    write_report(tmp_path)
    assert "compared with: ours, stage 1, fp32." in (tmp_path / "table.md").read_text()


@pytest.mark.parametrize("name", ["stage1-fp32", "cascade-fp32", "paper"])
def test_ours_sees_every_voxel_however_fine_they_are(tmp_path, name):
    voxels = make_phantom(TINY.shape, seed=1).image
    contender = CONTENDERS[name]
    task = Task(None, model_for(contender.applies), torch.device("cpu"), tmp_path)
    z, y, x = (size / 3 for size in task.checkpoint.card.spacing.finest)
    scans = (
        Volume.from_array(voxels, spacing)
        for spacing in (None, Spacing((z, y, x), "test"))
    )
    found = [contender.label(replace(task, scan=scan)) for scan in scans]
    np.testing.assert_array_equal(*found)


def test_stage_1_of_a_cascade_is_its_first_part():
    weights = model_for("stage 1").build().state_dict()
    both = model_for("cascade").build().state_dict()
    for name, tensor in weights.items():
        np.testing.assert_array_equal(tensor, both[name])
    assert model_for("stage 1").card.network.fusion == "none"


def test_the_fastest_round_counts_and_the_most_memory():
    found = [result("monai-50", 4.0), result("stage1", 2.0, 5), result("stage1", 1.0)]
    ours, monai = table_of(found)["stage 1"]
    assert (ours.rate, monai.rate, ours.n_bytes) == (1000, 250, 2**30)
    assert list(cells(ours, monai.rate))[2] == "4.0"


def test_the_table_says_how_many_rounds_were_run(tmp_path):
    for number, name in enumerate(["monai-50", "stage1", "stage1"]):
        (tmp_path / f"{number}.json").write_text(json.dumps(result(name, 1.0)))
    write_report(tmp_path)
    assert "fastest of 1 to 2 round(s)" in (tmp_path / "table.md").read_text()


def test_a_folder_without_results_is_refused(tmp_path):
    with pytest.raises(ValueError, match="must hold results"):
        write_report(tmp_path)


def test_a_folded_network_gives_the_same_logits():
    network = model_for("cascade").build()
    image = torch.rand(1, 1, 16, 32, 16)
    with torch.inference_mode():
        before = network(image)
        fold(network)
        torch.testing.assert_close(network(image), before, rtol=1e-3, atol=1e-3)
    assert not any(isinstance(each, nn.BatchNorm3d) for each in network.modules())


@pytest.mark.parametrize(
    ("name", "package"), [("nnunet", "nnunetv2"), ("torch-em", "torch_em")]
)
def test_tools_that_are_not_needed_otherwise_label_where_they_are_installed(
    tmp_path, name, package
):
    pytest.importorskip(package)
    execute(name, TINY, tmp_path / "work", tmp_path / "result.json", "cpu")
    assert json.loads((tmp_path / "result.json").read_text())["contender"] == name
