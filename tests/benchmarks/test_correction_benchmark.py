"""The simulated people of the benchmark of corrections."""

import json

import numpy as np
import pytest

from benchmarks.correction.annotators import (
    TARGET,
    Desk,
    course_of,
    mean_dice,
    through_places,
    through_planes,
    through_samples,
)
from benchmarks.correction.report import write_report
from napari_meunet.labels.box import box_at
from napari_meunet.labels.store import LabelStore
from napari_meunet.training.phantoms.phantom import CLASSES
from napari_meunet.volume.volume import Volume

SHAPE = (64, 32, 64)  # 2 x 1 x 2 places


@pytest.fixture
def truth():
    labels = np.zeros(SHAPE, np.uint8)
    labels[10:50, 8:24, 8:30] = 1
    labels[10:50, 8:24, 34:60] = 2
    return labels


@pytest.fixture
def desk(tmp_path, truth):
    """Return labels that are wrong in two places, above all in the last."""
    found = truth.copy()
    found[36:50, 8:24, 34:60] = 0
    found[12:14, 8:24, 8:30] = 0
    volume = Volume.from_array(np.zeros(SHAPE, np.uint8))
    with LabelStore.create(tmp_path / "labels", volume, CLASSES) as store:
        store.write((0, 0, 0), found)
        confidence = np.full((16, 8, 16), 255, np.uint8)
        confidence[2, 0, 2], confidence[14, 4, 12] = 200, 100
        store.write_confidence((0, 0, 0), confidence)
        yield Desk(volume, store, truth)


def test_what_a_person_sets_is_what_was_wrong(desk, truth):
    wrong = np.count_nonzero(desk.store.labels != truth)
    desk.look_at(box_at((0, 0, 0), (13, 32, 64)))
    assert (desk.effort.looked_at, desk.effort.corrected) == (13 * 32 * 64, 16 * 22)
    desk.look_at(box_at((0, 0, 0), SHAPE))
    assert desk.effort.corrected == wrong
    assert desk.effort.dice == 1
    np.testing.assert_array_equal(desk.store.labels, truth)


def test_both_ways_end_where_a_person_is_content(desk, truth):
    first = mean_dice(desk.store.labels, truth)
    assert first < TARGET
    places = course_of(through_places(desk))
    (effort,) = places["efforts"]  # the other place has little that is wrong
    assert effort["corrected"] == 14 * 16 * 26
    assert effort["looked_at"] == 32**3
    assert effort["dice"] >= TARGET
    assert 0.97 < desk.dice_of_the_rest() < 1
    np.testing.assert_array_equal(np.argwhere(desk.store.reviewed.places), [[1, 0, 1]])


def test_a_few_planes_of_the_first_places_are_kept(desk, truth):
    first = mean_dice(desk.store.labels, truth)
    efforts = course_of(through_samples(desk, 1, first=4))["efforts"]
    assert [effort["looked_at"] for effort in efforts] == [2 * 32 * 32]
    assert efforts[0]["corrected"] == 16 * 26  # plane 36; plane 52 is right
    assert efforts[0]["dice"] > first
    kept = desk.store.corrected.read(box_at((0, 0, 0), SHAPE))
    expected = np.zeros(SHAPE, bool)
    expected[36::16, :, 32:] = True
    np.testing.assert_array_equal(kept, expected)
    assert not desk.store.reviewed.places.any()


def test_planes_are_looked_at_in_turn(desk):
    efforts = course_of(through_planes(desk))["efforts"]
    looked_at = [effort["looked_at"] for effort in efforts]
    assert looked_at == [32 * 64 * (z + 1) for z in range(len(efforts))]
    assert efforts[-1]["dice"] >= TARGET > efforts[-2]["dice"]


def test_the_table_sets_the_ways_beside_plane_by_plane(tmp_path):
    def way(corrected):
        return {
            "efforts": [{"looked_at": 9000, "corrected": corrected, "dice": 0.971}],
            "lessons": [],
        }

    lesson = {
        "at": {"looked_at": 4000, "corrected": 250, "dice": 0.9},
        "kept": True,
        "halfway": False,
        "rest_before": 0.8,
        "rest_after": 0.9,
    }
    result = {
        "seed": 5,
        "shape": SHAPE,
        "model": "a model",
        "steps": 150,
        "lessons_asked": 1,
        "share": 0.05,
        "apart": 16,
        "dice_at_first": 0.8,
        "planes": way(2000),
        "places": way(1900),
        "lessons": {
            **way(700),
            "lessons": [
                lesson,
                {**lesson, "halfway": True},
                {**lesson, "kept": False, "halfway": True},
            ],
        },
    }
    (tmp_path / "5.json").write_text(json.dumps(result))
    write_report(tmp_path, {"device": "a processor"})
    text = (tmp_path / "table.md").read_text()
    assert "Phantoms of 64 x 32 x 64 voxels, the model a model" in text
    assert "every 16th plane of 5% of the places" in text
    assert "| 5 | the review queue | 0.800 | 0.971 | 1,900 | 0.95 | 9,000 |" in text
    assert "and a model that learns | 0.800 | 0.971 | 700 | 0.35 | 9,000 |" in text
    for kept in ("yes", "halfway", "no"):
        assert f"| 5 | 4,000 | 250 | {kept} | 0.800 | 0.900 |" in text
    assert (tmp_path / "figure.png").stat().st_size > 1000
    (tmp_path / "6.json").write_text(json.dumps(result | {"seed": 6, "steps": 300}))
    with pytest.raises(ValueError, match="must be of one setting to be compared, got"):
        write_report(tmp_path, {})
