"""The table and the figure of all finished runs."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, get_args

from matplotlib.figure import Figure

from benchmarks.inference.run import CONTENDERS, load
from benchmarks.inference.settings import COMMON
from benchmarks.inference.task import Network

REFERENCE: Mapping[Network, str] = {
    "stage 1": "monai-50",
    "cascade": "monai-50-cascade",
}
"""Whose speed is the measure: MONAI as many use it."""

GIB = 2**30


@dataclass(frozen=True)
class Row:
    """All rounds of a contender."""

    results: tuple[dict[str, Any], ...]

    @property
    def fastest(self) -> dict[str, Any]:
        """The round that took the least of the clock."""
        return min(self.results, key=lambda result: result["cost"]["seconds"])

    @property
    def name(self) -> str:
        """Of the contender."""
        name: str = self.fastest["contender"]
        return name

    @property
    def title(self) -> str:
        """Of the contender, for people."""
        title: str = self.fastest["title"]
        return title

    @property
    def rate(self) -> float:
        """Voxels per second on the clock."""
        voxels = prod(self.fastest["setting"]["shape"])
        return voxels / float(self.fastest["cost"]["seconds"])

    @property
    def n_bytes(self) -> int:
        """Most memory on the device in any round."""
        return max(result["cost"]["n_bytes"] for result in self.results)

    @property
    def host_bytes(self) -> int:
        """Most resident memory in any round."""
        return max(result["host_bytes"] for result in self.results)


Table = dict[Network, list[Row]]
"""Rows by the network that is applied."""


def write_report(results: Path) -> None:
    """Write ``table.md`` and ``figure.png`` into the folder of the results.

    Raises
    ------
    ValueError
        If there are no results.
    """
    found = [load(path) for path in sorted(results.glob("*.json"))]
    if not found:
        raise ValueError(f"a folder must hold results, got none in {results}")
    table = table_of(found)
    (results / "table.md").write_text("\n".join(lines(table, found)) + "\n")
    draw(table, results / "figure.png")


def table_of(found: Sequence[dict[str, Any]]) -> Table:
    """Sort results into rows, in the order of the settings."""
    names = dict.fromkeys((*COMMON, *(result["contender"] for result in found)))
    table: Table = {}
    for network in get_args(Network):
        for name in names:
            wanted = (name, network)
            mine = tuple(r for r in found if (r["contender"], r["network"]) == wanted)
            if mine:
                table.setdefault(network, []).append(Row(mine))
    return table


def lines(table: Table, found: Sequence[dict[str, Any]]) -> Iterator[str]:
    """Yield the table in Markdown."""
    setting, machine = found[0]["setting"], found[0]["machine"]
    versions = {k: v for r in found for k, v in r["machine"].items()}
    del versions["device"], versions["cores"]
    rounds = sorted({len(row.results) for rows in table.values() for row in rows})
    yield f"# Inference, {setting['name']} setting"
    yield ""
    yield (
        f"{' x '.join(map(str, setting['shape']))} voxels, {setting['threads']} "
        f"thread(s), the fastest of {' to '.join(map(str, rounds))} round(s); "
        f"{machine['device']}; "
        + ", ".join(f"{name} {text}" for name, text in versions.items())
        + "."
    )
    for network, rows in table.items():
        yield from ("", f"## {network[0].upper()}{network[1:]}", "")
        truth = CONTENDERS[setting["truth"][network]].title
        yield from (f"The truth that labels are compared with: {truth}.", "")
        yield from block(rows, REFERENCE[network])


def block(rows: Sequence[Row], reference: str) -> Iterator[str]:
    """Yield the table of a network."""
    rates = {row.name: row.rate for row in rows}
    titles = (
        "",
        "million voxels a second",
        "of MONAI at 0.5",
        "seconds",
        "seconds of computing",
        "device memory (GiB)",
        "resident memory (GiB)",
        "voxels unlike the truth",
    )
    yield f"| {' | '.join(titles)} |"
    yield "|---" + "|--:" * (len(titles) - 1) + "|"
    for row in rows:
        yield f"| {' | '.join(cells(row, rates.get(reference)))} |"


def cells(row: Row, reference: float | None) -> Iterator[str]:
    """Yield the cells of a row."""
    result = row.fastest
    yield row.title
    yield f"{row.rate / 1e6:.2f}"
    yield f"{row.rate / reference:.1f}" if reference else ""
    yield f"{result['cost']['seconds']:.1f}"
    yield f"{result['cost']['cpu_seconds']:.1f}"
    yield f"{row.n_bytes / GIB:.2f}"
    yield f"{row.host_bytes / GIB:.2f}"
    different = result["different"]
    yield "" if different is None else f"{different:.1e}"


def draw(table: Table, path: Path) -> None:
    """Draw speed and memory: a column for each, a line a contender."""
    rows = [row for part in table.values() for row in part]
    names = [f"{row.title} ({row.fastest['network']})" for row in rows]
    colors = ["#d55e00" if row.fastest["is_ours"] else "#0072b2" for row in rows]
    heights = range(len(rows), 0, -1)
    canvas = Figure(figsize=(11, 0.35 * len(rows) + 1.2), layout="constrained")
    speed, memory = canvas.subplots(1, 2, sharey=True)
    speed.barh(heights, [row.rate / 1e6 for row in rows], color=colors)
    memory.barh(heights, [row.n_bytes / GIB for row in rows], color=colors)
    speed.set_yticks(list(heights), names)
    speed.set_xlabel("million voxels a second (more is better)")
    memory.set_xlabel("memory in GiB (less is better)")
    for axes in (speed, memory):
        axes.grid(axis="x", alpha=0.3)
    canvas.savefig(path, dpi=150)
