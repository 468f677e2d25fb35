"""How runs go, as others see them while real workers make them."""

import dataclasses
import functools
import os
import time
from types import SimpleNamespace

import keras
import pytest

from keras_dnnts import NamesConfig
from keras_dnnts.report import has_report, write_live_page
from keras_dnnts.results import load_result
from keras_dnnts.running import seeds_elsewhere, worker
from keras_dnnts.running.live import Live, Progress
from keras_dnnts.running.pools import FINISHED, LocalPool
from keras_dnnts.running.run import run_study
from keras_dnnts.running.run_directory import RunDirectory
from keras_dnnts.running.seeds_elsewhere import SeedsElsewhere, train_seed
from keras_dnnts.running.worker import make_task
from keras_dnnts.sweeping.execution import Task, execute_run
from tests.names_folders import write_names
from tests.report.test_live import save_progress
from tests.sweeping.inline_pool import InlinePool

PATIENCE = 240  # seconds
STEPS = 50_000  # which take a second or more


@pytest.fixture
def config(tmp_path):
    names = write_names(tmp_path / "names")
    return NamesConfig(data_dir=str(names), backend=keras.backend.backend(), iterations=STEPS)


@pytest.fixture(scope="module")
def pool():
    pool = LocalPool(1, cores=1)
    yield pool
    pool.close()


def often(work, task):
    """In a worker: do something that tells of its run every tenth of a second."""
    worker.Live = functools.partial(Live, seconds=0.1)
    return work(task)


@pytest.mark.slow
@pytest.mark.one_engine
def test_a_run_in_a_worker_has_a_page_while_it_goes(config, pool, tmp_path):
    folder, pages = tmp_path / "run", []
    task = Task(make_task(config, folder, tmp_path / ".stop", os.getpid()))
    future, deadline = pool.submit(often, execute_run, task), time.monotonic() + PATIENCE
    while not future.done():
        assert time.monotonic() < deadline
        if (folder / "report.html").is_file() and not has_report(folder):
            pages.append((folder / "report.html").read_text(encoding="utf-8"))
        time.sleep(0.05)
    assert future.result().state == FINISHED, future.result()
    assert f"of {STEPS:,} steps" in pages[0] and 'http-equiv="refresh"' in pages[0]
    assert has_report(folder)
    assert load_result(folder).model_name in (folder / "report.html").read_text(encoding="utf-8")


@pytest.mark.slow
@pytest.mark.one_engine
def test_those_who_follow_a_run_hear_of_seeds_on_workers(config, pool, tmp_path, monkeypatch):
    monkeypatch.setattr(seeds_elsewhere, "_Listener", functools.partial(seeds_elsewhere._Listener, seconds=0.05))
    monkeypatch.setattr(seeds_elsewhere, "train_seed", functools.partial(often, train_seed))
    told = []
    live = Live([lambda folder, progress: told.append(progress)], seconds=0.1)
    folder, seeds = tmp_path / "run", dataclasses.replace(config, seeds=2, seed=4)
    run_study(seeds, RunDirectory.new(folder, "names"), elsewhere=SeedsElsewhere(pool), live=live)

    within = [progress for progress in told if any(0 < len(rows) < STEPS / 1000 for rows in progress.rows.values())]
    assert within and {*within[-1].rows} <= {4, 5}
    assert within[-1].columns[:2] == ["step", "loss"]
    assert all(progress.total == 2 * STEPS and 0 <= progress.done <= progress.total for progress in told)
    assert any(0 < progress.done < progress.total for progress in within)
    history = (folder / "history.csv").read_text(encoding="utf-8").splitlines()
    for seed, rows in within[-1].rows.items():
        written = [line.split(",")[1:3] for line in history[1:] if line.startswith(f"{seed},")]
        assert [[str(value) for value in row[:2]] for row in rows] == written[: len(rows)]


def test_a_page_left_by_a_worker_that_died_gives_way(config, tmp_path):
    """It died after it had saved the results, and before it wrote the report."""
    baseline = NamesConfig(model="majority", data_dir=config.data_dir)
    folder = tmp_path / "run"
    task = Task(make_task(baseline, folder, tmp_path / ".stop", None))
    assert InlinePool().submit(execute_run, task).result().state == FINISHED
    report = (folder / "report.html").read_bytes()
    write_live_page(save_progress(tmp_path / "other"))
    (tmp_path / "other" / "report.html").replace(folder / "report.html")
    assert not has_report(folder)
    assert InlinePool().submit(execute_run, task).result().state == FINISHED
    assert (folder / "report.html").read_bytes() == report


def test_progress_that_cannot_be_read_is_passed_over(tmp_path):
    (tmp_path / "checkpoints").mkdir()
    for text in ("", "[]", "{}", '{"state": "running"}', '{"rows": {}}'):
        (tmp_path / "checkpoints" / "progress.json").write_text(text, encoding="utf-8")
        with pytest.raises(ValueError):
            Progress.load(tmp_path)
        seeds_elsewhere._Listener(None, {3: tmp_path}, seconds=0).tick(None)  # there is no run to tell


def test_a_seed_without_rows_leaves_those_of_others(tmp_path):
    taken = []
    live = SimpleNamespace(take=lambda *given: taken.append(given))
    run = SimpleNamespace(live=live, progress=SimpleNamespace(skip=lambda *_: None), label=str)
    folders = {seed: tmp_path / str(seed) for seed in (3, 4)}
    for seed, columns, rows in ((3, ["step", "loss"], {3: [[1, 0.5]]}), (4, [], {})):
        (folders[seed] / "checkpoints").mkdir(parents=True)
        Progress("running", 0.0, {}, 1, 2, "names", columns, rows).save(folders[seed])
    seeds_elsewhere._Listener(run, folders, seconds=0).tick(None)
    assert taken == [(3, ["step", "loss"], [[1, 0.5]])]
