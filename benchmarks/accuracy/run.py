"""One run: a network learns a data set with a seed, and labels the test scans."""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch

from benchmarks.accuracy.data import DATA_SETS, opened
from benchmarks.accuracy.networks import NETWORKS, VARIANTS
from benchmarks.accuracy.results import Run, Scores
from benchmarks.accuracy.settings import JOINT_SHARE, Setting
from benchmarks.accuracy.task import Predict, Task
from benchmarks.costs import measured
from benchmarks.machine import machine
from napari_meunet.atomic import replacing
from napari_meunet.config import TrainingConfig
from napari_meunet.network.device import choose_device
from napari_meunet.training.evaluation.agreement import agreement
from napari_meunet.volume.volume import Volume


def budget(run: Run, setting: Setting, device: str) -> TrainingConfig:
    """Return what every network gets for this data set and seed."""
    data_set = DATA_SETS[run.data_set]
    size, steps = data_set.patch_size(setting), setting.steps(run.data_set)
    joint = round(steps * JOINT_SHARE)
    return TrainingConfig(
        patch_size=size,
        expanded_size=size,
        batch_size=setting.patches_a_step[run.data_set],
        stage1_steps=steps - joint,
        joint_steps=joint,
        mirror=data_set.mirror,
        turn=data_set.turn,
        seed=run.seed,
        device=device,
    )


def execute(
    run: Run, setting: Setting, prepared: Path, results: Path, device: str
) -> None:
    """Train, label the test scans, and write one JSON file."""
    torch.set_num_threads(setting.threads)
    network, classes = NETWORKS[run.network], DATA_SETS[run.data_set].classes
    config = budget(run, setting, device)
    task = Task(list(opened(prepared / "train").values()), classes, config)
    tests, place = opened(prepared / "test"), choose_device(device)
    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        with measured(place) as training:
            n_parameters = network.learn(task, folder)
        ways = {
            way: labelled(
                partial(network.predictor, task, folder, way), tests, place, classes
            )
            for way in network.ways
        }
    result = {
        **asdict(run),
        "title": network.title,
        "is_ours": run.network in VARIANTS,
        "setting": asdict(setting),
        "budget": config.model_dump(mode="json"),
        "parameters": n_parameters,
        "training": asdict(training),
        "ways": ways,
        "machine": machine(place, "monai"),
    }
    path = run.path(results)
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as unfinished:
        unfinished.write_text(json.dumps(result, indent=1) + "\n")


def labelled(
    load: Callable[[], Predict],
    tests: Mapping[str, tuple[Volume, Volume]],
    device: torch.device,
    classes: tuple[str, ...],
) -> dict[str, Any]:
    """Label the test scans, and return what it took and how good it is."""
    with measured(device) as cost:
        predict = load()
        labels = {name: predict(scan) for name, (scan, _) in tests.items()}
    found: Scores = {
        name: scores(labels[name], truth, classes) for name, (_, truth) in tests.items()
    }
    return {"inference": asdict(cost), "scores": found}


def scores(
    labels: np.ndarray, truth: Volume, classes: tuple[str, ...]
) -> dict[str, dict[str, float | None]]:
    """Return Dice and HD95 of every class by name; distances in um if known."""
    spacing = truth.spacing.zyx if truth.spacing else (1.0, 1.0, 1.0)
    diagonal = float(np.linalg.norm(np.multiply(truth.shape, spacing)))
    found = agreement(labels, truth.planes, spacing, max(spacing))
    return {
        name: {
            "dice": found[value].dice if value in found else None,
            "hd95": found[value].hd95 if value in found else None,
            "diagonal": diagonal,
        }
        for value, name in enumerate(classes, start=1)
    }
