import csv
import os
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from napari_meunet.errors import MeUNetError
from napari_meunet.progress import Progress
from napari_meunet.training.log import (
    COLUMNS,
    logged_to_csv,
    logged_to_tensorboard,
    read_log,
)

FULL = Path("/dev/full")


def steps(first, last):
    for done in range(first, last + 1):
        metrics = {"loss": 1 / done} | ({"Dice gut": 0.5} if done == 2 else {})
        yield Progress(done, 4, "steps", "stage 1", metrics)


def rows(path):
    with path.open(newline="") as file:
        return list(csv.reader(file))


def test_every_figure_gets_a_row_and_the_steps_pass(tmp_path):
    path = tmp_path / "log.csv"
    passed = list(logged_to_csv(steps(1, 2), path, append=False))
    assert passed == list(steps(1, 2))
    assert rows(path) == [
        list(COLUMNS),
        ["stage 1", "1", "loss", "1"],
        ["stage 1", "2", "loss", "0.5"],
        ["stage 1", "2", "Dice gut", "0.5"],
    ]


def test_a_training_that_goes_on_appends_and_a_new_one_does_not(tmp_path):
    path = tmp_path / "log.csv"
    list(logged_to_csv(steps(1, 2), path, append=True))
    list(logged_to_csv(steps(3, 4), path, append=True))
    assert [row[1] for row in rows(path)] == ["step", "1", "2", "2", "3", "4"]
    list(logged_to_csv(steps(1, 1), path, append=False))
    assert len(rows(path)) == 2


@pytest.mark.parametrize("n_lost", range(1, 17))
def test_a_row_that_was_cut_off_is_left_out_and_its_step_written_again(
    tmp_path, n_lost
):
    path = tmp_path / "log.csv"
    list(logged_to_csv(steps(3, 4), path, append=False))
    path.write_bytes(path.read_bytes()[:-n_lost])
    assert read_log(path) == [("stage 1", 3, "loss", pytest.approx(1 / 3))]
    list(logged_to_csv(steps(4, 4), path, append=True))
    assert read_log(path)[1:] == [("stage 1", 4, "loss", 0.25)]


def test_a_log_that_lost_everything_gets_its_header_again(tmp_path):
    path = tmp_path / "log.csv"
    path.touch()
    list(logged_to_csv(steps(4, 4), path, append=True))
    assert read_log(path) == [("stage 1", 4, "loss", 0.25)]


@pytest.mark.skipif(not FULL.exists(), reason="a disk that is full is Linux's own")
def test_a_full_disk_is_one_clear_error_and_closes_the_training():
    closed = []

    def training():
        try:
            yield from steps(1, 4)
        finally:
            closed.append(True)

    log = logged_to_csv(training(), FULL, append=False)
    with pytest.raises(MeUNetError, match="must be writable, got No space left"):
        list(log)
    assert closed


def test_closing_the_log_closes_the_training(tmp_path):
    training = steps(1, 4)
    with closing(logged_to_csv(training, tmp_path / "a.csv", append=False)) as logged:
        next(logged)
    assert training.gi_frame is None
    assert len(rows(tmp_path / "a.csv")) == 2


def test_tensorboard_gets_the_figures(tmp_path):
    list(logged_to_tensorboard(steps(1, 3), tmp_path))
    events = EventAccumulator(str(tmp_path))
    events.Reload()
    found = [(e.step, e.value) for e in events.Scalars("stage 1/loss")]
    assert found == [(1, 1.0), (2, 0.5), (3, pytest.approx(1 / 3))]


def test_a_folder_that_is_none_is_told_before_the_first_step(tmp_path):
    path = tmp_path / "file"
    path.touch()
    with pytest.raises(MeUNetError, match="file must be writable"):
        next(logged_to_tensorboard(steps(1, 3), path))


def test_names_of_any_script_are_written_whatever_the_system_uses(tmp_path):
    code = (
        "import sys; from pathlib import Path; "
        "from napari_meunet.progress import Progress; "
        "from napari_meunet.training.log import logged_to_csv, read_log; "
        "step = Progress(1, 1, 'steps', 'stage 1', {'Dice \\u8178': 0.5}); "
        "path = Path(sys.argv[1]); "
        "list(logged_to_csv((s for s in [step]), path, append=False)); "
        "assert read_log(path) == [('stage 1', 1, 'Dice \\u8178', 0.5)]"
    )
    ascii_only = {"PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "LC_ALL": "C"}
    subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "log.csv")],
        env=os.environ | ascii_only,
        check=True,
    )
