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
ERASE_LINE, ERASE_LINE_ABOVE = "\r\x1b[2K", "\x1b[1A\x1b[2K"
EXIT_CODE = 128 + signal.SIGINT


class Interrupted(KeyboardInterrupt):
    """Training stopped because a person asked for it; what it had reached is saved."""


class Interruption:
    """Whether training should stop after its step. Threads may share it.

    Args:
        advice: says what a person who stopped the program can do.

    Attributes:
        requested: set by Ctrl-C, or by whoever else wants training to stop.
        rows: number of the terminal's lines that progress takes at this moment.
    """

    def __init__(self, advice: Callable[[], str] = str) -> None:
        self.advice, self.requested = advice, False
        self.rows: Callable[[], int] = int
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
            exit_interrupted(self.advice(), self.rows())
        self.requested = True
        _tell("keras-dnnts: stopping after this step (Ctrl-C again to stop at once)", self.rows(), goes_on=True)


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


def exit_interrupted(advice: str, rows: int = 0) -> NoReturn:
    """End the process here and now; ``rows`` lines of progress stand on the terminal."""
    _tell(f"keras-dnnts: interrupted{': ' if advice else ''}{advice}", rows)
    # In a signal handler, flushing may meet itself.
    with contextlib.suppress(OSError, RuntimeError, ValueError):
        sys.stdout.flush()
        # A progress bar hides the cursor, and nobody will be there to show it again.
        if sys.stdout.isatty():
            os.write(sys.stdout.fileno(), SHOW_CURSOR.encode())
    os._exit(EXIT_CODE)


def _tell(line: str, rows: int = 0, goes_on: bool = False) -> None:
    """Print a line in the place of the bars; where these go on, they are drawn anew below it."""
    text = f"{line}\n"
    with contextlib.suppress(OSError):
        if rows and os.isatty(2):
            below = "\n" * (rows - 1) if goes_on else ""
            text = f"{ERASE_LINE}{ERASE_LINE_ABOVE * (rows - 1)}{text}{below}"
        # Not print: a signal may come in the middle of another one.
        os.write(2, text.encode())
