"""The table and the figure of all phantoms."""

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.correction.annotators import TARGET

WAYS = {
    "planes": "plane by plane",
    "places": "the review queue",
    "lessons": "the queue, and a model that learns",
}

SETTING = ("shape", "model", "steps", "lessons_asked", "share", "apart")
"""What must be the same of results that stand in one table."""

ACROSS = 2
"""Panels of the figure in a row."""

COLORS = {"planes": "#999999", "places": "#0072b2", "lessons": "#d55e00"}
"""Of B. Wong, "Points of view: Color blindness", Nature Methods 8, 441 (2011), and a
grey."""


def write_report(results: Path, machine: Mapping[str, object]) -> None:
    """Write ``table.md`` and ``figure.png`` into the folder of the results.

    Raises
    ------
    ValueError
        If not all results are of one setting.
    """
    found = [json.loads(path.read_text()) for path in sorted(results.glob("*.json"))]
    settings = {json.dumps([result.get(name) for name in SETTING]) for result in found}
    if len(settings) != 1:
        raise ValueError(
            f"results must be of one setting to be compared, got {len(settings)} in "
            f"{results}; remove the older ones"
        )
    (results / "table.md").write_text(table(found, machine))
    figure_of(found).savefig(results / "figure.png", dpi=100)


def table(found: Sequence[dict[str, Any]], machine: Mapping[str, object]) -> str:
    """Return the results as Markdown."""
    facts = ", ".join(f"{name} {value}" for name, value in machine.items())
    of = found[0]
    return (
        f"Until the mean Dice is {TARGET}, or there is nothing left to look at. "
        f"Phantoms of {' x '.join(map(str, of['shape']))} voxels, the model "
        f"{of['model']}, lessons of {of['steps']} steps, each after every "
        f"{of['apart']}th plane of {of['share']:.0%} of the places.\n\n"
        f"{_rows(_efforts(found))}\n\n"
        "What lessons did for what nobody had looked at:\n\n"
        f"{_rows(_lessons(found))}\n\n{facts}\n"
    )


def _efforts(found: Sequence[dict[str, Any]]) -> Iterator[tuple[str, ...]]:
    yield (
        "phantom",
        "way",
        "Dice at first",
        "Dice",
        "voxels set",
        "of those plane by plane",
        "voxels looked at",
    )
    for result in found:
        by_planes = result["planes"]["efforts"][-1]["corrected"]
        for way, title in WAYS.items():
            last = result[way]["efforts"][-1]
            yield (
                str(result["seed"]),
                title,
                f"{result['dice_at_first']:.3f}",
                f"{last['dice']:.3f}",
                f"{last['corrected']:,}",
                f"{last['corrected'] / by_planes:.2f}",
                f"{last['looked_at']:,}",
            )


def _lessons(found: Sequence[dict[str, Any]]) -> Iterator[tuple[str, ...]]:
    yield (
        "phantom",
        "after voxels looked at",
        "set",
        "kept",
        "Dice of the rest before",
        "after",
    )
    for result in found:
        for lesson in result["lessons"]["lessons"]:
            yield (
                str(result["seed"]),
                f"{lesson['at']['looked_at']:,}",
                f"{lesson['at']['corrected']:,}",
                _kept(lesson),
                f"{lesson['rest_before']:.3f}",
                f"{lesson['rest_after']:.3f}",
            )


def _kept(lesson: dict[str, Any]) -> str:
    """Return whether a lesson was kept, and whether all of it."""
    if not lesson["kept"]:
        return "no"
    return "halfway" if lesson["halfway"] else "yes"


def _rows(lines: Iterator[tuple[str, ...]]) -> str:
    head = next(lines)
    return "\n".join(
        f"| {' | '.join(cells)} |" for cells in (head, ("---",) * len(head), *lines)
    )


def figure_of(found: Sequence[dict[str, Any]]) -> Figure:
    """Return a panel for every phantom: the Dice over the voxels that were set."""
    n_rows = -(-len(found) // ACROSS)
    figure = Figure(figsize=(4.4 * ACROSS, 3.4 * n_rows), layout="constrained")
    grid = figure.subplots(n_rows, ACROSS, sharey=True, squeeze=False)
    for panel, result in zip_longest(grid.ravel(), found):
        if result is None:
            panel.remove()
        else:
            _draw(panel, result)
    for row in grid:
        row[0].set_ylabel("mean Dice of gut and ovary")
    grid[0, 0].legend(frameon=False, fontsize="small", loc="lower right")
    return figure


def _draw(panel: Axes, result: dict[str, Any]) -> None:
    for way, title in WAYS.items():
        efforts = result[way]["efforts"]
        x = [0, *(effort["corrected"] / 1000 for effort in efforts)]
        y = [result["dice_at_first"], *(effort["dice"] for effort in efforts)]
        panel.plot(x, y, color=COLORS[way], label=title)
    kept = [lesson["at"] for lesson in result["lessons"]["lessons"] if lesson["kept"]]
    panel.plot(
        [at["corrected"] / 1000 for at in kept],
        [at["dice"] for at in kept],
        "o",
        color=COLORS["lessons"],
        label="the model learned",
    )
    panel.axhline(TARGET, color="#303030", linewidth=0.8, linestyle=":")
    panel.set_title(f"phantom {result['seed']}", fontsize="medium")
    panel.set_xlabel("voxels set (thousands)")
    panel.spines[["top", "right"]].set_visible(False)
