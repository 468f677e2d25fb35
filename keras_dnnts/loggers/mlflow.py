"""A finished run for MLflow, where MLflow's own settings say: ``MLFLOW_TRACKING_URI``, ``MLFLOW_EXPERIMENT_NAME``, …"""

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

from keras_dnnts.loggers.history import read_history
from keras_dnnts.results import Result
from keras_dnnts.running.run_directory import TENSORBOARD

EXPERIMENT_SETTINGS = ("MLFLOW_EXPERIMENT_NAME", "MLFLOW_EXPERIMENT_ID")
# Seven retries, with ever longer waits between them, are MLflow's own.
FIRST_REQUEST = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0", "MLFLOW_HTTP_REQUEST_TIMEOUT": "10"}
LATER_REQUESTS = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2"}
METRICS_AT_ONCE, PARAMS_AT_ONCE = 1000, 100  # MLflow's limits


def log(result: Result, folder: Path) -> str:
    """Log one MLflow run and return where it is.

    Parameters are the config. Metrics are the curves, as ``<name>/seed_<seed>``, and the final numbers: ``<name>``, the
    mean over seeds, and ``<name>_sd`` where there are several. Artefacts are the run's files.
    """
    logging.getLogger("mlflow").setLevel(logging.WARNING)
    logging.getLogger("urllib3").setLevel(logging.ERROR)  # of every retry, it would tell
    client = mlflow.MlflowClient()
    with _settings(FIRST_REQUEST):
        client.search_experiments(max_results=1)
    with _settings(LATER_REQUESTS):
        return _log(client, result, folder)


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


def _log(client: mlflow.MlflowClient, result: Result, folder: Path) -> str:
    curves = _curves(folder) if result.study.trains(result.config) else []
    metrics = curves + _final_metrics(result)
    params = [Param(name, "" if value is None else str(value)) for name, value in result.config.items()]
    experiment = _experiment_id(client, f"keras_dnnts {result.experiment}")
    with mlflow.start_run(experiment_id=experiment, run_name=folder.resolve().name, nested=True) as run:
        run_id = run.info.run_id
        for i in range(0, len(params), PARAMS_AT_ONCE):
            client.log_batch(run_id, params=params[i : i + PARAMS_AT_ONCE])
        for i in range(0, len(metrics), METRICS_AT_ONCE):
            client.log_batch(run_id, metrics=metrics[i : i + METRICS_AT_ONCE])
        client.log_batch(run_id, tags=_tags(result))
        for path in sorted(folder.iterdir()):
            if path.name != TENSORBOARD and not path.name.startswith("."):
                client.log_artifact(run_id, str(path))
    return f"run {run_id} at {mlflow.get_tracking_uri()}"


def _experiment_id(client: mlflow.MlflowClient, name: str) -> str | None:
    """The experiment of this name, or None where MLflow's settings name one."""
    if any(setting in os.environ for setting in EXPERIMENT_SETTINGS):
        return None
    experiment = client.get_experiment_by_name(name)
    return experiment.experiment_id if experiment else client.create_experiment(name)


def _curves(folder: Path) -> list[Metric]:
    now = _milliseconds()
    return [
        Metric(f"{name}/seed_{seed}", value, now, step)
        for seed, rows in read_history(folder).items()
        for step, numbers in rows
        for name, value in numbers.items()
    ]


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
