"""Learn from a few painted planes of one scan: ``python -m benchmarks.painted``.

A phantom is painted on three planes a class and on three with nothing in them; `meunet
train` learns from those, and `meunet evaluate` compares all other planes. One JSON file
for every seed of the training; what is there is skipped.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import tifffile
import torch
from numpy.typing import NDArray

from benchmarks.machine import machine
from napari_meunet.training.label_values import IGNORE
from napari_meunet.training.phantoms.phantom import CLASSES, make_phantom

RESULTS = Path(__file__).parent / "results"

SHAPE = (256, 112, 112)

FRACTIONS = (1 / 6, 1 / 2, 5 / 6)
"""Where the planes are painted: near both ends of an organ, and in its middle."""

ORGANS = {label.name: label.value for label in CLASSES if label.value}

PATCHES = ("--patch-size", "64", "--expanded-size", "64", "--batch-size", "4")


def main() -> int:
    """Run what is missing, then print all there is."""
    options = arguments()
    options.results.mkdir(parents=True, exist_ok=True)
    for seed in options.seeds:
        path = options.results / f"{seed}.json"
        if not path.exists():
            path.write_text(json.dumps(measure(seed, options), indent=1) + "\n")
        found = json.loads(path.read_text())
        dice = ", ".join(f"{name} {value:.3f}" for name, value in found["dice"].items())
        print(f"seed {seed}: {dice}, {found['seconds'] / 60:.1f} min", flush=True)
    return 0


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.painted", description=__doc__
    )
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3])
    parser.add_argument("--phantom", type=int, default=50, help="its seed")
    parser.add_argument("--steps", type=int, default=850)
    parser.add_argument("--results", type=Path, default=RESULTS)
    return parser.parse_args()


def measure(seed: int, options: argparse.Namespace) -> dict:
    """Paint, train and compare; the time is that of the training alone."""
    phantom = make_phantom(SHAPE, options.phantom)
    planes = planes_to_paint(phantom.labels)
    with tempfile.TemporaryDirectory() as name:
        painted, others = Path(name) / "painted", Path(name) / "others"
        for folder, keep in ((painted, planes), (others, ~planes)):
            folder.mkdir()
            tifffile.imwrite(folder / "fly.tif", phantom.image)
            labels = np.where(keep[:, None, None], phantom.labels, IGNORE)
            tifffile.imwrite(folder / "fly_labels.tif", labels.astype(np.uint8))
        how = *PATCHES, "--fusion", "none", "--stage1-steps", str(options.steps)
        how = *how, "--learning-rate", "0.002", "--seed", str(seed)
        model = Path(name) / "own.safetensors"
        start = time.monotonic()
        meunet("train", painted, "-o", model, "--classes", *ORGANS, *how)
        seconds = time.monotonic() - start
        judged = json.loads(meunet("evaluate", others, "--model", model, "--json"))
    (specimen,) = judged["specimens"].values()
    return {
        "phantom": options.phantom,
        "planes": np.flatnonzero(planes).tolist(),
        "training": " ".join(how),
        "dice": {name: specimen[str(v)]["dice"] for name, v in ORGANS.items()},
        "seconds": round(seconds, 1),
        "machine": machine(torch.device("cpu"), "napari-meunet"),
    }


def planes_to_paint(labels: NDArray[np.uint8]) -> NDArray[np.bool]:
    """Return which planes are painted, ``(z,)``: some with each class, some empty."""
    holds = [(labels == value).any((1, 2)) for value in ORGANS.values()]
    chosen = np.zeros(len(labels), bool)
    for having in (*holds, ~np.any(holds, axis=0)):
        known = np.flatnonzero(having)
        chosen[[known[int(each * len(known))] for each in FRACTIONS]] = True
    return chosen


def meunet(*words: object) -> str:
    """Run the program as a person does, and return what it prints."""
    command = [sys.executable, "-m", "napari_meunet", *map(str, words)]
    done = subprocess.run(  # noqa: S603  our own command
        command, check=True, stdout=subprocess.PIPE, text=True
    )
    return done.stdout


if __name__ == "__main__":
    raise SystemExit(main())
