"""Ctrl-C between two steps, so that what was done can be kept."""

import signal
from contextlib import closing
from types import FrameType

from napari_meunet.cli.terminal import remark
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
        remark("finishing this step; Ctrl-C again stops at once")

    before = {each: signal.getsignal(each) for each in SIGNALS}
    heeded = [each for each in SIGNALS if before[each] != signal.SIG_IGN]
    for each in heeded:
        signal.signal(each, ask)
    try:
        with closing(steps):
            for step in steps:
                if asked:
                    raise KeyboardInterrupt
                yield step
    finally:
        for each in heeded:
            signal.signal(each, before[each])
