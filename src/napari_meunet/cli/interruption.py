"""Ctrl-C between two steps, so that what was done can be kept."""

import os
import signal
from contextlib import closing, suppress
from types import FrameType

from napari_meunet.progress import Steps

SIGNALS = (signal.SIGINT, signal.SIGTERM)


def interrupted_between(steps: Steps) -> Steps:
    """Pass the steps on until Ctrl-C, which takes effect when the present one is done.

    A second one takes effect at once. A signal that is ignored stays so.

    Raises
    ------
    KeyboardInterrupt
        After the steps were closed.
    """
    asked = False

    def ask(_: int, __: FrameType | None) -> None:
        nonlocal asked
        if asked:
            raise KeyboardInterrupt
        asked = True
        # what the program itself is writing may not be interrupted by `remark`
        with suppress(OSError):
            os.write(2, b"meunet: finishing this step; Ctrl-C again stops at once\n")

    before = {each: signal.getsignal(each) for each in SIGNALS}
    heeded = [each for each in SIGNALS if before[each] not in (signal.SIG_IGN, None)]
    for each in heeded:
        signal.signal(each, ask)
    try:
        with closing(steps):
            for step in steps:
                yield step
                if asked:
                    raise KeyboardInterrupt
    finally:
        for each in heeded:
            signal.signal(each, before[each])
