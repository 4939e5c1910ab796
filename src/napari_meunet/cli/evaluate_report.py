"""What `meunet evaluate` prints and writes."""

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from napari_meunet.atomic import replacing, writing
from napari_meunet.training.evaluation.setting import Setting
from napari_meunet.training.evaluation.summary import (
    MEASURES,
    Specimens,
    Spread,
    summary,
)

COLUMNS = {
    "dice": ("Dice", ".4f"),
    "iou": ("IoU", ".4f"),
    "volume_error": ("volume", "+.1%"),
    "hd95": ("HD95", ".4g"),
    "surface_dice": ("surface Dice", ".4f"),
}
"""Title and format of every measure."""

ABSENT = "absent"
"""Stands for a measure without a value, see `Agreement`."""

Row = list[str]


def print_table(specimens: Specimens, setting: Setting, *, single: bool) -> None:
    """Print a row for every specimen and class, then mean and spread.

    A `single` specimen, which was not in a folder, has neither a name nor a spread.
    """
    titles = ["specimen", "class", *(title for title, _ in COLUMNS.values())]
    table = [
        [name, setting.class_name(value), *_cells(vars(agreement))]
        for name, rows in specimens.items()
        for value, agreement in rows.items()
    ]
    if single:
        _print_aligned([row[1:] for row in (titles, *table)], n_names=1)
    else:
        spreads = summary(specimens)
        table += _spread_rows(spreads, setting)
        _print_aligned([titles, *table], n_names=2)
        for line in _left_out(spreads, setting):
            print(line)
    unit = setting.unit
    print(f"HD95 in {unit}; surface Dice within {setting.tolerance:.4g} {unit}")


def print_json(specimens: Specimens, setting: Setting, *, single: bool) -> None:
    """Print what `print_table` does, as JSON; a `single` specimen as its classes."""
    names = {value: label.name for value, label in setting.classes.items()}
    rows = {
        name: {
            value: {"name": names.get(value), **asdict(agreement)}
            for value, agreement in rows.items()
        }
        for name, rows in specimens.items()
    }
    spreads = {
        value: {
            "name": names.get(value),
            **{measure: asdict(spread) for measure, spread in row.items()},
        }
        for value, row in summary(specimens).items()
    }
    everything = {
        "specimens": rows,
        "summary": spreads,
        "tolerance": setting.tolerance,
        "unit": setting.unit,
    }
    print(json.dumps(*rows.values()) if single else json.dumps(everything))


def write_csv(specimens: Specimens, setting: Setting, path: Path) -> None:
    """Write a row for every specimen and class; what has no value is left empty.

    Raises
    ------
    MeUNetError
        If the file cannot be written.
    """
    with (
        writing(path),
        replacing(path) as temporary,
        temporary.open("w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.writer(file)
        writer.writerow(("specimen", "value", "class", *MEASURES))
        for name, rows in specimens.items():
            for value, agreement in rows.items():
                measured = (getattr(agreement, measure) for measure in MEASURES)
                label = setting.class_name(value)
                writer.writerow((name, value, label, *measured))


def _spread_rows(
    spreads: Mapping[int, Mapping[str, Spread]], setting: Setting
) -> list[Row]:
    """Return the means of all classes, then the standard deviations."""
    means, deviations = [], []
    for value, row in spreads.items():
        name = setting.class_name(value)
        mean = {measure: spread.mean for measure, spread in row.items()}
        sd = {measure: spread.sd for measure, spread in row.items()}
        means.append([f"mean of {row['dice'].n}", name, *_cells(mean)])
        deviations.append(["SD", name, *_cells(sd, sign="")])
    return [[], *means, [], *deviations] if means else []


def _left_out(
    spreads: Mapping[int, Mapping[str, Spread]], setting: Setting
) -> list[str]:
    """Return which means leave out specimens that the Dice counts."""
    return [
        f"{COLUMNS[measure][0]} of {setting.class_name(value)}: {spread.n} of "
        f"{row['dice'].n} specimens have a value"
        for value, row in spreads.items()
        for measure, spread in row.items()
        if spread.n < row["dice"].n
    ]


def _cells(measured: Mapping[str, float | None], sign: str = "+") -> Row:
    """Return what is printed of the measures of one row; `sign` is that of errors."""
    return [
        ABSENT if value is None else format(value, form.replace("+", sign))
        for value, (_, form) in (
            (measured[measure], column) for measure, column in COLUMNS.items()
        )
    ]


def _print_aligned(rows: Sequence[Row], n_names: int) -> None:
    """Print columns, the first ones to the left and the figures to the right."""
    widths = [max(map(len, column)) for column in zip(*filter(None, rows), strict=True)]
    widths[n_names:] = (max(7, width) for width in widths[n_names:])
    for row in rows:
        cells = [
            cell.ljust(width) if index < n_names else cell.rjust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=False))
        ]
        print("  ".join(cells))
