"""The results of finished runs, and the figures made of them."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev
from typing import Any, Self

import numpy as np
from scipy.stats import wilcoxon

Scores = dict[str, dict[str, dict[str, float | None]]]
"""By test scan and class: ``dice`` and ``hd95``, None where there is no value, and
``diagonal``, the longest distance that the scan has room for."""

Place = tuple[str, int]
"""A test scan, and the seed of the run that labelled it."""


@dataclass(frozen=True)
class Run:
    """What is run: names of the data set and the network, and a seed."""

    data_set: str
    network: str
    seed: int

    def path(self, results: Path) -> Path:
        """Return where the result goes."""
        return results / self.data_set / f"{self.network}_{self.seed}.json"


@dataclass(frozen=True)
class Result:
    """What one run found.

    Attributes
    ----------
    data_set, network, seed
        What was run.
    title, is_ours
        Of the network.
    way
        How the test scans were labelled, see `benchmarks.accuracy.task.Way`.
    setting
        What was spent on it.
    budget
        What that makes on this data set: `TrainingConfig`, before a variant of ours
        changes its part.
    parameters
        Of the network.
    training, inference
        Seconds and bytes of both; a run is trained once for all ways.
    scores
        On the test scans.
    machine
        Where it was run.
    """

    data_set: str
    network: str
    seed: int
    title: str
    is_ours: bool
    way: str
    setting: dict[str, Any]
    budget: dict[str, Any]
    parameters: int
    training: dict[str, float]
    inference: dict[str, float]
    scores: Scores
    machine: dict[str, Any]

    @classmethod
    def load(cls, path: Path) -> list[Self]:
        """Read what a run wrote: a result for every way to label.

        Raises
        ------
        ValueError
            If an earlier version wrote it.
        """
        values = json.loads(path.read_text())
        ways = values.pop("ways", None)
        if ways is None:
            raise ValueError(
                f"results must say how scans were labelled, got {path} of an earlier "
                "version; remove it"
            )
        return [cls(**values, way=way, **found) for way, found in ways.items()]

    def dice(self, name: str) -> float:
        """Return the mean Dice of a class over the test scans that hold it."""
        return fmean(self._values("dice", name))

    def hd95(self, name: str) -> float:
        """Return the mean HD95 of a class; if it was not found, the scan's diagonal.

        To leave such scans out would reward a network for finding nothing.
        """
        return fmean(
            scan[name]["diagonal"] if scan[name]["hd95"] is None else scan[name]["hd95"]
            for scan in self.scores.values()
            if scan[name]["dice"] is not None
        )

    def mean_dice(self, classes: Iterable[str]) -> float:
        """Return the mean over classes of their Dice."""
        return fmean(map(self.dice, classes))

    def dice_of_scans(self, classes: Sequence[str]) -> dict[Place, float]:
        """Return the mean Dice of the classes of each test scan."""
        return {
            (name, self.seed): fmean(
                scan[each]["dice"] for each in classes if scan[each]["dice"] is not None
            )
            for name, scan in self.scores.items()
        }

    def _values(self, measure: str, name: str) -> list[float]:
        values = (scan[name][measure] for scan in self.scores.values())
        return [value for value in values if value is not None]


def load_all(folder: Path) -> list[Result]:
    """Return all results in a folder.

    Raises
    ------
    ValueError
        If there are none, or not all were run with the same setting, and those of a
        data set with the same budget.
    """
    paths = sorted(folder.glob("*/*.json"))
    results = [result for path in paths for result in Result.load(path)]
    if not results:
        raise ValueError(f"a folder must hold results, got none in {folder}")
    _require_one({_without(r.setting, "networks", "seeds") for r in results}, folder)
    for name in {result.data_set for result in results}:
        of_it = [result for result in results if result.data_set == name]
        _require_one({_without(r.budget, "seed", "device") for r in of_it}, folder)
    return results


def _require_one(spent: set[str], folder: Path) -> None:
    if len(spent) > 1:
        raise ValueError(
            f"results must be of one setting to be compared, got {len(spent)} in "
            f"{folder}; remove the older ones"
        )


def _without(values: dict[str, Any], *names: str) -> str:
    """Return what must be alike in results to be compared."""
    parts = {name: value for name, value in values.items() if name not in names}
    return json.dumps(parts, sort_keys=True)


def spread(values: Sequence[float]) -> tuple[float, float | None]:
    """Return mean and standard deviation; None for that of a single value."""
    return fmean(values), stdev(values) if len(values) > 1 else None


def significance(ours: dict[Place, float], theirs: dict[Place, float]) -> float | None:
    """Return p of the paired Wilcoxon test over test scans and seeds, two-sided.

    None if they share no scan. Scans are labelled once by every seed, so the pairs are
    not independent and differences look more certain than they are. Nor is p corrected
    for the number of networks. Both make it harder to pass as "not worse".
    """
    shared = sorted(ours.keys() & theirs.keys())
    differences = np.array([ours[place] - theirs[place] for place in shared])
    if not len(differences):
        return None
    return float(wilcoxon(differences).pvalue) if differences.any() else 1.0
