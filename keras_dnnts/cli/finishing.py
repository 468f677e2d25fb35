"""Other processes that write a run's report and draw its figures: they begin before an engine, and import meanwhile."""

import gc
import itertools
import logging
import multiprocessing
import os
import signal
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import import_module
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from keras_dnnts.config import BACKENDS
from keras_dnnts.report import warn_of_report, write_report_or_warn
from keras_dnnts.results import Result, load_result
from keras_dnnts.running.run_directory import FIGURES

logger = logging.getLogger("keras_dnnts")

PROCESSES = 2
REPORT = 0  # the number of the first job; the others are figures
JOBS = bytes(range(256))  # more than there are figures


@dataclass
class Finished:
    """What a process did: the figures it drew, as :func:`keras_dnnts.figures.draw_figures` returns them.

    Attributes:
        report: what went wrong with the report, or empty; None where another process writes it.
        drawn: the figures.
    """

    report: str | None = None
    drawn: list[Any] = field(default_factory=list)


class Finishers:
    """Processes that wait for a run to end; where none can be forked, or one has died, its work is done without it.

    They must start before an engine does, whose threads a forked process would lack. Each takes what is to be done next
    from a pipe that they share.

    Args:
        package: of the run's study, whose templates are made ready.
    """

    def __init__(self, package: str) -> None:
        self._connections: list[Connection] = []
        self._jobs = -1
        if _may_fork():
            with suppress(OSError):  # no memory or too many processes
                self._connections, self._jobs = _fork(PROCESSES, package)

    @property
    def there_are_some(self) -> bool:
        """Whether this process need not draw, and import what draws, itself."""
        return bool(self._connections)

    def finish(self, result: Result, folder: Path) -> None:
        """Write report and figures of a run that has saved its results.

        Each that fails costs a warning and only itself.
        """
        finished = self._work(folder) if self._connections else []
        if all(one.report is None for one in finished):
            write_report_or_warn(folder)
        for one in finished:
            if one.report:
                warn_of_report(folder, one.report)
        figures = folder / FIGURES
        drawn = [each for one in finished for each in one.drawn]
        _warn(drawn, figures)
        if len(finished) < len(self._connections) or not self._connections:
            draw_here(result, figures, [name for name, *_ in drawn])

    def _work(self, folder: Path) -> list[Finished]:
        """What the processes that still live did."""
        with suppress(OSError):
            os.write(self._jobs, JOBS)
        os.close(self._jobs)
        for connection in self._connections:
            with suppress(OSError):
                connection.send(folder)
        return list(filter(None, map(_receive, self._connections)))


def draw_here(result: Result, folder: Path, already: Sequence[str]) -> None:
    """Draw in this process the figures that are not drawn already."""
    try:
        # Matplotlib takes a second to import: only once there is something to draw.
        _warn(import_module("keras_dnnts.figures").draw_figures(result, folder, already=already), folder)
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


def _fork(count: int, package: str) -> tuple[list[Connection], int]:
    """Fork a process that forks the others once it has imported what draws, which takes longer than a figure.

    Returns:
        A connection to each, and what to write the numbers of jobs to, a byte each.
    """
    context = multiprocessing.get_context("fork")
    jobs, new_jobs = os.pipe()
    pipes = [context.Pipe() for _ in range(count)]
    owns, others = [own for own, _ in pipes], [other for _, other in pipes]

    def serve() -> None:
        os.close(new_jobs)  # or no process would ever be told that the parent has ended
        _close(owns)
        _serve(others, jobs, package)

    try:
        context.Process(target=serve, daemon=True).start()
    except OSError:
        os.close(new_jobs)
        _close(owns)
        raise
    finally:
        os.close(jobs)
        _close(others)
    return owns, new_jobs


def _serve(connections: Sequence[Connection], jobs: int, package: str) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # that is the parent's to answer
    with suppress(Exception):
        import_module("keras_dnnts.figures")
        with suppress(Exception):  # of a study without templates, or with damaged ones, as its page will find out
            import_module("keras_dnnts.report.page").compile_templates(package)
        gc.freeze()
        own, *others = connections
        for number, connection in enumerate(others):
            if os.fork() == 0:
                own, others = connection, [*connections[: number + 1], *connections[number + 2 :]]
                break
        _close(others)
        own.send(_finish(own.recv(), _numbers(jobs)))
    os._exit(0)  # nothing of the parent's is this process's to finish


def _numbers(jobs: int) -> Iterator[int]:
    """The numbers of jobs that no other process has taken."""
    while taken := os.read(jobs, 1):
        yield taken[0]


def _finish(folder: Path, numbers: Iterator[int]) -> Finished:
    finished, first = Finished(), next(numbers)
    if first == REPORT:
        finished.report = _write_report(folder)
    else:
        numbers = itertools.chain([first], numbers)
    drawing = import_module("keras_dnnts.figures")
    with suppress(OSError, UnicodeError):  # as the parent will find out, and say
        places = (number - 1 - REPORT for number in numbers)
        finished.drawn = drawing.draw_figures(load_result(folder), folder / FIGURES, places)
    return finished


def _write_report(folder: Path) -> str:
    try:
        import_module("keras_dnnts.report").write_report(folder)
    except Exception as error:
        return str(error) or type(error).__name__
    return ""


def _close(connections: Iterable[Connection]) -> None:
    for connection in connections:
        connection.close()
