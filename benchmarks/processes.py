"""Runs in processes of their own: what one leaves behind disturbs no other."""

import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent


def run_logged(module: str, words: list[str], log: Path, threads: int) -> bool:
    """Run a module, and tell whether it came to its end; if not, its log is left.

    Parameters
    ----------
    module
        In ``benchmarks``, as Python's ``-m`` wants it.
    words
        Of the command line.
    log
        What it says, for as long as it runs.
    threads
        That OpenMP may use.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w") as output:
        process = subprocess.run(  # noqa: S603  our own command
            [sys.executable, "-m", module, *words],
            stdout=output,
            stderr=subprocess.STDOUT,
            env=os.environ | {"OMP_NUM_THREADS": str(threads)},
            cwd=HERE.parent,
            check=False,
        )
    if process.returncode == 0:
        log.unlink()
    return process.returncode == 0
