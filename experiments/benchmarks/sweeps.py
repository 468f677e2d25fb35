"""Equal runs of the names study on one worker and on two, and what a run costs more in a warm worker than by itself."""

import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from experiments.benchmarks.timing import Row
from keras_dnnts import NamesConfig
from keras_dnnts.config import Config
from keras_dnnts.running.interruption import Interruption
from keras_dnnts.running.pools import LocalPool, run_all
from keras_dnnts.running.run import run_study
from keras_dnnts.running.run_directory import RunDirectory
from keras_dnnts.running.worker import make_task
from keras_dnnts.sweeping.execution import Task, execute_run

RUNS = 12
WORKERS = (1, 2)


def measure(engine: str, quick: bool) -> list[Row]:
    """Time the runs on each number of workers, three times, once the workers are warm, and a run by itself."""
    config = NamesConfig(dataset="starter", iterations=20_000 if quick else 200_000, select=True, backend=engine)
    turns = 1 if quick else 3
    with tempfile.TemporaryDirectory() as folder:
        seconds = {workers: _time_pool(config, workers, turns, Path(folder)) for workers in WORKERS}
        alone = np.median([_time_run(config, Path(folder) / f"alone-{turn}") for turn in range(turns + 1)][1:])
    one, two = (float(np.median(seconds[workers])) for workers in WORKERS)
    task = f"{RUNS} runs of {config.iterations:,} updates"
    return [
        Row(task, "1 worker", engine, one, "s", 1.0),
        Row(task, "2 workers", engine, two, "s", one / two),
        Row("one of them", "by itself, in a warm process", engine, float(alone), "s"),
        Row("one of them", "more than that, in a warm worker", engine, one / RUNS - float(alone), "s"),
    ]


def _time_pool(config: Config, workers: int, turns: int, folder: Path) -> list[float]:
    pool, seconds = LocalPool(workers, workers), []
    for turn in range(turns + 1):  # the first lets the workers import and compile
        tasks = {
            str(seed): _task(replace(config, seed=seed), folder / f"{workers}-{turn}-{seed}", folder / "stop")
            for seed in range(RUNS)
        }
        began = time.perf_counter()
        outcomes = run_all(pool, execute_run, tasks, Interruption())
        seconds.append(time.perf_counter() - began)
        assert all(outcome.state == "finished" for outcome in outcomes.values()), outcomes
    pool.close()
    return seconds[1:]


def _task(config: Config, folder: Path, stop: Path) -> Task:
    return Task(make_task(config, folder, stop, None))


def _time_run(config: Config, folder: Path) -> float:
    began = time.perf_counter()
    run_study(config, RunDirectory.new(folder, "names"), threads=1)
    return time.perf_counter() - began
