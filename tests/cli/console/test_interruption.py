"""Signals are raised in this process: the handlers are the ones under test."""

import signal

import pytest

from napari_meunet.cli.console import interruption
from napari_meunet.cli.console.interruption import interrupted_between
from napari_meunet.progress import Progress

N_STEPS = 4


class Training:
    """Steps that note which were taken, and whether their work was kept.

    Like those of a real training, they keep it when they are closed.
    """

    def __init__(self, signals):
        self.signals = signals
        self.taken, self.kept = [], False
        self.steps = self._steps()

    def _steps(self):
        try:
            yield Progress(0, N_STEPS, "steps", "the plan")
            for i in range(N_STEPS + 1):  # the last round is what follows the steps
                for number in self.signals.get(i, ()):
                    signal.raise_signal(number)
                if i < N_STEPS:
                    self.taken.append(i)
                    yield Progress(i + 1, N_STEPS, "steps", "", {"loss": 0.5})
        except GeneratorExit:
            self.kept = True
            raise


@pytest.fixture(autouse=True)
def default_handlers():
    before = {each: signal.getsignal(each) for each in interruption.SIGNALS}
    for each in before:
        signal.signal(each, signal.default_int_handler)
    yield
    for each, handler in before.items():
        assert signal.getsignal(each) is signal.default_int_handler
        signal.signal(each, handler)


@pytest.mark.parametrize("number", interruption.SIGNALS)
@pytest.mark.parametrize("asked_in", [1, 2, 3])
def test_the_step_under_way_is_finished_and_kept(number, asked_in):
    training = Training({asked_in: [number]})

    with pytest.raises(KeyboardInterrupt):
        list(interrupted_between(training.steps))

    assert training.taken == list(range(asked_in + 1))
    assert training.kept


@pytest.mark.parametrize("number", interruption.SIGNALS)
def test_while_no_step_is_done_none_is_waited_for(number):
    training = Training({0: [number]})

    with pytest.raises(KeyboardInterrupt):
        list(interrupted_between(training.steps))

    assert training.taken == []


def test_an_interruption_after_the_last_step_is_not_lost(capfd):
    training = Training({N_STEPS: [signal.SIGINT]})

    with pytest.raises(KeyboardInterrupt):
        list(interrupted_between(training.steps))

    assert len(training.taken) == N_STEPS
    assert "finishing this step" in capfd.readouterr().err


def test_signals_of_one_moment_are_one():
    training = Training({1: [signal.SIGINT, signal.SIGTERM, signal.SIGINT]})

    with pytest.raises(KeyboardInterrupt):
        list(interrupted_between(training.steps))

    assert training.taken == [0, 1]


def test_a_later_one_does_not_wait_for_the_step(monkeypatch):
    monkeypatch.setattr(interruption, "SECONDS_OF_ONE_SIGNAL", -1.0)
    training = Training({1: [signal.SIGINT, signal.SIGINT]})

    with pytest.raises(KeyboardInterrupt):
        list(interrupted_between(training.steps))

    assert training.taken == [0]


def test_a_consumer_that_leaves_closes_the_steps():
    training = Training({})
    steps = interrupted_between(training.steps)
    next(steps), next(steps)

    steps.close()

    assert training.kept


def test_ignored_signals_stay_ignored():
    training = Training({1: [signal.SIGTERM]})
    signal.signal(signal.SIGTERM, signal.SIG_IGN)

    list(interrupted_between(training.steps))

    assert len(training.taken) == N_STEPS
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
    signal.signal(signal.SIGTERM, signal.default_int_handler)
