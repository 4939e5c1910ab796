"""Compare ways to correct a scan: ``python -m benchmarks.correction``.

What is measured is in ``README.md`` beside this file. A phantom that has results is
skipped.
"""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from benchmarks.correction.annotators import (
    APART,
    Desk,
    course_of,
    mean_dice,
    through_places,
    through_planes,
    with_lessons,
)
from benchmarks.correction.report import WAYS, write_report
from benchmarks.machine import machine
from napari_meunet.config import SegmentationConfig
from napari_meunet.inference.segment import segment
from napari_meunet.labels.store import LabelStore
from napari_meunet.learning.lesson import STEPS
from napari_meunet.network.card import BUNDLED
from napari_meunet.network.checkpoint import load_checkpoint
from napari_meunet.training.phantoms.phantom import CLASSES, make_phantom
from napari_meunet.volume.volume import Spacing, Volume

RESULTS = Path(__file__).parent / "results"


def main() -> int:
    """Run what is missing, then write the table."""
    options = arguments()
    options.results.mkdir(parents=True, exist_ok=True)
    for seed in options.seeds:
        path = options.results / f"{seed}.json"
        if not path.exists():
            path.write_text(json.dumps(measure(seed, options), indent=1))
            print(path, flush=True)
    about = machine(torch.device("cpu"), "napari-meunet")
    write_report(options.results, about)
    print(options.results / "table.md")
    return 0


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.correction", description=__doc__
    )
    parser.add_argument("--seeds", nargs="+", type=int, default=range(7005, 7010))
    parser.add_argument(
        "--shape", nargs=3, type=int, default=(384, 168, 168), metavar=("Z", "Y", "X")
    )
    parser.add_argument("--model", default=BUNDLED)
    parser.add_argument("--steps", type=int, default=STEPS, help="of a lesson")
    parser.add_argument("--lessons", type=int, default=2)
    parser.add_argument(
        "--share",
        type=float,
        default=0.1,
        help="fraction of the queue that is looked at before each lesson",
    )
    parser.add_argument("--results", type=Path, default=RESULTS)
    return parser.parse_args()


def measure(seed: int, options: argparse.Namespace) -> dict:
    """Return what each way takes on one phantom that the model has not seen."""
    phantom = make_phantom(tuple(options.shape), seed)
    volume = Volume.from_array(phantom.image, Spacing(phantom.spacing, "phantom"))
    checkpoint = load_checkpoint(options.model)
    found: dict = {
        "seed": seed,
        "shape": list(options.shape),
        "model": options.model,
        "steps": options.steps,
        "lessons_asked": options.lessons,
        "share": options.share,
        "apart": APART,
    }
    for way in WAYS:
        start = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            labels, model = Path(folder) / "labels", Path(folder) / "new.safetensors"
            with LabelStore.create(labels, volume, CLASSES) as store:
                for _ in segment(volume, checkpoint, SegmentationConfig(), store):
                    pass
                found["dice_at_first"] = mean_dice(store.labels, phantom.labels)
                wrong = np.count_nonzero(store.labels != phantom.labels)
                found["wrong_at_first"] = int(wrong)
                desk = Desk(volume, store, phantom.labels)
                if way == "planes":
                    steps = through_planes(desk)
                elif way == "places":
                    steps = through_places(desk)
                else:
                    steps = with_lessons(
                        desk,
                        checkpoint,
                        model,
                        n_lessons=options.lessons,
                        share=options.share,
                        n_steps=options.steps,
                        seed=seed,
                    )
                found[way] = course_of(steps)
        found[way]["seconds"] = round(time.monotonic() - start, 1)
    return found


if __name__ == "__main__":
    sys.exit(main())
