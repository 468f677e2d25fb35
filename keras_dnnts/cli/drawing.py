"""A second process that draws half of a run's figures: it begins before an engine does, and imports meanwhile."""

import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from keras_dnnts.config import BACKENDS
from keras_dnnts.results import load_result


class Drawer:
    """A process that waits until there is something to draw; where none can be forked, drawing goes on without it.

    It must start before an engine does, whose threads a forked process would lack.
    """

    def __init__(self) -> None:
        self._connection: Connection | None = None
        if not _may_fork():
            return
        context = multiprocessing.get_context("fork")
        own, other = context.Pipe()
        with suppress(OSError):  # no memory or too many processes
            context.Process(target=_serve, args=(own, other), daemon=True).start()
            self._connection = own
        other.close()

    def draw(self, run: Path, folder: Path, names: Sequence[str]) -> Callable[[], Any]:
        """Begin to draw figures of a finished run by their names; what is returned waits for the outcome.

        The outcome is that of :func:`keras_dnnts.figures.draw_figures`, or None where nothing came of it.
        """
        with suppress(OSError):
            if self._connection is not None:
                self._connection.send((run, folder, list(names)))
        return self._wait

    @property
    def is_there(self) -> bool:
        """Whether there is such a process."""
        return self._connection is not None

    def _wait(self) -> Any:
        try:
            return None if self._connection is None else self._connection.recv()
        except (EOFError, OSError):
            return None


def _may_fork() -> bool:
    return (
        sys.platform == "linux"
        and len(os.sched_getaffinity(0)) > 1
        and not any(engine in sys.modules for engine in BACKENDS)
    )


def _serve(parents: Connection, own: Connection) -> None:
    parents.close()  # or it would never be told that the parent has ended
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # that is the parent's to answer
    with suppress(Exception):
        from keras_dnnts.figures import draw_figures

        run, folder, names = own.recv()
        own.send(draw_figures(load_result(run), names, folder))
