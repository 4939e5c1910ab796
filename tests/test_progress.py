from napari_meunet.progress import Pace, Progress


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
