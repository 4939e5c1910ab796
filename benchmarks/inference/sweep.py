"""Time and memory against the size of a scan: ``python -m benchmarks.inference.sweep``.

Only our engine takes part: what grows with what is the question, not who is faster.
Scans are sparse files of zeros, which cost as much as any others. Each is labelled in a
process of its own, the largest ones only for some planes of their widest column.
"""

import argparse
import json
import os
import subprocess
import sys
from contextlib import closing
from dataclasses import asdict, dataclass
from math import prod
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import tifffile
from matplotlib.figure import Figure

HERE = Path(__file__).parent
GIB = 2**30
THREADS = 2


@dataclass(frozen=True)
class Size:
    """A scan of the sweep.

    Attributes
    ----------
    group
        What grows.
    shape
        Voxels along (z, y, x).
    planes
        To label, if not all.
    memory
        Bytes that the run is allowed; None lets the plan choose.
    """

    group: str
    shape: tuple[int, int, int]
    planes: int | None = None
    memory: int | None = None


LENGTHS = tuple(Size("length", (n, 320, 320)) for n in (200, 400, 800, 1600))
SECTIONS = tuple(Size("section", (256, n, n)) for n in (160, 320, 640, 1280))
LARGEST = (
    Size("2 GB allowed", (1072, 470, 470), 128, 2_000_000_000),
    Size("8 GB allowed", (2000, 2000, 2000), 64, 8_000_000_000),
)
SIZES = (*LENGTHS, *SECTIONS, *LARGEST)


def main() -> int:
    """Measure what is missing, then write the table and the figure."""
    options = arguments()
    if options.one is not None:
        print(json.dumps(measure(SIZES[options.one], options.device)))
        return 0
    folder = options.results
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "sweep.json"
    found: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    for number, size in enumerate(SIZES):
        if str(size) not in found:
            row = run(number, options.device)
            words = f"{row['seconds']:.1f} s" if row else "failed"
            print(f"{size}: {words}", flush=True)
            if row:
                found[str(size)] = row
                path.write_text(json.dumps(found, indent=1) + "\n")
    rows = [found[str(size)] for size in SIZES if str(size) in found]
    (folder / "sweep.md").write_text("\n".join(lines(rows)) + "\n")
    draw(rows, folder / "sweep.png")
    return 0 if len(rows) == len(SIZES) else 1


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.inference.sweep", description=__doc__
    )
    parser.add_argument("--device", default="auto")
    parser.add_argument("--results", type=Path, default=HERE / "results")
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    return parser.parse_args()


def run(number: int, device: str) -> dict[str, Any] | None:
    """Measure one size in a process of its own; None if it failed."""
    words = ["--one", str(number), "--device", device]
    process = subprocess.run(  # noqa: S603  our own command
        [sys.executable, "-m", "benchmarks.inference.sweep", *words],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": str(THREADS)},
        cwd=HERE.parents[1],
        check=False,
    )
    if process.returncode:
        return None
    found: dict[str, Any] = json.loads(process.stdout.splitlines()[-1])
    return found


def measure(size: Size, device: str) -> dict[str, Any]:
    """Label a scan of this size, and return what it took."""
    import torch

    from benchmarks.costs import measured
    from benchmarks.inference.run import model_for
    from benchmarks.machine import machine
    from napari_meunet.config import SegmentationConfig
    from napari_meunet.inference.segment import next_run, segment
    from napari_meunet.labels.temporary import temporary_labels
    from napari_meunet.network.checkpoint import Checkpoint
    from napari_meunet.network.device import choose_device
    from napari_meunet.volume.open import open_volume

    torch.set_num_threads(THREADS)
    place, bundled = choose_device(device), model_for("cascade")
    raw = bundled.card.model_copy(update={"intensity": None})
    checkpoint = Checkpoint(bundled.weights, raw)
    config = SegmentationConfig(device=device, memory=size.memory)
    with TemporaryDirectory() as name:
        scan = Path(name) / "scan.tif"
        tifffile.imwrite(scan, shape=size.shape, dtype=np.uint8, bigtiff=True)
        volume = open_volume(scan)
        with temporary_labels(volume, raw.classes, Path(name)) as labels:
            plan, _ = next_run(volume, checkpoint, config, labels)
            wanted = len(plan.columns) * size.shape[0]
            if size.planes:
                with closing(segment(volume, checkpoint, config, labels)) as steps:
                    next(steps)  # the run has begun
                others = sorted(plan.columns, key=lambda column: prod(column.section))
                for column in others[:-1]:
                    labels.mark_finished(column.name, size.shape[0])
                wanted += size.planes - size.shape[0]
            with (
                measured(torch.device("cpu")) as host,
                measured(place) as cost,
                closing(segment(volume, checkpoint, config, labels)) as steps,
            ):
                for step in steps:
                    if step.done >= wanted:
                        break
    is_host = place.type != "cuda"  # then n_bytes is all there is
    return {
        **asdict(size),
        **asdict(cost),
        "host_bytes": host.n_bytes,
        "forecast_seconds": plan.seconds,
        "forecast_bytes": plan.device_bytes + is_host * plan.host_bytes,
        "columns": len(plan.columns),
        "machine": machine(place),
    }


def lines(found: list[dict[str, Any]]) -> list[str]:
    """Return the table in Markdown."""
    first = found[0]["machine"]
    table = [
        "# Time and memory against the size of a scan",
        "",
        f"The cascade; {THREADS} threads, {first['device']}, torch {first['torch']}.",
        "",
        "| grows | voxels | planes labelled | columns | seconds | forecast | "
        "memory (GiB) | forecast |",
        "|---|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for row in found:
        whole = row["planes"] is None
        cells = (
            row["group"],
            " x ".join(map(str, row["shape"])),
            "all" if whole else str(row["planes"]),
            str(row["columns"]),
            f"{row['seconds']:.1f}",
            f"{row['forecast_seconds']:.1f}" if whole else "",
            f"{row['n_bytes'] / GIB:.2f}",
            f"{row['forecast_bytes'] / GIB:.2f}",
        )
        table.append(f"| {' | '.join(cells)} |")
    return table


def draw(found: list[dict[str, Any]], path: Path) -> None:
    """Draw seconds and memory against voxels, a line for what grows."""
    canvas = Figure(figsize=(9, 3.5), layout="constrained")
    time, memory = canvas.subplots(1, 2)
    for group in ("length", "section"):
        rows = [row for row in found if row["group"] == group]
        voxels = [prod(row["shape"]) / 1e6 for row in rows]
        time.plot(voxels, [row["seconds"] for row in rows], "o-", label=group)
        memory.plot(voxels, [row["n_bytes"] / GIB for row in rows], "o-", label=group)
    time.set_ylabel("seconds")
    memory.set_ylabel("memory (GiB)")
    for axes in (time, memory):
        axes.set_xlabel("million voxels")
        axes.grid(alpha=0.3)
        axes.set_ylim(bottom=0)
        axes.legend(title="grows")
    canvas.savefig(path, dpi=150)


if __name__ == "__main__":
    sys.exit(main())
