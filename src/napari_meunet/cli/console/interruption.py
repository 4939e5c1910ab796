"""Ctrl-C between two steps, so that what was done can be kept."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from types import FrameType

from napari_meunet.progress import Steps

SIGNALS = (signal.SIGINT, signal.SIGTERM)

SECONDS_OF_ONE_SIGNAL = 1.0
"""So long others are taken for the first: a terminal sends one to all processes of
`torchrun`, which sends another to those that it has begun."""

FINISHING = b"meunet: finishing this step; Ctrl-C a second later stops at once\n"

Handler = Callable[[int, FrameType | None], None]


def interrupted_between(steps: Steps) -> Steps:
    """Pass the steps on until Ctrl-C, which takes effect when the present one is done.

    While none is done, and more than a second after the first Ctrl-C, it takes effect
    at once. A signal that is ignored stays so. Steps that are done have metrics.

    Raises
    ------
    KeyboardInterrupt
        After the steps were closed.
    """
    any_done = False
    asked: float | None = None

    def ask(_: int, __: FrameType | None) -> None:
        nonlocal asked
        now = time.monotonic()
        if not any_done:
            raise KeyboardInterrupt
        if asked is None:
            asked = now
            # what the program itself is writing may not be interrupted by `remark`
            with suppress(OSError):
                os.write(2, FINISHING)
        elif now - asked > SECONDS_OF_ONE_SIGNAL:
            raise KeyboardInterrupt

    with closing(steps), _heeded(ask):
        for step in steps:
            any_done = any_done or bool(step.metrics)
            yield step
            if asked is not None:
                steps.close()
                break
    if asked is not None:
        raise KeyboardInterrupt


@contextmanager
def _heeded(handler: Handler) -> Iterator[None]:
    """Let a handler have the signals that are not ignored."""
    before = {each: signal.getsignal(each) for each in SIGNALS}
    heeded = [each for each in SIGNALS if before[each] not in (signal.SIG_IGN, None)]
    for each in heeded:
        signal.signal(each, handler)
    try:
        yield
    finally:
        for each in heeded:
            signal.signal(each, before[each])
