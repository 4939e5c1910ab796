"""Peak memory of training with large patches, `python -m benchmarks.accuracy.memory`.

The small setting's patches are so small that weights, programs and working space hide
what the activations take. Here every network takes two steps, the cascade one of stage
1 and one of both stages, on one patch a step; each in a process of its own.
"""

import argparse
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from benchmarks.accuracy.networks import NETWORKS, VARIANTS
from benchmarks.accuracy.report import GIB, REFERENCE
from benchmarks.accuracy.task import Network, Task
from benchmarks.costs import measured
from benchmarks.machine import machine
from napari_meunet.config import TrainingConfig
from napari_meunet.network.device import choose_device, computes_bf16
from napari_meunet.training.draft import new_network
from napari_meunet.training.memory.plan import Budget, plan_step
from napari_meunet.volume.volume import Volume

HERE = Path(__file__).parent

CLASSES = ("bright", "dark")

TWICE = "twice"
"""Ends the name of a cascade whose stages are all computed twice."""

MEASURED = (
    "stage1",
    "pre",
    "post",
    f"post-{TWICE}",
    "dynunet",
    "basicunet",
    "vnet",
    "segresnet",
    "swinunetr",
)


def main() -> None:
    """Measure all networks, and write ``memory.md``."""
    options = arguments()
    if options.one:
        print(measure(options.networks[0], options.size, options.device))
        return
    found = {name: run(name, options) for name in options.networks}
    options.results.mkdir(parents=True, exist_ok=True)
    path = options.results / "memory.md"
    path.write_text("\n".join(lines(found, options)) + "\n")
    print(path)


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.accuracy.memory", description=__doc__
    )
    parser.add_argument("--networks", nargs="+", choices=MEASURED, default=MEASURED)
    parser.add_argument("--size", type=int, default=128, help="edge of a patch")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--results", type=Path, default=HERE / "results")
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


def run(name: str, options: argparse.Namespace) -> int:
    """Measure one network in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.accuracy.memory", "--one"]
    choices = ["--networks", name, "--size", options.size, "--device", options.device]
    output = subprocess.check_output(  # noqa: S603  our own command
        [*command, *map(str, choices)], text=True, cwd=HERE.parents[1]
    )
    n_bytes = int(output.splitlines()[-1])
    print(f"{name}: {n_bytes / GIB:.2f} GiB", flush=True)
    return n_bytes


def measure(name: str, size: int, device: str) -> int:
    """Return the bytes that two steps take."""
    rng = np.random.default_rng(0)
    image = rng.integers(0, 255, (size,) * 3, dtype=np.uint8)
    pair = Volume.from_array(image), Volume.from_array(image // 100)
    config = TrainingConfig(
        patch_size=size,
        expanded_size=size,
        batch_size=1,
        stage1_steps=1,
        joint_steps=1,
        deform=0,
        statistics="running",
        device=device,
    )
    network, config = chosen(name, config)
    with (
        TemporaryDirectory() as folder,
        measured(choose_device(device)) as cost,
    ):
        network.learn(Task([pair], CLASSES, config), Path(folder))
    return cost.n_bytes


def chosen(name: str, config: TrainingConfig) -> tuple[Network, TrainingConfig]:
    """Return a network; with the memory of a plan that cannot shrink, if asked for."""
    name, _, suffix = name.partition("-")
    if suffix != TWICE:
        return NETWORKS[name], config
    own = VARIANTS[name].config(config)
    network = new_network(len(CLASSES) + 1, own)
    itemsize = 2 if computes_bf16(choose_device(own.device)) else 4
    budget = Budget(own.device, sys.maxsize, itemsize)
    plan = plan_step("both stages", network, own, budget)
    while smaller := plan.smaller():
        plan = smaller
    return NETWORKS[name], own.model_copy(update={"memory": plan.n_bytes})


def lines(found: dict[str, int], options: argparse.Namespace) -> Iterator[str]:
    """Yield the table in Markdown."""
    place = machine(choose_device(options.device))
    yield f"# Memory of training with one patch of {options.size}^3 voxels"
    yield ""
    yield f"Two steps; {place['device']}, torch {place['torch']}."
    yield ""
    yield from rows(found)


def rows(found: dict[str, int]) -> Sequence[str]:
    """Return the rows, each network beside the reference."""
    reference = found.get(REFERENCE)
    table = ["| network | training memory (GiB) | of DynUNet |", "|---|--:|--:|"]
    for name, n_bytes in found.items():
        share = f"{n_bytes / reference:.2f}" if reference else ""
        table.append(f"| {title(name)} | {n_bytes / GIB:.2f} | {share} |")
    return table


def title(name: str) -> str:
    """Return the name of a network for people."""
    network, _, suffix = name.partition("-")
    words = NETWORKS[network].title
    return f"{words}, stages computed twice" if suffix else words


if __name__ == "__main__":
    main()
