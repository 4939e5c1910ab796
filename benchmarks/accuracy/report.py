"""The table and the figure of all finished runs."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from statistics import fmean
from typing import Any, get_args

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.accuracy.data import DATA_SETS, DataSet
from benchmarks.accuracy.intensity import read_intensity
from benchmarks.accuracy.results import Place, Result, load_all, significance, spread
from benchmarks.accuracy.settings import NETWORKS
from benchmarks.accuracy.task import Way

OURS = "post"
"""The network that the claims are about, and the others are compared with."""

SHARED: Way = "windows"
"""How all networks label scans: so they are compared."""

ROWS = tuple(product(NETWORKS, get_args(Way)))
"""Networks and ways, in the order of the rows."""

REFERENCE = "dynunet"
"""The network whose memory is the measure."""

SIGNIFICANT = 0.05
GIB = 2**30


@dataclass(frozen=True)
class Row:
    """All runs of a network on a data set, labelled in one way."""

    network: str
    way: Way
    data_set: DataSet
    results: tuple[Result, ...]

    @property
    def title(self) -> str:
        """Of the network, and of the way if it is its own."""
        title = self.results[0].title
        return title if self.way == SHARED else f"{title}, streamed"

    @property
    def dice(self) -> tuple[float, float | None]:
        """Mean and spread over seeds of the mean Dice of the classes."""
        return spread([r.mean_dice(self.data_set.classes) for r in self.results])

    @property
    def training_bytes(self) -> float:
        """Mean peak memory of training."""
        return fmean(result.training["n_bytes"] for result in self.results)

    def dice_of_scans(self) -> dict[Place, float]:
        """Return the mean Dice of each test scan and seed."""
        places: dict[Place, float] = {}
        for result in self.results:
            places |= result.dice_of_scans(self.data_set.classes)
        return places


Table = dict[str, list[Row]]
"""Rows by name of the data set."""

Greys = dict[str, dict[str, float]]
"""Dice of grey values alone, by name of the data set and class."""


def table_of(results: Sequence[Result]) -> Table:
    """Sort results into rows, in the order of `DATA_SETS` and `ROWS`."""
    table: Table = {}
    for name, data_set in DATA_SETS.items():
        for network, way in ROWS:
            place = (name, network, way)
            found = tuple(r for r in results if (r.data_set, r.network, r.way) == place)
            if found:
                table.setdefault(name, []).append(Row(network, way, data_set, found))
    return table


def write_report(results: Path) -> None:
    """Write ``table.md`` and ``figure.png`` into the folder of the results."""
    found = load_all(results)
    table, greys = table_of(found), read_intensity(results)
    (results / "table.md").write_text("\n".join(lines(table, found, greys)) + "\n")
    draw(table, greys, results / "figure.png")


def lines(table: Table, results: Sequence[Result], greys: Greys) -> Iterator[str]:
    """Yield the table in Markdown, and what follows from it."""
    setting, machine = results[0].setting, results[0].machine
    n_runs = sum(result.way == SHARED for result in results)
    yield f"# Accuracy, {setting['name']} setting"
    yield ""
    yield (
        f"{setting['n_patches']} patches of {setting['patch_size']}^3 voxels a run; "
        f"{setting['threads']} thread(s) a run, {setting['jobs']} run(s) side by side; "
        f"{machine['device']}, torch {machine['torch']}, MONAI {machine['monai']}, "
        f"Python {machine['python']}. "
        f"Training and inference of the {n_runs} runs took {hours(results):.2f} "
        "hours on the clock."
    )
    for name, rows in table.items():
        a_step = setting["patches_a_step"][name]
        yield from ("", f"## {rows[0].data_set.title}", "")
        yield from (f"{a_step} patch(es) a step.", "")
        yield from block(rows)
        if name in greys:
            alone = ", ".join(f"{each} {x:.3f}" for each, x in greys[name].items())
            yield from ("", f"Grey values alone, the best ones of each class: {alone}.")
    yield from ("", "## What follows", "")
    yield from (f"- {claim}" for claim in claims(table))


def taken(cost: dict[str, float], setting: dict[str, Any]) -> float:
    """Return seconds of computing where it was done by one thread, else on the clock.

    Other programs disturb the former less.
    """
    return cost["cpu_seconds" if setting["threads"] == 1 else "seconds"]


def hours(results: Sequence[Result]) -> float:
    """Return how long all runs took, side by side; without starting and scoring."""
    seconds = sum(r.training["seconds"] for r in results if r.way == SHARED)
    seconds += sum(r.inference["seconds"] for r in results)
    return seconds / 3600 / results[0].setting["jobs"]


def block(rows: Sequence[Row]) -> Iterator[str]:
    """Yield the table of a data set."""
    classes = rows[0].data_set.classes
    unit = rows[0].data_set.unit
    titles = [
        "network",
        "mean Dice",
        f"p against {OURS}",
        *(f"{name}: Dice" for name in classes),
        *(f"{name}: HD95 ({unit})" for name in classes),
        "parameters (M)",
        "training memory (GiB)",
        "training (s)",
        "inference memory (GiB)",
        "inference (s a scan)",
    ]
    yield f"| {' | '.join(titles)} |"
    yield "|---" + "|--:" * (len(titles) - 1) + "|"
    ours = _compared(rows).get(OURS)
    for row in rows:
        yield f"| {' | '.join(cells(row, ours))} |"


def cells(row: Row, ours: Row | None) -> Iterator[str]:
    """Yield the cells of a row: figures are means and spreads over seeds."""
    results = row.results
    yield row.title
    yield figure(row.dice, 3)
    is_compared = ours is not None and row is not ours and row.way == SHARED
    p = significance(ours.dice_of_scans(), row.dice_of_scans()) if is_compared else None
    yield "" if p is None else f"{p:.2g}"
    for name in row.data_set.classes:
        yield figure(spread([result.dice(name) for result in results]), 3)
    for name in row.data_set.classes:
        yield figure(spread([result.hd95(name) for result in results]), 1)
    n_scans = len(results[0].scores)
    yield f"{results[0].parameters / 1e6:.2f}"
    yield f"{row.training_bytes / GIB:.2f}"
    yield figure(spread([taken(r.training, r.setting) for r in results]), 0)
    yield f"{fmean(r.inference['n_bytes'] for r in results) / GIB:.2f}"
    inference = [taken(r.inference, r.setting) / n_scans for r in results]
    yield figure(spread(inference), 2)


def figure(mean_and_spread: tuple[float, float | None], digits: int) -> str:
    """Return ``mean ± spread``."""
    mean, deviation = mean_and_spread
    text = f"{mean:.{digits}f}"
    return text if deviation is None else f"{text} ± {deviation:.{digits}f}"


def claims(table: Table) -> Iterator[str]:
    """Yield for every data set whether `OURS` wins, and at which memory."""
    for rows in table.values():
        by_name = _compared(rows)
        ours = by_name.get(OURS)
        if ours is None:
            continue
        title = rows[0].data_set.title
        best = max(by_name.values(), key=lambda row: row.dice[0])
        yield f"{title}: {standing(ours, best)}."
        reference = by_name.get(REFERENCE)
        if reference:
            share = ours.training_bytes / reference.training_bytes
            yield (
                f"{title}: {ours.title} takes {share:.2f} times the training "
                f"memory of {reference.title}."
            )


def _compared(rows: Sequence[Row]) -> dict[str, Row]:
    """Return the rows that are compared, by network."""
    return {row.network: row for row in rows if row.way == SHARED}


def standing(ours: Row, best: Row) -> str:
    """Say how `OURS` stands beside the best network."""
    title = ours.title
    if best is ours:
        return f"{title} has the best mean Dice, {ours.dice[0]:.3f}"
    p = significance(ours.dice_of_scans(), best.dice_of_scans())
    word = "significantly" if p is not None and p < SIGNIFICANT else "not significantly"
    behind = best.dice[0] - ours.dice[0]
    return (
        f"{title} is {behind:.3f} below {best.title}, which has the "
        f"best mean Dice, {best.dice[0]:.3f}; {word} worse (p = {p:.2g}, not corrected)"
    )


def draw(table: Table, greys: Greys, path: Path) -> None:
    """Draw mean Dice and training memory: a column a data set, a line a row of it."""
    titles = {
        (row.network, row.way): row.title for rows in table.values() for row in rows
    }
    heights = {row: -i for i, row in enumerate(r for r in ROWS if r in titles)}
    size = (4 * len(table) + 2, 0.7 * len(heights) + 2)
    canvas = Figure(figsize=size, layout="constrained")
    axes = canvas.subplots(2, len(table), squeeze=False, sharey=True)
    for (dice, memory), (name, rows) in zip(axes.T, table.items(), strict=True):
        if name in greys:
            mean = fmean(greys[name].values())
            dice.axvline(mean, color="black", linestyle=":", label="grey values alone")
        for row in rows:
            _draw_row(dice, memory, row, heights[row.network, row.way])
        dice.set_title(rows[0].data_set.title, fontsize=9)
        dice.set_xlabel("mean Dice of each seed, and their mean")
        memory.set_xlabel("peak training memory (GiB)")
    axes[0][0].set_yticks(list(heights.values()), [titles[row] for row in heights])
    canvas.legend(*axes[0][0].get_legend_handles_labels(), loc="outside upper right")
    canvas.savefig(path, dpi=150)


def _draw_row(dice: Axes, memory: Axes, row: Row, height: int) -> None:
    color = "#d55e00" if row.results[0].is_ours else "#0072b2"
    seeds = [result.mean_dice(row.data_set.classes) for result in row.results]
    dice.plot(seeds, [height] * len(seeds), ".", color=color, alpha=0.6)
    dice.plot(fmean(seeds), height, "|", color=color, markersize=14, markeredgewidth=2)
    memory.barh(height, row.training_bytes / GIB, height=0.6, color=color)
    for axis in (dice, memory):
        axis.grid(axis="x", alpha=0.3)
