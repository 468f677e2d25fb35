"""What the processes of one run have in common: one folder, which the first writes to, one voice, and one end."""

import contextlib
import importlib
import os
import select
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from keras_dnnts.config import Config
from keras_dnnts.errors import UserError, option_name
from keras_dnnts.ranks import find_ranks, has_been_said, may_speak
from keras_dnnts.running.checkpoints import Checkpoints
from keras_dnnts.running.run_directory import RunDirectory
from keras_dnnts.running.runtime import LOST
from keras_dnnts.study import Study

GRACE_SECONDS = 3.0  # for whoever ends by itself, or speaks first
POLL_SECONDS = 1.0


def check_launch(study: Study, config: Config) -> None:
    """Check that a run can be one of several processes, where several were started.

    Raises:
        UserError: it cannot.
    """
    count = find_ranks().count
    if count == 1:
        return
    started = f"{count} processes were started for one run, but"
    if study.one_device:
        raise UserError(f"{started} {study.one_device}: start it without torchrun")
    if config.backend != "torch":
        instead = f"{option_name('devices')} {count}"
        raise UserError(f"{started} {config.backend} needs only one: start it without torchrun, with {instead}")


def refuse_launch(what: str) -> None:
    """Refuse what several processes would each do.

    Raises:
        UserError: there are several.
    """
    if (count := find_ranks().count) > 1:
        raise UserError(f"{count} processes were started, but {what} starts its own: start it without torchrun")


def share(value: Any) -> Any:
    """The first process's value in all of them; the value itself in a process alone."""
    if find_ranks().count == 1:
        return value
    return importlib.import_module("keras_dnnts.backend").share(value)


def check_same_data(content_hash: str) -> None:
    """Check that all processes have read the same data.

    Raises:
        UserError: they have not.
    """
    if share(content_hash) != content_hash:
        raise UserError(f"process {find_ranks().rank} reads other data than process 0: give all machines the same data")


class FollowerDirectory(RunDirectory):
    """A run's folder in a process that follows: it is read where a run is resumed, and never written."""

    def __init__(self, path: Path, *_: Any, resumes: bool = False, **__: Any) -> None:
        super().__init__(path, resumes=resumes)
        self._move(path)

    @property
    def has_begun(self) -> bool:
        """Yes: what is to be checked of a run that begins, the first process checks."""
        return True

    @contextlib.contextmanager
    def open(self, config: Config, content_hash: str, given: Config | None = None) -> Iterator[None]:
        """Leave the folder to the first process."""
        yield

    def save_model(self, model: Any, seed: int) -> None:
        """Do nothing."""

    def write_history(self, seed: int, columns: Any, rows: Any) -> None:
        """Do nothing."""

    def save_result(self, result: Any) -> None:
        """Do nothing."""

    def _check_free(self) -> None:
        """Do nothing: the first process does."""

    def _move(self, path: Path) -> None:
        self.path, self.checkpoints = path, _NoCheckpoints(path / "checkpoints")


class _NoCheckpoints(Checkpoints):
    """Of a process that follows, which gets what it needs from the first."""

    def save_training(self, seed: int, state: Any) -> None:
        """Do nothing."""

    def load_training(self, seed: int) -> None:
        """Nothing."""

    def save_outcome(self, seed: int, outcome: Any) -> None:
        """Do nothing."""

    def load_outcome(self, seed: int) -> None:
        """Nothing."""


def directory_class() -> type[RunDirectory]:
    """What kind of folder a run has in this process."""
    return FollowerDirectory if find_ranks().follows else RunDirectory


@contextlib.contextmanager
def ending_with(directory: RunDirectory) -> Iterator[None]:
    """End this process where another process of the run ends, or the launcher tells it to, whatever it waits for.

    One of the processes says so, and how the run in ``directory`` is resumed. A Ctrl-C is the first one's to answer.
    """
    ranks = find_ranks()
    if ranks.count == 1 or threading.current_thread() is not threading.main_thread():
        yield
        return
    has_been_said()  # imports what the other thread must not import at the same time as this one
    if ranks.follows:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    # What waits for another process's numbers runs no Python: the signal's number in a pipe reaches a thread anyway.
    signal.signal(signal.SIGTERM, lambda number, frame: None)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    threading.Thread(target=_watch, args=(reader, directory), daemon=True).start()
    yield


def _watch(reader: int, directory: RunDirectory) -> None:
    misses = 0
    while True:
        ready, _, _ = select.select([reader], [], [], POLL_SECONDS)
        if ready and signal.SIGTERM in os.read(reader, 64):
            _end(directory)
        try:
            said, misses = has_been_said(), 0
        except Exception:  # the launcher is gone, and with it what tells of the others
            said, misses = False, misses + 1
        if said:
            time.sleep(GRACE_SECONDS)
            os._exit(1)
        if misses >= GRACE_SECONDS / POLL_SECONDS:
            _end(directory)


def _end(directory: RunDirectory) -> None:
    """End the process at once, and say why unless another process does."""
    if may_speak():
        advice = ""
        with contextlib.suppress(UserError):
            advice = directory.resume_command
        with contextlib.suppress(OSError):
            os.write(2, f"keras-dnnts: {'; '.join(filter(None, [LOST, advice]))}\n".encode())
    else:
        time.sleep(GRACE_SECONDS)
    os._exit(1)
