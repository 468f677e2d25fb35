"""A run for the tools that people already look at: its curves while it runs, and all that it saved once complete."""

import importlib
import importlib.util
import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from keras_dnnts.config import load_config
from keras_dnnts.errors import UserError, option_name
from keras_dnnts.loggers.history import Points, points_of, read_history
from keras_dnnts.results import Result
from keras_dnnts.results.unfinished import CHECKPOINTS, CONFIG
from keras_dnnts.running.live import STOPPED, Progress
from keras_dnnts.whole_files import write_whole_text

logger = logging.getLogger("keras_dnnts")

# What each needs to be installed; extras have the loggers' names.
PACKAGES = {"tensorboard": ("tensorboardX",), "mlflow": ("mlflow", "sqlalchemy"), "wandb": ("wandb",)}


class Log(Protocol):
    """What a logger has of one run. Each logger is a module with ``open_log(folder, experiment, config, identity)``.

    ``identity`` is that of a log which an earlier process began, or None for a new one.

    Attributes:
        identity: by which a later process finds it again.
    """

    identity: str

    def add(self, seed: int, points: Points) -> None:
        """Add points of a seed's curves."""

    def finish(self, result: Result, last: Mapping[int, int]) -> str:
        """Add what the complete run found, but for the curves; return where to look. ``last`` is a seed's last step."""

    def stop(self) -> None:
        """The run has stopped before its end, and may be resumed."""


def check_loggers(names: Sequence[str]) -> None:
    """Check, before a run starts, that it can be logged.

    Raises:
        UserError: what a logger needs is not installed.
    """
    for name in names:
        for package in PACKAGES[name]:
            if importlib.util.find_spec(package) is None:
                extra = f"keras_dnnts[{name}]"
                raise UserError(
                    f"{option_name('log')} {name} needs {package}, which is not installed: pip install '{extra}'"
                )


def log_result(result: Result, folder: Path, names: Sequence[str]) -> None:
    """Log a finished run, of which ``folder`` holds everything; a logger that fails costs a warning and only itself."""
    Loggers(names).finish(result, folder)


class Loggers:
    """The loggers of one run, by name. One that fails costs a warning and is left alone from then on.

    What was logged is kept beside the checkpoints, so that a resumed run goes on with its log.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self._logs = [_RunLog(name) for name in dict.fromkeys(names)]

    def take_up(self, folder: Path) -> None:
        """Read what was logged of the unfinished run in a folder."""
        for log in self._logs:
            log.take_up(folder)

    def follow(self, folder: Path, progress: Progress) -> None:
        """Log the points that are new, see :class:`keras_dnnts.running.live.Live`."""
        for log in self._logs:
            log.follow(folder, progress)

    def finish(self, result: Result, folder: Path) -> None:
        """Log what is left of a finished run, of which ``folder`` holds everything."""
        for log in self._logs:
            log.finish(result, folder)


class _RunLog:
    def __init__(self, name: str) -> None:
        self._name = name
        self._log: Log | None = None
        self._identity: str | None = None
        self._last: dict[int, int] = {}  # step by seed
        self._failed = False

    def take_up(self, folder: Path) -> None:
        try:
            plain = json.loads(self._record(folder).read_text(encoding="utf-8"))
            self._identity, last = plain["identity"], plain["last"]
            self._last = {int(seed): step for seed, step in last.items()}
        except (OSError, ValueError, KeyError, AttributeError):  # it was not logged: it begins a new log
            self._identity, self._last = None, {}

    def follow(self, folder: Path, progress: Progress) -> None:
        if self._failed:
            return
        try:
            if self._log is None:
                config = load_config(folder / CONFIG)
                self._open(folder, config.experiment, config.to_dict())
            self._add({seed: points_of(progress.columns, rows) for seed, rows in progress.rows.items()}, folder)
            if progress.state == STOPPED and self._log is not None:
                self._log.stop()
                self._log = None
        except Exception as error:  # a tracking server can fail in any way, and training goes on without it
            self._fail(error, f"the run in {folder} goes on without it; once finished, {_advise(self._name)}")

    def finish(self, result: Result, folder: Path) -> None:
        if self._failed:
            return
        try:
            log = self._log or self._open(folder, result.experiment, result.config)
            self._add(read_history(folder) if result.study.trains(result.config) else {})
            where = log.finish(result, self._last)
        except Exception as error:
            self._fail(error, f"the run in {folder} is complete")
        else:
            print(f"Logged to {self._name}: {where}")

    def _open(self, folder: Path, experiment: str, config: Mapping[str, Any]) -> Log:
        module = importlib.import_module(f"{__name__}.{self._name}")
        self._log = log = module.open_log(folder, experiment, config, self._identity)
        self._identity = log.identity
        return log

    def _add(self, curves: Mapping[int, Points], unfinished: Path | None = None) -> None:
        """Add the points after the last that was logged; those that are lost to a crash right now are not doubled."""
        assert self._log is not None
        new = {seed: [one for one in points if one[0] > self._last.get(seed, 0)] for seed, points in curves.items()}
        new = {seed: points for seed, points in new.items() if points}
        self._last |= {seed: points[-1][0] for seed, points in new.items()}
        if unfinished is not None:
            text = json.dumps({"identity": self._identity, "last": self._last})
            write_whole_text(self._record(unfinished), text)
        for seed, points in new.items():
            self._log.add(seed, points)

    def _record(self, folder: Path) -> Path:
        return folder / CHECKPOINTS / f"logged-{self._name}.json"

    def _fail(self, error: Exception, consequence: str) -> None:
        self._failed = True
        reason = " ".join(str(error).split()) or type(error).__name__
        logger.warning("%s %s failed (%s); %s", option_name("log"), self._name, reason, consequence)


def _advise(name: str) -> str:
    return f"it can be logged by {option_name('resume')} and {option_name('log')} {name}"
