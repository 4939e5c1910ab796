from napari_meunet.progress import Pace, Progress


def test_the_time_left_counts_only_work_of_this_run():
    pace = Pace()
    assert pace.seconds_left(Progress(50, 100, "planes"), now=0.0) is None
    assert pace.seconds_left(Progress(60, 100, "planes"), now=5.0) == 20.0
    assert pace.seconds_left(Progress(100, 100, "planes"), now=30.0) == 0.0
