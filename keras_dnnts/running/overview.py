"""The runs in a folder: what each is, how far it has come, and how to go on."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from keras_dnnts.config import Config, load_config
from keras_dnnts.errors import UserError
from keras_dnnts.registry import find_study
from keras_dnnts.results import RESULTS, load_result
from keras_dnnts.results.conclusions import headline_metrics
from keras_dnnts.results.unfinished import CHECKPOINTS, CONFIG
from keras_dnnts.running.run_directory import RunDirectory

FINISHED, RUNNING, INTERRUPTED, FAILED, DAMAGED = "finished", "running", "interrupted", "failed", "damaged"
MOST_DEPTH = 4  # folders below the one that is named: a sweep's runs are two below `runs`


@dataclass(frozen=True)
class RunOverview:
    """A run, finished or not.

    Attributes:
        folder: where it is.
        study: its study's name.
        model: its model, as titles write it.
        seeds: how many, or how many of how many.
        headline: the metric it is judged by with its value; empty where there is none yet.
        state: one of ``finished``, ``running``, ``interrupted``, ``failed`` and ``damaged``.
        note: why it failed, what writes to it, or how to resume it.
    """

    folder: Path
    study: str
    model: str
    seeds: str
    headline: str
    state: str
    note: str = ""


def find_runs(folder: Path) -> list[RunOverview]:
    """All runs in a folder and in those below it, in the order of their paths.

    Raises:
        UserError: there is no such folder.
    """
    if not folder.is_dir():
        raise UserError(f"{folder}: is not a folder: name one that holds runs")
    return [describe_run_folder(one) for one in _walk(folder, MOST_DEPTH)]


def _walk(folder: Path, depth: int) -> Iterator[Path]:
    if (folder / CONFIG).is_file() and ((folder / RESULTS).is_file() or (folder / CHECKPOINTS).is_dir()):
        yield folder
        return
    if depth == 0:
        return
    try:
        below = sorted(entry.path for entry in os.scandir(folder) if entry.is_dir(follow_symlinks=False))
    except OSError:  # a folder that may not be read is none of the user's runs
        return
    for path in below:
        if not Path(path).name.startswith("."):
            yield from _walk(Path(path), depth - 1)


def describe_run_folder(folder: Path) -> RunOverview:
    """What a run folder holds; whatever is damaged is said in its note."""
    try:
        config = load_config(folder / CONFIG)
        return _describe_finished(folder) if (folder / RESULTS).is_file() else _describe_unfinished(folder, config)
    except UserError as error:
        return RunOverview(folder, "", "", "", "", DAMAGED, str(error))


def _describe_finished(folder: Path) -> RunOverview:
    result = load_result(folder)
    headline = ""
    if names := headline_metrics(result):
        name = next(iter(names))
        kind, metric = result.study.kind(name), result.metrics[name]
        assert kind is not None
        headline = f"{kind.format(metric.mean, metric.sd)} {kind.headline}"
    seeds = str(result.config["seeds"])
    return RunOverview(folder, result.experiment, result.model_name, seeds, headline, FINISHED)


def _describe_unfinished(folder: Path, config: Config) -> RunOverview:
    directory = RunDirectory.resumed(folder)
    done, title = directory.checkpoints.done_seeds(), find_study(config.experiment).model_title(config.to_dict())
    seeds = f"{done} of {config.seeds}" if config.seeds > 1 else "1"
    if writer := directory.writer():
        state, note = RUNNING, writer
    elif failure := directory.checkpoints.failure():
        state, note = FAILED, failure
    else:
        state, note = INTERRUPTED, directory.resume_command
    return RunOverview(folder, config.experiment, title, seeds, "", state, note)
