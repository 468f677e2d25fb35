"""Ctrl-C: once to stop after the step and keep everything, twice to stop at once."""

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import NoReturn

SHOW_CURSOR = "\x1b[?25h"
EXIT_CODE = 128 + signal.SIGINT


class Interrupted(KeyboardInterrupt):
    """Training stopped because a person asked for it; what it had reached is saved."""


class Interruption:
    """Whether training should stop after its step. Threads may share it.

    Args:
        advice: says what a person who stopped the program can do.

    Attributes:
        requested: set by Ctrl-C, or by whoever else wants training to stop.
    """

    def __init__(self, advice: Callable[[], str] = str) -> None:
        self.advice, self.requested = advice, False
        self._trains = False

    @contextlib.contextmanager
    def after_step(self) -> Iterator[None]:
        """Let a first Ctrl-C only set ``requested``, for training that looks at it after every step.

        Raises:
            Interrupted: it came too late for training to see.
        """
        self._trains = True
        try:
            yield
        finally:
            self._trains = False
        if self.requested:
            raise Interrupted

    def handle(self, number: int, frame: FrameType | None) -> None:
        """Take a Ctrl-C.

        Stopping at once corrupts nothing, for every file of a run is written whole. A ``KeyboardInterrupt`` would not
        do: raised in a callback of the garbage collector, it is printed and forgotten.
        """
        if not self._trains or self.requested:
            exit_interrupted(self.advice())
        self.requested = True
        _tell("keras-dnnts: stopping after this step (Ctrl-C again to stop at once)")


@contextlib.contextmanager
def interruptible(advice: Callable[[], str]) -> Iterator[Interruption]:
    """Handle Ctrl-C by an :class:`Interruption`, for a command line, which may end the process.

    Outside of the main thread, which alone gets signals, nothing changes.
    """
    interruption = Interruption(advice)
    if threading.current_thread() is not threading.main_thread():
        yield interruption
        return
    before = signal.signal(signal.SIGINT, interruption.handle)
    try:
        yield interruption
    finally:
        signal.signal(signal.SIGINT, before)


def exit_interrupted(advice: str) -> NoReturn:
    """End the process here and now."""
    _tell(f"keras-dnnts: interrupted{': ' if advice else ''}{advice}")
    # In a signal handler, flushing may meet itself.
    with contextlib.suppress(OSError, RuntimeError, ValueError):
        sys.stdout.flush()
        # A progress bar hides the cursor, and nobody will be there to show it again.
        if sys.stdout.isatty():
            os.write(sys.stdout.fileno(), SHOW_CURSOR.encode())
    os._exit(EXIT_CODE)


def _tell(line: str) -> None:
    # Not print: a signal may come in the middle of another one.
    with contextlib.suppress(OSError):
        os.write(2, f"{line}\n".encode())
