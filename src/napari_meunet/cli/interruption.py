"""Ctrl-C between two steps, so that what was done can be kept."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from itertools import islice
from types import FrameType

from napari_meunet.progress import Steps

SIGNALS = (signal.SIGINT, signal.SIGTERM)

SAME = 1.0
"""Seconds in which further signals are taken for the first: a terminal sends one to
all processes of `torchrun`, which sends another to those that it has begun."""

FINISHING = b"meunet: finishing this step; Ctrl-C again stops at once\n"

Handler = Callable[[int, FrameType | None], None]


def interrupted_between(steps: Steps) -> Steps:
    """Pass the steps on until Ctrl-C, which takes effect when the present one is done.

    Before the first step, and more than a second after the first Ctrl-C, it takes
    effect at once. A signal that is ignored stays so.

    Raises
    ------
    KeyboardInterrupt
        After the steps were closed.
    """
    asked: float | None = None

    def ask(_: int, __: FrameType | None) -> None:
        nonlocal asked
        if asked is None:
            asked = time.monotonic()
            # what the program itself is writing may not be interrupted by `remark`
            with suppress(OSError):
                os.write(
                    2, b"meunet: finishing this step; Ctrl-C again stops at once\n"
                )
        elif time.monotonic() - asked > SAME:
            raise KeyboardInterrupt

    with closing(steps):
        yield from islice(steps, 1)
        with _heeded(ask):
            for step in steps:
                yield step
                if asked is not None:
                    steps.close()
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
