import json

import pytest

from benchmarks.accuracy.report import (
    block,
    claims,
    figure,
    hours,
    table_of,
    write_report,
)
from benchmarks.accuracy.results import Result, load_all, significance

CLASSES = ("yarn A", "yarn B")
PLACES = [(f"scan {i}", seed) for i in range(4) for seed in range(2)]


def score(dice, hd95=2.0):
    return {"dice": dice, "hd95": hd95, "diagonal": 100.0}


def cost(seconds, gibibytes):
    """Other programs took a fifth of the time on the clock."""
    computing = 0.8 * seconds
    n_bytes = gibibytes * 2**30
    return {"seconds": seconds, "cpu_seconds": computing, "n_bytes": n_bytes}


def result(network="post", seed=0, dice=(0.8, 0.6), gibibytes=1.0, **changes):
    scan = {name: score(value) for name, value in zip(CLASSES, dice, strict=True)}
    values = {
        "data_set": "weave",
        "network": network,
        "seed": seed,
        "title": network,
        "is_ours": network == "post",
        "way": "windows",
        "budget": {},
        "setting": {
            "name": "small",
            "n_patches": 8,
            "patches_a_step": {"weave": 2},
            "patch_size": 64,
            "threads": 1,
            "jobs": 2,
            "seeds": [0, 1],
            "networks": [],
        },
        "parameters": 1_500_000,
        "training": cost(60.0, gibibytes),
        "inference": cost(4.0, 1),
        "scores": {f"scan {i}": scan for i in range(4)},
        "machine": {"device": "a", "torch": "b", "monai": "c", "python": "d"},
    }
    return Result(**values | changes)


def write(results, folder):
    for each in results:
        path = folder / each.data_set / f"{each.network}_{each.seed}.json"
        path.parent.mkdir(exist_ok=True)
        values = dict(vars(each))
        way = {name: values.pop(name) for name in ("inference", "scores")}
        ways = json.loads(path.read_text())["ways"] if path.exists() else {}
        values["ways"] = ways | {values.pop("way"): way}
        path.write_text(json.dumps(values))


def test_the_mean_dice_is_over_scans_and_classes():
    scores = {
        "one": {"yarn A": score(0.5), "yarn B": score(0.2)},
        "two": {"yarn A": score(0.7), "yarn B": score(0.4)},
    }

    found = result(scores=scores, seed=3)

    assert found.dice("yarn A") == pytest.approx(0.6)
    assert found.mean_dice(CLASSES) == pytest.approx(0.45)
    assert found.dice_of_scans(CLASSES) == {
        ("one", 3): pytest.approx(0.35),
        ("two", 3): pytest.approx(0.55),
    }


def test_a_class_that_was_not_found_is_as_far_as_the_scan_is_long():
    scores = {
        "one": {"yarn A": score(0.5, 20.0), "yarn B": score(0.5)},
        "two": {"yarn A": score(0.0, None), "yarn B": score(0.5)},
    }

    assert result(scores=scores).hd95("yarn A") == (20 + 100) / 2


def test_a_class_that_a_scan_does_not_hold_does_not_count_there():
    scores = {
        "one": {"yarn A": score(0.5, 20.0), "yarn B": score(0.5)},
        "two": {"yarn A": score(None, None), "yarn B": score(0.1)},
    }
    found = result(scores=scores)

    assert found.dice("yarn A") == 0.5
    assert found.hd95("yarn A") == 20
    assert found.dice_of_scans(CLASSES)["two", 0] == 0.1


def test_eight_pairs_that_all_differ_one_way_have_the_least_p_of_the_exact_test():
    ours = {place: 0.5 + 0.01 * i for i, place in enumerate(PLACES)}
    theirs = dict.fromkeys(PLACES, 0.4)

    assert significance(ours, theirs) == pytest.approx(2 / 2**8)
    assert significance(theirs, ours) == pytest.approx(2 / 2**8)


def test_only_the_scans_and_seeds_that_both_have_are_compared():
    ours = {("one", 0): 0.5, ("one", 1): 0.5}

    assert significance(ours, {("one", 1): 0.5, ("two", 0): 0.1}) == 1
    assert significance(ours, {("two", 0): 0.1}) is None


def test_mean_and_spread_are_over_seeds():
    rows = table_of([result(seed=0, dice=(0.8, 0.6)), result(seed=1, dice=(0.9, 0.7))])[
        "weave"
    ]

    mean, deviation = rows[0].dice
    assert mean == pytest.approx(0.75)
    assert deviation == pytest.approx(0.1 / 2**0.5)
    assert figure((mean, deviation), 3) == "0.750 ± 0.071"
    assert figure((mean, None), 2) == "0.75"


def test_the_claims_name_the_winner_and_the_memory():
    results = [
        result("post", seed, dice=(0.6, 0.6), gibibytes=0.5) for seed in range(2)
    ] + [result("dynunet", seed, dice=(0.7, 0.7), gibibytes=2) for seed in range(2)]

    accuracy, memory = claims(table_of(results))

    assert "post is 0.100 below dynunet" in accuracy
    assert "significantly worse (p = 0.0078, not corrected)" in accuracy
    assert "not significantly" not in accuracy
    assert "takes 0.25 times the training memory of dynunet" in memory


def test_streamed_labels_have_a_row_and_are_not_compared(tmp_path):
    windows, reference = result(dice=(0.5, 0.5)), result("dynunet", dice=(0.6, 0.6))
    write([windows, result(way="streamed", dice=(0.7, 0.7)), reference], tmp_path)

    results = load_all(tmp_path)
    table = table_of(results)

    assert [row.title for row in table["weave"]] == [
        "post",
        "post, streamed",
        "dynunet",
    ]
    assert "post is 0.100 below dynunet" in next(claims(table))
    rows = list(block(table["weave"]))[2:]
    given = [row.split("|")[3].strip() for row in rows]
    assert [bool(p) for p in given] == [False, False, True]
    seconds = 2 * 60 + 3 * 4  # trained twice, labelled three times
    assert hours(results) == pytest.approx(seconds / 3600 / 2)


def test_results_of_different_budgets_are_not_mixed(tmp_path):
    other = result("dynunet")
    other.setting["n_patches"] = 500
    write([result(), other], tmp_path)

    with pytest.raises(ValueError, match="one setting"):
        load_all(tmp_path)


def test_results_that_were_turned_otherwise_are_not_mixed(tmp_path):
    turned, other = result(budget={"turn": "any", "seed": 0}), result("dynunet")
    alike = result("vnet", seed=1, budget={"turn": "any", "seed": 1})
    elsewhere = result(data_set="phantoms", budget={"turn": "none"})
    write([turned, alike, elsewhere], tmp_path)
    assert len(load_all(tmp_path)) == 3
    other.budget["turn"] = "none"
    write([other], tmp_path)

    with pytest.raises(ValueError, match="one setting"):
        load_all(tmp_path)


def test_results_of_an_earlier_version_are_refused(tmp_path):
    write([result()], tmp_path)
    (path,) = tmp_path.glob("*/*.json")
    values = json.loads(path.read_text())
    values |= values.pop("ways")["windows"]
    path.write_text(json.dumps(values))

    with pytest.raises(ValueError, match="remove it"):
        load_all(tmp_path)


def test_a_folder_without_results_is_refused(tmp_path):
    with pytest.raises(ValueError, match="none"):
        load_all(tmp_path)


def test_the_report_is_a_table_and_a_figure(tmp_path):
    write([result(), result("dynunet", dice=(0.5, 0.5), gibibytes=4)], tmp_path)

    greys = {"weave": {"yarn A": 0.4, "yarn B": 0.25}}
    (tmp_path / "intensity.json").write_text(json.dumps(greys))

    write_report(tmp_path)

    table = (tmp_path / "table.md").read_text().splitlines()
    assert "| post | 0.700 |  | 0.800 | 0.600 | 2.0 | 2.0 | 1.50 | 1.00 | 48 |" in next(
        line for line in table if line.startswith("| post")
    )
    assert "2 patch(es) a step." in table
    assert any(line.endswith("yarn A 0.400, yarn B 0.250.") for line in table)
    assert (tmp_path / "figure.png").read_bytes().startswith(b"\x89PNG")
