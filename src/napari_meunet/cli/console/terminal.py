"""How the command line shows progress and takes sizes."""

import argparse
import sys
import time
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import closing

from tqdm import tqdm

from napari_meunet.progress import Pace, Progress, Steps

SECONDS_BETWEEN_LINES = 10.0


def show(steps: Steps, title: str) -> Progress | None:
    """Run `steps` to the end with a bar on a terminal, else with plain lines.

    They are closed, however that ends.

    Returns
    -------
    Progress or None
        The last step.
    """
    shown = _bar(steps, title) if sys.stderr.isatty() else _lines(steps, title)
    with closing(steps):
        last = deque(shown, maxlen=1)
    return last[0] if last else None


def _bar(steps: Iterable[Progress], title: str) -> Iterator[Progress]:
    with tqdm(desc=title, unit="", leave=False, dynamic_ncols=True) as bar:
        shown = None
        for step in steps:
            if shown != (step.unit, step.total):  # another part of the work
                shown = step.unit, step.total
                bar.reset(step.total)
                bar.unit = f" {step.unit}"
                bar.initial = bar.n = step.done  # was not done at the present pace
            bar.set_postfix_str(_details(step), refresh=False)
            bar.update(step.done - bar.n)
            yield step


def _lines(steps: Iterable[Progress], title: str) -> Iterator[Progress]:
    pace, spoken = Pace(), time.monotonic()
    for step in steps:
        now = time.monotonic()
        left = pace.seconds_left(step, now)
        if now - spoken >= SECONDS_BETWEEN_LINES:
            count = f"{title}: {step.done}/{step.total} {step.unit}"
            wait = "" if left is None else f"{left:.0f} s left"
            parts = (count, wait, _details(step))
            sys.stderr.write(", ".join(part for part in parts if part) + "\n")
            spoken = now
        yield step


def remark(sentence: str) -> None:
    """Say something on standard error, beside what a command prints; or nothing."""
    if sentence:
        sys.stderr.write(f"meunet: {sentence}\n")


def _details(step: Progress) -> str:
    figures = (f"{name} {value:.3g}" for name, value in step.metrics.items())
    return ", ".join(part for part in (step.message, *figures) if part)


def add_json(parser: argparse.ArgumentParser) -> None:
    """Add the ``--json`` switch."""
    parser.add_argument(
        "--json", action="store_true", help="print one JSON object instead of text"
    )


def byte_size(text: str) -> int:
    """Return the bytes of ``"8GB"``, ``"500 MB"`` or ``"1e9"``."""
    number, factor = text.strip().upper().removesuffix("B"), 1
    for suffix, power in (("K", 3), ("M", 6), ("G", 9), ("T", 12)):
        if number.endswith(suffix):
            number, factor = number[:-1], 10**power
    try:
        size = int(float(number) * factor)
    except (ValueError, OverflowError):
        size = 0
    if size <= 0:
        raise argparse.ArgumentTypeError(
            f"a size must be positive and like 8GB or 500MB, got {text!r}"
        )
    return size
