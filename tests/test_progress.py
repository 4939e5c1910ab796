import pytest

from napari_meunet import progress
from napari_meunet.progress import Pace, Progress, now_and_then, returned


def test_the_time_left_counts_only_work_of_this_run():
    pace = Pace()
    assert pace.seconds_left(Progress(50, 100, "planes"), now=0.0) is None
    assert pace.seconds_left(Progress(60, 100, "planes"), now=5.0) == 20.0
    assert pace.seconds_left(Progress(100, 100, "planes"), now=30.0) == 0.0


def test_a_second_part_of_the_work_has_its_own_pace():
    pace = Pace()
    pace.seconds_left(Progress(0, 100, "steps"), now=0.0)
    pace.seconds_left(Progress(100, 100, "steps"), now=1000.0)
    assert pace.seconds_left(Progress(0, 100, "steps"), now=1001.0) is None
    assert pace.seconds_left(Progress(20, 100, "steps"), now=1011.0) == 40.0


def counting(n):
    for done in range(1, n + 1):
        yield Progress(done, n, "planes")
    return "all"


def test_work_can_be_done_in_one_go():
    assert returned(counting(3)) == "all"


@pytest.mark.parametrize(("seconds", "told"), [(0.0, [1, 2, 3]), (1000.0, [])])
def test_one_step_a_second_is_passed_on(monkeypatch, seconds, told):
    def steps():
        found.append((yield from now_and_then(counting(3))))

    monkeypatch.setattr(progress, "SECONDS_BETWEEN_STEPS", seconds)
    found = []
    assert [step.done for step in steps()] == told
    assert found == ["all"]
