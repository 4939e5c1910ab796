"""The guard around long work, trap by trap."""

import subprocess
import sys
import threading
import time

import pytest
from napari.utils.notifications import NotificationSeverity, notification_manager

from napari_meunet.errors import MeUNetError
from napari_meunet.plugin.jobs import YIELD_SECONDS, Ending, Job, Question
from napari_meunet.progress import Progress


def counting(n, seconds=0.0):
    for done in range(1, n + 1):
        time.sleep(seconds)
        yield Progress(done, n, "steps")


def run(job, qtbot):
    with qtbot.waitSignal(job.ended, timeout=10_000) as ended:
        job.start()
    return ended.args[0]


@pytest.fixture
def notifications(monkeypatch):
    """What was told to the person during the test."""
    told = []
    monkeypatch.setattr(notification_manager, "dispatch", told.append)
    return told


def test_the_last_progress_arrives_and_the_end_is_told(qtbot):
    job, seen = Job(counting(7)), []
    job.progressed.connect(seen.append)
    assert run(job, qtbot) is Ending.COMPLETE
    assert seen[-1] == Progress(7, 7, "steps")


def test_thousands_of_quick_steps_reach_the_window_a_few_times(qtbot):
    job, seen = Job(counting(20_000)), []
    job.progressed.connect(seen.append)
    assert run(job, qtbot) is Ending.COMPLETE
    assert seen[-1].done == 20_000
    assert len(seen) < 100


def test_a_runtime_error_is_told_with_a_remedy_and_the_job_ends(qtbot, notifications):
    def steps():
        yield Progress(0, 1, "steps")
        raise RuntimeError("CUDA out of memory")

    job, failures = Job(steps()), []
    job.failed.connect(failures.append)
    assert run(job, qtbot) is Ending.FAILED
    (notification,) = notifications
    assert notification.severity == NotificationSeverity.ERROR
    assert "CUDA out of memory" in notification.message
    assert "lower the memory budget" in notification.message
    assert not hasattr(notification, "exception")
    assert failures == [notification.message]


def test_a_mistake_of_the_user_comes_without_a_traceback(qtbot, notifications):
    def steps():
        yield Progress(0, 1, "steps")
        raise MeUNetError("rule, got value; remedy")

    assert run(Job(steps()), qtbot) is Ending.FAILED
    (notification,) = notifications
    assert notification.message == "rule, got value; remedy"
    assert not hasattr(notification, "exception")


def test_a_bug_comes_with_its_traceback(qtbot, notifications):
    def steps():
        yield Progress(0, 1, "steps")
        raise KeyError("oops")

    assert run(Job(steps()), qtbot) is Ending.FAILED
    (notification,) = notifications
    assert isinstance(notification.exception, KeyError)


def test_cancelling_closes_the_steps_in_their_own_thread(qtbot, notifications):
    closed_in = []

    def steps():
        try:
            yield from counting(10_000, seconds=0.01)
        finally:
            closed_in.append(threading.current_thread())

    job = Job(steps())
    job.progressed.connect(lambda _: job.cancel())
    assert run(job, qtbot) is Ending.CANCELLED
    assert len(closed_in) == 1
    assert closed_in[0] is not threading.main_thread()
    assert notifications == []


def test_an_error_after_cancelling_is_not_told(qtbot, notifications):
    begun, go_on = threading.Event(), threading.Event()

    def steps():
        yield Progress(0, 1, "steps")
        begun.set()
        go_on.wait(10)
        raise MeUNetError("the labels folder is closed")

    job = Job(steps())
    job.start()
    assert begun.wait(10)
    job.cancel()
    with qtbot.waitSignal(job.ended, timeout=10_000) as ended:
        go_on.set()
    assert ended.args == [Ending.CANCELLED]
    assert notifications == []
    assert job.late_error == "the labels folder is closed"


def test_a_paused_job_stands_still_and_goes_on_to_the_end(qtbot):
    enough = threading.Event()

    def steps():
        done = 0
        while not enough.wait(YIELD_SECONDS / 10):
            done += 1
            yield Progress(done, done, "steps")

    job, seen = Job(steps()), []
    job.progressed.connect(seen.append)
    job.start()
    qtbot.waitUntil(lambda: bool(seen), timeout=10_000)
    with qtbot.waitSignal(job.paused, timeout=10_000) as paused:
        job.pause()
    assert paused.args == [True]
    qtbot.wait(300)
    at_rest = seen[-1].done
    qtbot.wait(300)
    assert seen[-1].done == at_rest
    job.resume()
    qtbot.waitUntil(lambda: seen[-1].done > at_rest, timeout=10_000)
    with qtbot.waitSignal(job.ended, timeout=10_000) as ended:
        enough.set()
    assert ended.args == [Ending.COMPLETE]


def test_only_the_last_question_is_answered(qtbot):
    question, answers, first = Question(), [], threading.Event()
    question.answered.connect(answers.append)
    question.ask(lambda: first.wait(5) and "old")
    with qtbot.waitSignal(question.answered, timeout=5000):
        question.ask(lambda a, b: a + b, "n", "ew")
    first.set()
    qtbot.wait(100)
    assert answers == ["new"]
    assert not question.open


def test_a_failed_question_says_why(qtbot):
    def function():
        raise RuntimeError("no device")

    question = Question()
    with qtbot.waitSignal(question.failed, timeout=5000) as failed:
        question.ask(function)
    assert isinstance(failed.args[0], RuntimeError)


ENDING_SCRIPT = """
import time
from qtpy.QtWidgets import QApplication
from napari_meunet.plugin.jobs import Job, Question
from napari_meunet.progress import Progress

def steps():
    for done in range(600):
        time.sleep(0.05)
        yield Progress(done, 600, "steps")

app = QApplication([])
question, job = Question(), Job(steps())
question.ask(time.sleep, 1)
job.start()
"""


def test_a_script_may_end_while_work_is_under_way():
    command = [sys.executable, "-c", ENDING_SCRIPT]
    subprocess.run(command, check=True, timeout=25)
