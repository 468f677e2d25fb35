"""What a worker does around a run: watch whether to stop, start the engine once, give back what happened as a value."""

import contextlib
import importlib
import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import filelock

from keras_dnnts.config import Config, config_from_dict
from keras_dnnts.errors import UserError
from keras_dnnts.registry import find_study
from keras_dnnts.results.unfinished import CONFIG
from keras_dnnts.running.interruption import Interrupted, Interruption
from keras_dnnts.running.lease import BusyError
from keras_dnnts.running.live import Listener, Live
from keras_dnnts.running.pools import FAILED, FINISHED, INTERRUPTED, Outcome
from keras_dnnts.running.resuming import resumed_config
from keras_dnnts.running.run import run_study
from keras_dnnts.running.run_directory import RunDirectory
from keras_dnnts.running.runtime import choose_backend, explain_engine_failure, keras_settings, start_engine
from keras_dnnts.running.surroundings import settle_surroundings

logger = logging.getLogger("keras_dnnts")
POLL_SECONDS = 0.5


@dataclass(frozen=True)
class RunTask:
    """A run to be made by a worker.

    Attributes:
        folder: of the run, as every worker sees it.
        config: complete, with the hash of its data, as plain values.
        module: where the config's class stands, which makes its study known.
        stop: a file whose appearance asks the run to stop.
        parent: the process whose end asks the run to stop; None where that is on another machine.
    """

    folder: str
    config: dict[str, Any]
    module: str
    stop: str
    parent: int | None = None


def make_task(config: Config, folder: Path, stop: Path, parent: int | None) -> RunTask:
    """The task of a run."""
    return RunTask(str(folder.absolute()), config.to_dict(), type(config).__module__, str(stop.absolute()), parent)


def as_outcome(task: RunTask, work: Callable[[Interruption], str]) -> Outcome:
    """Work on a task, and return what became of it; whatever goes wrong becomes a line."""
    began = time.monotonic()
    with _kept_warnings() as warnings:
        state, line = _work(task, work)
    return Outcome(state, line, tuple(warnings), time.monotonic() - began)


def _work(task: RunTask, work: Callable[[Interruption], str]) -> tuple[str, str]:
    try:
        settle_surroundings()
        importlib.import_module(task.module)
        with _watched(task) as interruption:
            return FINISHED, work(interruption)
    except Interrupted:
        return INTERRUPTED, ""
    except UserError as error:
        return FAILED, error.args[0]
    except OSError as error:
        return FAILED, f"{error.filename or task.folder}: {error.strerror or error}"
    except Exception as error:  # another run may go well
        said = " ".join(str(error).split())
        return FAILED, explain_engine_failure(error) or f"{type(error).__name__}: {said}"


def finish_run(
    task: RunTask,
    interruption: Interruption,
    listeners: Sequence[Listener],
    directory_type: type[RunDirectory] = RunDirectory,
) -> RunDirectory:
    """Bring a run to its end, and wait where another worker, which may have been cut off, is still at it.

    ``listeners`` are told how it goes, see :class:`keras_dnnts.running.live.Live`.

    Raises:
        Interrupted: the run was asked to stop.
        UserError: as for :func:`keras_dnnts.running.run.run_study`.
    """
    folder = Path(task.folder)
    while not directory_type(folder).is_finished:
        try:
            _run(task, folder, interruption, listeners, directory_type)
        except BusyError:
            if interruption.requested:
                raise Interrupted from None
            time.sleep(POLL_SECONDS)
    return directory_type(folder)


def _run(
    task: RunTask,
    folder: Path,
    interruption: Interruption,
    listeners: Sequence[Listener],
    directory_type: type[RunDirectory],
) -> None:
    config = config_from_dict(task.config, task.folder)
    if (folder / CONFIG).is_file():
        directory = directory_type.resumed(folder)
        given = {name: value for name, value in config.to_dict().items() if name in config.options()}
        config = resumed_config(directory, config.experiment, given)
    else:
        directory = directory_type.new(folder, config.experiment)
    _prepare_engine(config)
    run_study(config, directory, interruption=interruption, threads=_own_threads(), live=Live(listeners))


def _prepare_engine(config: Config) -> None:
    """Let a run find the engine as in a new process, which costs seconds once a worker."""
    if not find_study(config.experiment).trains(config.to_dict()):
        return
    choose_backend(config.backend, config.device, config.automatic_device)
    if "keras" in sys.modules:
        # Within a process, layers are numbered on, and saved models hold their names.
        importlib.import_module("keras").utils.clear_session(free_memory=False)
    elif not keras_settings().is_file():
        # Keras writes its settings; of two processes that do so at once, one may read half of them.
        with contextlib.suppress(OSError):
            keras_settings().parent.mkdir(parents=True, exist_ok=True)
            with filelock.FileLock(f"{keras_settings()}.lock"):
                start_engine()


def _own_threads() -> int:
    """How many threads this worker may use."""
    text = os.environ.get("OMP_NUM_THREADS", "1").split(",")[0].strip()
    return int(text) if text.isdigit() and int(text) else 1


@contextlib.contextmanager
def _watched(task: RunTask) -> Iterator[Interruption]:
    """An interruption that is requested once the stop file appears, or whoever gave out the work has died."""
    interruption, ended = Interruption(), threading.Event()

    def watch() -> None:
        while not ended.wait(POLL_SECONDS):
            orphaned = task.parent is not None and task.parent not in (os.getppid(), os.getpid())
            if orphaned or Path(task.stop).exists():
                interruption.requested = True
                return

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield interruption
    finally:
        ended.set()
        thread.join()


class _Keeper(logging.Handler):
    """Keeps messages of one thread."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []
        self._thread = threading.get_ident()

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a message."""
        if record.thread == self._thread:
            self.lines.append(record.getMessage())


@contextlib.contextmanager
def _kept_warnings() -> Iterator[list[str]]:
    """Warnings go to whoever gave out the work, and not to a worker's terminal."""
    keeper = _Keeper()
    before, logger.propagate = logger.propagate, False
    logger.addHandler(keeper)
    try:
        yield keeper.lines
    finally:
        logger.removeHandler(keeper)
        logger.propagate = before
