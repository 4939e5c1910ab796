"""One run: a contender labels the scan, and its labels are compared with the truth."""

import json
from collections import deque
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.costs import measured
from benchmarks.inference.ours import OURS
from benchmarks.inference.peers import PEERS, WINDOW
from benchmarks.inference.settings import Setting
from benchmarks.inference.task import FUSION, Contender, Network, Task
from benchmarks.machine import machine
from napari_meunet.atomic import replacing
from napari_meunet.export.export import export_labels
from napari_meunet.network.checkpoint import Checkpoint, load_checkpoint
from napari_meunet.network.device import choose_device
from napari_meunet.training.phantoms.phantom import make_phantom
from napari_meunet.volume.open import open_volume
from napari_meunet.volume.volume import Spacing, Volume

CONTENDERS: dict[str, Contender] = {**OURS, **PEERS}

MODEL = "fly-phantom"
"""Whose weights all contenders apply: the bundled model."""

PHANTOM = 77


def execute(name: str, setting: Setting, work: Path, path: Path, device: str) -> None:
    """Label the scan, and write one JSON file.

    Parameters
    ----------
    name
        Of the contender.
    setting
        What is labelled.
    work
        Where the scan lies, and the labels that are taken as true.
    path
        Of the result.
    device
        What computes.
    """
    torch.set_num_threads(setting.threads)
    torch.backends.cudnn.benchmark = True  # nnU-Net's predictor sets it, so for all
    torch.backends.cudnn.allow_tf32 = False  # fp32 is fp32
    contender, place = CONTENDERS[name], choose_device(device)
    scan = prepared_scan(setting, work)
    task = Task(scan, model_for(contender.applies), place, work)
    warm_up(contender, task)
    with measured(torch.device("cpu")) as host, measured(place) as cost:
        labels = contender.label(task)
    packages = ("monai", "nnunetv2", "torch-em")
    result = {
        "contender": name,
        "title": contender.title,
        "network": contender.applies,
        "is_ours": name in OURS,
        "setting": asdict(setting),
        "cost": asdict(cost),
        "host_bytes": host.n_bytes,
        "different": difference(labels, name, setting, work),
        "machine": machine(place, *packages),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as unfinished:
        unfinished.write_text(json.dumps(result, indent=1) + "\n")


def prepared_scan(setting: Setting, work: Path) -> Volume:
    """Return the scan on disk; make it if it is not there yet."""
    path = work / f"{'_'.join(map(str, setting.shape))}.tif"
    if not path.exists():
        work.mkdir(parents=True, exist_ok=True)
        phantom = make_phantom(setting.shape, PHANTOM)
        spacing = Spacing(phantom.spacing, "phantom")
        deque(export_labels(phantom.image, path, spacing), maxlen=0)
    return open_volume(path)


def model_for(network: Network) -> Checkpoint:
    """Return the bundled model, or its stage 1."""
    checkpoint = load_checkpoint(MODEL)
    if network == "cascade":
        return checkpoint
    card = checkpoint.card
    alone = card.network.model_copy(update={"fusion": FUSION[network]})
    weights = {
        name: tensor
        for name, tensor in checkpoint.weights.items()
        if name.startswith("stage1.")
    }
    return Checkpoint(weights, card.model_copy(update={"network": alone}))


def warm_up(contender: Contender, task: Task) -> None:
    """Label a part, so that nothing is loaded or compiled while it is measured.

    On a GPU it is whole planes: cuDNN looks for the fastest kernels by the size of what
    it is given.
    """
    part = task.scan.read(0, WINDOW)
    if task.device.type == "cpu":
        part = part[:, :WINDOW, :WINDOW]
    volume = Volume.from_array(np.array(part), task.scan.spacing)
    contender.label(replace(task, scan=volume))


def difference(
    labels: NDArray[np.uint8], name: str, setting: Setting, work: Path
) -> float | None:
    """Return the share of voxels that are not as the truth has them.

    None if the truth is not there, for want of memory. Keeps the truth's own labels.
    """
    applies = CONTENDERS[name].applies
    truth = setting.truth[applies]
    path = work / f"{setting.name}_{truth}.npy"
    if name == truth:
        np.save(path, labels)
    if not path.exists():
        return None
    return float(np.mean(np.load(path, mmap_mode="r") != labels))


def load(path: Path) -> dict[str, Any]:
    """Read what `execute` wrote."""
    found: dict[str, Any] = json.loads(path.read_text())
    return found
