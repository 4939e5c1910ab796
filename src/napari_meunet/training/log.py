"""Files with the figures of a training, written as its steps pass by."""

import csv
import os
from collections.abc import Sequence
from contextlib import closing
from io import StringIO
from pathlib import Path

from napari_meunet.atomic import writing
from napari_meunet.errors import MeUNetError
from napari_meunet.progress import Progress, Steps

COLUMNS = ("phase", "step", "name", "value")

Row = tuple[object, ...]


def logged_to_csv(steps: Steps, path: Path, *, append: bool) -> Steps:
    """Pass the steps on, and write a row with `COLUMNS` for each of their figures.

    A training that goes on appends to its file; where it had to repeat steps, the
    later rows hold.

    Raises
    ------
    MeUNetError
        If the file cannot be written.
    """
    append = append and path.exists() and bool(_whole_rows(path))
    with writing(path):
        if append:
            os.truncate(path, len(_whole_rows(path)))
        # unbuffered: closing a file that holds rows back would raise what was refused
        file = path.open("ab" if append else "wb", buffering=0)
    with file, closing(steps):
        rows: list[Row] = [] if append else [COLUMNS]
        for step in steps:
            rows += _rows(step)
            with writing(path):
                file.write(_as_csv(rows))
            rows.clear()
            yield step


def _rows(step: Progress) -> list[Row]:
    """Return a row for each figure of a step."""
    return [
        (step.message, step.done, name, f"{value:.6g}")
        for name, value in step.metrics.items()
    ]


def _as_csv(rows: Sequence[Row]) -> bytes:
    text = StringIO(newline="")
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()


def read_log(path: Path) -> list[tuple[str, int, str, float]]:
    """Return the rows that `logged_to_csv` wrote: phase, step, name, value.

    A last row that was cut off with the power is left out. Without a file there are
    none.
    """
    if not path.exists():
        return []
    text = StringIO(_whole_rows(path).decode("utf-8"), newline="")
    rows = [row for row in csv.reader(text) if len(row) == len(COLUMNS)]
    return [(row[0], int(row[1]), row[2], float(row[3])) for row in rows[1:]]


def _whole_rows(path: Path) -> bytes:
    """Return what a file holds up to its last line break."""
    content = path.read_bytes()
    return content[: content.rfind(b"\n") + 1]


def logged_to_tensorboard(steps: Steps, folder: Path) -> Steps:
    """Pass the steps on, and write each of their figures as a scalar for TensorBoard.

    Raises
    ------
    MeUNetError
        If TensorBoard is not installed, or `folder` cannot be written.
    """
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise MeUNetError(
            f"TensorBoard must be installed to write its files, got: {error}; run 'pip "
            "install tensorboard', or leave out --tensorboard"
        ) from error
    with writing(folder):
        writer = SummaryWriter(folder)
    with closing(writer), closing(steps):
        for step in steps:
            with writing(folder):
                for name, value in step.metrics.items():
                    writer.add_scalar(f"{step.message}/{name}", value, step.done)
            yield step


def is_remark(step: Progress) -> bool:
    """Tell whether a step of a training says what a person should know.

    That is of the scans, or of the memory that steps take; all others count work.
    """
    return step.unit == "scans" or (step.unit == "steps" and not step.metrics)
