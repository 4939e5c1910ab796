"""Compare ways to label a scan: ``python -m benchmarks.inference``.

Who takes part, and what each is given, is in ``README.md`` beside this file. Every run
is a process of its own, one after the other; one that has a result is skipped, so the
command goes on where it stopped. A failed run leaves a ``.log``.
"""

import argparse
import sys
from pathlib import Path

from benchmarks.inference.settings import SETTINGS, Setting
from benchmarks.processes import run_logged

HERE = Path(__file__).parent


def main() -> int:
    """Run what is missing, then write the table and the figure."""
    options = arguments()
    setting = SETTINGS[options.setting]
    if options.one:
        from benchmarks.inference.run import execute

        execute(options.one, setting, options.work, options.path, options.device)
        return 0
    results = (options.results or HERE / "results") / setting.name
    failed = [] if options.report else run_all(setting, results, options)
    from benchmarks.inference.report import write_report

    write_report(results)
    print(results / "table.md")
    return 1 if failed else 0


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.inference", description=__doc__
    )
    parser.add_argument("--setting", choices=SETTINGS, default="small")
    parser.add_argument("--contenders", nargs="+", metavar="NAME")
    parser.add_argument("--device", default="auto")
    parser.add_argument(
        "--work", type=Path, default=HERE / "work", help="where the scan goes"
    )
    parser.add_argument("--results", type=Path, help="where the results go")
    parser.add_argument(
        "--report", action="store_true", help="only write the table and the figure"
    )
    parser.add_argument("--one", help=argparse.SUPPRESS)
    parser.add_argument("--path", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


def run_all(setting: Setting, results: Path, options: argparse.Namespace) -> list[str]:
    """Run all contenders round by round, and return those that failed."""
    failed = []
    for number in range(setting.rounds):
        for name in options.contenders or setting.contenders:
            path = results.absolute() / f"{name}_{number}.json"
            if not path.exists() and name not in failed:
                done = run_one(name, path, setting, options)
                print(f"{name}, round {number}: {'done' if done else 'failed'}")
                failed += [] if done else [name]
    return failed


def run_one(
    name: str, path: Path, setting: Setting, options: argparse.Namespace
) -> bool:
    """Run one contender, and tell whether it came to an end; if not, it leaves a log.

    Parameters
    ----------
    name
        Of the contender.
    path
        Of the result.
    setting
        What is labelled.
    options
        The command line.
    """
    values = {
        "--one": name,
        "--path": path,
        "--setting": setting.name,
        "--work": options.work.absolute(),
        "--device": options.device,
    }
    words = [str(part) for pair in values.items() for part in pair]
    log = path.with_suffix(".log")
    return run_logged("benchmarks.inference", words, log, setting.threads)


if __name__ == "__main__":
    sys.exit(main())
