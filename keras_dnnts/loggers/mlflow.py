"""A run for MLflow, where MLflow's own settings say: ``MLFLOW_TRACKING_URI``, ``MLFLOW_EXPERIMENT_NAME``, …"""

import contextlib
import logging
import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

# MLflow would tell its makers of every call.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
# Progress of single files, on stderr, for a moment each.
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")

import mlflow
from mlflow.entities import Metric, Param, RunTag
from mlflow.tracking.context.registry import resolve_tags

from keras_dnnts.loggers.history import Points
from keras_dnnts.results import Result
from keras_dnnts.running.run_directory import TENSORBOARD

# Seven retries, with ever longer waits between them, are MLflow's own.
FIRST_REQUEST = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0", "MLFLOW_HTTP_REQUEST_TIMEOUT": "10"}
LATER_REQUESTS = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2"}
METRICS_AT_ONCE, PARAMS_AT_ONCE = 1000, 100  # MLflow's limits


def open_log(folder: Path, experiment: str, config: Mapping[str, Any], identity: str | None) -> "MLflowLog":
    """Begin an MLflow run whose parameters are the config, or go on with it."""
    logging.getLogger("mlflow").setLevel(logging.WARNING)
    logging.getLogger("urllib3").setLevel(logging.ERROR)  # of every retry, it would tell
    client = mlflow.MlflowClient()
    with _settings(FIRST_REQUEST):
        client.search_experiments(max_results=1)
        identity = identity or os.environ.get("MLFLOW_RUN_ID")
        if identity:
            client.update_run(identity, status="RUNNING")
            return MLflowLog(client, identity, folder)
        place = _experiment_id(client, f"keras_dnnts {experiment}")
        run = client.create_run(place, tags=resolve_tags(), run_name=folder.resolve().name)
        params = [Param(name, "" if value is None else str(value)) for name, value in config.items()]
        for i in range(0, len(params), PARAMS_AT_ONCE):
            client.log_batch(run.info.run_id, params=params[i : i + PARAMS_AT_ONCE])
    return MLflowLog(client, run.info.run_id, folder)


class MLflowLog:
    """See :class:`keras_dnnts.loggers.Log`.

    Metrics are the curves, as ``<name>/seed_<seed>``, and the final numbers: ``<name>``, the mean over seeds, and
    ``<name>_sd`` where there are several. Artefacts are the run's files.
    """

    def __init__(self, client: mlflow.MlflowClient, identity: str, folder: Path) -> None:
        self.identity = identity
        self._client, self._folder = client, folder

    def add(self, seed: int, points: Points) -> None:
        """Log points of a seed's curves."""
        now = _milliseconds()
        metrics = [
            Metric(f"{name}/seed_{seed}", value, now, step)
            for step, numbers in points
            for name, value in numbers.items()
        ]
        with _settings(FIRST_REQUEST):  # a server that has gone down costs no more than that
            for i in range(0, len(metrics), METRICS_AT_ONCE):
                self._client.log_batch(self.identity, metrics=metrics[i : i + METRICS_AT_ONCE])

    def finish(self, result: Result, last: Mapping[int, int]) -> str:
        """Log what the run found, and its files; return where the MLflow run is."""
        with _settings(LATER_REQUESTS):
            self._client.log_batch(self.identity, metrics=_final_metrics(result), tags=_tags(result))
            for path in sorted(self._folder.iterdir()):
                if path.name != TENSORBOARD and not path.name.startswith("."):
                    self._client.log_artifact(self.identity, str(path))
            self._client.set_terminated(self.identity)
        return f"run {self.identity} at {mlflow.get_tracking_uri()}"

    def stop(self) -> None:
        """Say that the run was stopped."""
        with _settings(FIRST_REQUEST):
            self._client.set_terminated(self.identity, "KILLED")


@contextlib.contextmanager
def _settings(settings: Mapping[str, str]) -> Iterator[None]:
    """Set variables of the environment, but for those that the user has set."""
    added = {name: value for name, value in settings.items() if name not in os.environ}
    os.environ.update(added)
    try:
        yield
    finally:
        for name in added:
            os.environ.pop(name, None)


def _experiment_id(client: mlflow.MlflowClient, name: str) -> str:
    """The experiment of this name, or that which MLflow's settings name."""
    if identity := os.environ.get("MLFLOW_EXPERIMENT_ID"):
        return identity
    name = os.environ.get("MLFLOW_EXPERIMENT_NAME", name)
    experiment = client.get_experiment_by_name(name)
    return experiment.experiment_id if experiment else client.create_experiment(name)


def _final_metrics(result: Result) -> list[Metric]:
    numbers: dict[str, float] = {}
    for name, metric in result.metrics.items():
        numbers[name] = metric.mean
        if metric.sd is not None:
            numbers[f"{name}_sd"] = metric.sd
    now = _milliseconds()
    return [Metric(name, value, now, 0) for name, value in numbers.items()]


def _tags(result: Result) -> list[RunTag]:
    plain: dict[str, Any] = {
        "model": result.model_name,
        **{f"dataset.{name}": result.dataset[name] for name in ("name", "source", "stand_in", "content_hash")},
        **{f"environment.{name}": value for name, value in result.environment.items()},
    }
    return [RunTag(name, str(value)) for name, value in plain.items()]


def _milliseconds() -> int:
    return int(1000 * time.time())
