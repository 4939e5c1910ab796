"""Compare networks under one budget: ``python -m benchmarks.accuracy``.

What is done alike for all networks, and what is not, is in ``README.md`` beside this
file. A run that has a result already is skipped, so the command goes on where it
stopped; a failed run leaves a ``.log`` and does not stop the others.
"""

import argparse
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from benchmarks.accuracy.data import DATA_SETS, prepare
from benchmarks.accuracy.results import Run
from benchmarks.accuracy.settings import NETWORKS, SETTINGS, Setting
from benchmarks.processes import run_logged

HERE = Path(__file__).parent


def main() -> int:
    """Run what is missing, then write the table and the figure."""
    options = arguments()
    setting = chosen_setting(options)
    results = options.results or HERE / "results" / setting.name
    if options.one:
        from benchmarks.accuracy.run import execute

        run = Run(options.data_sets[0], options.networks[0], options.seeds[0])
        prepared = prepare(run.data_set, setting, options.data, options.work)
        execute(run, setting, prepared, results, options.device)
        return 0
    failed = []
    if not options.report:
        prepared = {
            name: prepare(name, setting, options.data, options.work)
            for name in options.data_sets
        }
        from benchmarks.accuracy.intensity import write_intensity

        write_intensity(prepared, results)
        failed = run_all(list(missing(options, setting, results)), setting, results)
    from benchmarks.accuracy.report import write_report

    write_report(results)
    print(results / "table.md")
    return 1 if failed else 0


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.accuracy", description=__doc__
    )
    parser.add_argument("--setting", choices=SETTINGS, default="small")
    parser.add_argument("--data-sets", nargs="+", choices=DATA_SETS, default=DATA_SETS)
    parser.add_argument("--networks", nargs="+", choices=NETWORKS)
    parser.add_argument("--seeds", nargs="+", type=int)
    parser.add_argument(
        "--patches", type=int, help="other than in the setting: a trial"
    )
    parser.add_argument("--jobs", type=int, help="runs side by side")
    parser.add_argument("--device", default="auto")
    parser.add_argument(
        "--data",
        type=absolute,
        default=HERE.parents[2] / "shared" / "data",
        help="folder with fly_organs, mouse_heads and weave (default %(default)s)",
    )
    parser.add_argument(
        "--work",
        type=absolute,
        default=HERE / "work",
        help="where the prepared scans go (default %(default)s)",
    )
    parser.add_argument("--results", type=absolute, help="where the results go")
    parser.add_argument(
        "--report", action="store_true", help="only write the table and the figure"
    )
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


def absolute(path: str) -> Path:
    """Return a path that holds in the processes of the runs, too."""
    return Path(path).absolute()


def chosen_setting(options: argparse.Namespace) -> Setting:
    """Return the setting with what the command line changes in it."""
    setting = SETTINGS[options.setting]
    options.networks = options.networks or setting.networks
    options.seeds = options.seeds or setting.seeds
    return replace(
        setting,
        n_patches=options.patches or setting.n_patches,
        jobs=options.jobs or setting.jobs,
    )


def missing(
    options: argparse.Namespace, setting: Setting, results: Path
) -> Iterator[tuple[Run, list[str]]]:
    """Yield the runs without a result, and the command of each; seed after seed."""
    for seed in options.seeds:
        for data_set in options.data_sets:
            for network in options.networks:
                run = Run(data_set, network, seed)
                if not run.path(results).exists():
                    yield run, command(run, options, setting, results)


def command(
    run: Run, options: argparse.Namespace, setting: Setting, results: Path
) -> list[str]:
    """Return the command line of one run, for a process of its own."""
    values = {
        "--setting": setting.name,
        "--data-sets": run.data_set,
        "--networks": run.network,
        "--seeds": run.seed,
        "--patches": setting.n_patches,
        "--jobs": setting.jobs,
        "--device": options.device,
        "--data": options.data,
        "--work": options.work,
        "--results": results,
    }
    pairs = (part for name, value in values.items() for part in (name, str(value)))
    return ["--one", *pairs]


def run_all(
    runs: list[tuple[Run, list[str]]], setting: Setting, results: Path
) -> list[Run]:
    """Run the commands, some side by side, and return the runs that failed."""
    failed = []
    with ThreadPoolExecutor(setting.jobs) as pool:
        jobs = [pool.submit(run_one, *pair, setting, results) for pair in runs]
        for done, ((run, _), job) in enumerate(zip(runs, jobs, strict=True), start=1):
            seconds = job.result()
            if seconds is None:
                failed.append(run)
            word = "failed" if seconds is None else f"{seconds:.0f} s"
            what = f"{run.data_set} {run.network} {run.seed}"
            print(f"{done}/{len(runs)} {what}: {word}", flush=True)
    return failed


def run_one(
    run: Run, words: list[str], setting: Setting, results: Path
) -> float | None:
    """Run one command and return its seconds; None, and a log, if it failed."""
    log = run.path(results).with_suffix(".log")
    start = time.perf_counter()
    done = run_logged("benchmarks.accuracy", words, log, setting.threads)
    return time.perf_counter() - start if done else None


if __name__ == "__main__":
    sys.exit(main())
