"""Other processes that draw a run's figures: they begin before an engine does, and import meanwhile."""

import logging
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import partial
from importlib import import_module
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from keras_dnnts.config import BACKENDS
from keras_dnnts.results import Result, load_result
from keras_dnnts.running.run_directory import FIGURES

logger = logging.getLogger("keras_dnnts")


class Drawers:
    """Processes that wait until there is something to draw; where none can be forked, drawing goes on without them.

    They must start before an engine does, whose threads a forked process would lack.

    Args:
        draw_all: whether two of them draw everything, so that this process need not import what draws, which takes
            longer than a baseline's whole training; otherwise one of them draws half.

    Attributes:
        leave_a_share: whether this process has figures to draw itself.
    """

    def __init__(self, draw_all: bool) -> None:
        self._connections: list[Connection] = []
        if _may_fork():
            with suppress(OSError):  # no memory or too many processes
                self._connections = _fork_drawers(2 if draw_all else 1)
        self.leave_a_share = not (draw_all and self._connections)

    def start(self, run: Path, folder: Path) -> None:
        """Begin to draw the figures of a finished run."""
        for share, connection in enumerate(self._connections, start=int(self.leave_a_share)):
            with suppress(OSError):
                connection.send((run, folder, share, self.shares))

    @property
    def shares(self) -> int:
        """How many processes draw, this one included if it does."""
        return len(self._connections) + int(self.leave_a_share)

    def collect(self) -> list[Any]:
        """Wait for what :func:`keras_dnnts.figures.draw_figures` returned in each process; None where one has died."""
        return [_receive(connection) for connection in self._connections]


def start_figures(result: Result, folder: Path, drawers: Drawers) -> Callable[[], None]:
    """Begin to write the figures of a run that has saved its results; what is returned waits until all are there.

    A figure that fails costs a warning and only itself.
    """
    figures = folder / FIGURES
    drawers.start(folder, figures)
    if drawers.leave_a_share:
        _draw(result, figures, 0, drawers.shares)
    return partial(_finish_figures, result, figures, drawers)


def _finish_figures(result: Result, folder: Path, drawers: Drawers) -> None:
    for share, drawn in enumerate(drawers.collect(), start=int(drawers.leave_a_share)):
        if drawn is None:
            _draw(result, folder, share, drawers.shares)
        else:
            _warn(drawn, folder)


def _draw(result: Result, folder: Path, share: int, shares: int) -> None:
    try:
        # Matplotlib takes a second to import: only once there is something to draw.
        _warn(import_module("keras_dnnts.figures").draw_figures(result, folder, share, shares), folder)
    except (OSError, UnicodeError) as error:  # the latter over a matplotlibrc that is no text
        reason = getattr(error, "strerror", None) or error
        logger.warning("%s: figures cannot be written: %s", folder, reason)


def _warn(drawn: Sequence[Any], folder: Path) -> None:
    for name, _, problem in drawn:
        if problem:
            logger.warning("%s cannot be drawn: %s", folder / name, problem)


def _receive(connection: Connection) -> Any:
    try:
        return connection.recv()
    except (EOFError, OSError):
        return None


def _may_fork() -> bool:
    return (
        sys.platform == "linux"
        and len(os.sched_getaffinity(0)) > 1
        and not any(engine in sys.modules for engine in BACKENDS)
    )


def _fork_drawers(count: int) -> list[Connection]:
    """Fork a process that forks the others once it has imported what draws, which takes longer than a figure."""
    context = multiprocessing.get_context("fork")
    pipes = [context.Pipe() for _ in range(count)]
    owns, others = [own for own, _ in pipes], [other for _, other in pipes]
    try:
        context.Process(target=_serve, args=(owns, others), daemon=True).start()
    except OSError:
        _close(owns)
        raise
    finally:
        _close(others)
    return owns


def _serve(parents: Sequence[Connection], connections: Sequence[Connection]) -> None:
    _close(parents)  # or no drawer would ever be told that the parent has ended
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # that is the parent's to answer
    with suppress(Exception):
        figures = import_module("keras_dnnts.figures")
        own, *others = connections
        for number, connection in enumerate(others):
            if os.fork() == 0:
                own, others = connection, [*connections[: number + 1], *connections[number + 2 :]]
                break
        _close(others)
        run, *where = own.recv()
        own.send(figures.draw_figures(load_result(run), *where))
    os._exit(0)  # nothing of the parent's is this process's to finish


def _close(connections: Iterable[Connection]) -> None:
    for connection in connections:
        connection.close()
