"""Compare labels to paint on: ``python -m benchmarks.editing``.

What is measured is in ``README.md`` beside this file. Every run is a process of its
own; one that has a result is skipped.
"""

import argparse
import json
import sys
from pathlib import Path

import torch

from benchmarks.editing.backends import BACKENDS
from benchmarks.machine import machine
from benchmarks.processes import run_logged

RESULTS = Path(__file__).parent / "results"

COLUMNS = {
    "stamp_median": "stamp, median",
    "stamp_95": "stamp, 95 %",
    "undo_95": "undo of a stamp, 95 %",
    "drag_median": "drag of 50, median",
    "undo_of_drag_95": "undo of a drag, 95 %",
    "plane_median": "next plane, median",
}


def main() -> int:
    """Run what is missing, then write the table."""
    options = arguments()
    if options.one:
        from benchmarks.editing.run import execute

        execute(options.one, options.side, options.stamps, options.drags, options.path)
        return 0
    options.results.mkdir(parents=True, exist_ok=True)
    failed = [name for name in options.backends if not measure(name, options)]
    (options.results / "table.md").write_text(table(options.results))
    print(options.results / "table.md")
    return 1 if failed else 0


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.editing", description=__doc__
    )
    parser.add_argument("--side", type=int, default=1000, help="voxels along each axis")
    parser.add_argument("--stamps", type=int, default=200)
    parser.add_argument("--drags", type=int, default=10)
    parser.add_argument(
        "--backends", nargs="+", choices=BACKENDS, default=list(BACKENDS)
    )
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--one", help=argparse.SUPPRESS)
    parser.add_argument("--path", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


def measure(name: str, options: argparse.Namespace) -> bool:
    """Run one backend, and tell whether it came to its end."""
    path = options.results.absolute() / f"{name}.json"
    if path.exists() and json.loads(path.read_text())["side"] == options.side:
        return True
    words = ["--one", name, "--path", str(path), "--side", str(options.side)]
    words += ["--stamps", str(options.stamps), "--drags", str(options.drags)]
    done = run_logged("benchmarks.editing", words, path.with_suffix(".log"), threads=1)
    print(f"{name}: {'done' if done else 'failed'}", flush=True)
    return done


def table(results: Path) -> str:
    """Return the results as Markdown, in milliseconds."""
    found = [
        json.loads(path.read_text())
        for name in BACKENDS
        if (path := results / f"{name}.json").exists()
    ]
    head = ["labels", *COLUMNS.values(), "memory, MB", "on the disk", "stamps, drags"]
    lines = [head, ["---"] * len(head)]
    for result in found:
        times = [f"{result[column]:.3g}" for column in COLUMNS]
        kept = "yes" if result["is_kept"] else "no"
        memory = f"{result['peak_megabytes']:.0f}"
        counts = f"{result['stamps']}, {result['drags']}"
        title = BACKENDS[result["backend"]].title
        lines.append([title, *times, memory, kept, counts])
    about = machine(torch.device("cpu"), "napari", "zarr", "tensorstore", "dask")
    facts = ", ".join(f"{name} {value}" for name, value in about.items())
    side = found[0]["side"] if found else 0
    rows = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return (
        f"Milliseconds; {side} x {side} x {side} voxels, a brush of 20, seed 0.\n\n"
        f"{rows}\n\n{facts}\n"
    )


if __name__ == "__main__":
    sys.exit(main())
