"""Ctrl-C: once to stop after the step and keep everything, twice to stop at once."""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SHOW_CURSOR = "\x1b[?25h"
EXIT_CODE = 128 + signal.SIGINT


class Interrupted(KeyboardInterrupt):
    """Training stopped because a person asked for it; what it had reached is saved."""


class Interruption:
    """Whether training should stop after its step. Shared between threads.

    Attributes:
        requested: set by Ctrl-C, or by whoever else wants training to stop.
    """

    def __init__(self) -> None:
        self.requested = False


@contextmanager
def gentle_interruption() -> Iterator[Interruption]:
    """Let the first Ctrl-C only set ``requested``, and the second end the process there and then.

    Ending it at once corrupts nothing, for every file of a run is written whole. Outside of the main thread, which
    alone gets signals, nothing changes.
    """
    interruption = Interruption()
    if threading.current_thread() is not threading.main_thread():
        yield interruption
        return

    def interrupt(number: int, frame: FrameType | None) -> None:
        if interruption.requested:
            _stop_now()
        interruption.requested = True
        print("keras-dnnts: stopping after this step (Ctrl-C again to stop at once)", file=sys.stderr)

    before = signal.signal(signal.SIGINT, interrupt)
    try:
        yield interruption
    finally:
        signal.signal(signal.SIGINT, before)


def _stop_now() -> None:
    # A progress bar hides the cursor, and nobody will be there to show it again.
    if sys.stdout.isatty():
        os.write(sys.stdout.fileno(), SHOW_CURSOR.encode())
    os._exit(EXIT_CODE)
