"""One run of a sweep, in a worker: an ordinary run in an ordinary folder, whose end comes back as a value."""

import importlib
import logging
from dataclasses import dataclass
from pathlib import Path

from keras_dnnts.report import has_report, write_live_page, write_report_or_warn
from keras_dnnts.results import Result, load_result
from keras_dnnts.running.interruption import Interruption
from keras_dnnts.running.pools import Outcome
from keras_dnnts.running.run_directory import FIGURES
from keras_dnnts.running.worker import RunTask, as_outcome, finish_run

logger = logging.getLogger("keras_dnnts")


@dataclass(frozen=True)
class Task:
    """A run of a sweep.

    Attributes:
        run: what to run, and where.
        metric: what the outcome's line is about.
        figures: whether they are drawn, which takes longer than a small run.
    """

    run: RunTask
    metric: str | None = None
    figures: bool = False


def execute_run(task: Task) -> Outcome:
    """Make a run, or go on with it, or find it finished; whatever goes wrong becomes a line."""
    return as_outcome(task.run, lambda interruption: _say_metric(_finish(task, interruption), task.metric))


def _finish(task: Task, interruption: Interruption) -> Result:
    folder = finish_run(task.run, interruption, [write_live_page]).path
    result = load_result(folder)
    if task.figures and not (folder / FIGURES).is_dir():
        _draw(result, folder / FIGURES)
    if not has_report(folder):
        write_report_or_warn(folder)
    return result


def _draw(result: Result, folder: Path) -> None:
    try:
        # Matplotlib takes a second to import.
        importlib.import_module("keras_dnnts.figures").save_figures(result, folder)
    except (OSError, UnicodeError) as error:
        logger.warning("%s: figures cannot be written: %s", folder, getattr(error, "strerror", None) or error)


def _say_metric(result: Result, name: str | None) -> str:
    kind = result.study.kind(name) if name else None
    metric = result.metrics.get(name) if name else None
    return "" if kind is None or metric is None else f"{kind.title} {kind.format(metric.mean, metric.sd)}"
