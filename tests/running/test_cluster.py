"""A real Dask scheduler with two workers on this machine: what dies costs time, and no result differs."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import keras
import pytest

from keras_dnnts.cli import sweep as sweep_command
from keras_dnnts.running import cluster
from tests.names_folders import call, write_names
from tests.running.test_resume import contents
from tests.sweeping.inline_pool import InlinePool

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs POSIX")
pytest.importorskip("distributed")

ROOT = Path(__file__).parents[2]
RATES = [0.005, 0.01, 0.02, 0.03, 0.04, 0.05]
PATIENCE = 240  # seconds


class Cluster:
    """A scheduler and workers, each a process that can be killed."""

    def __init__(self, folder, port, workers=2):
        self.folder, self.address = folder, f"tcp://127.0.0.1:{port}"
        self.processes = []
        self.scheduler = self._start("scheduler", "--host", "127.0.0.1", "--port", port, "--no-dashboard")
        options = ("--no-nanny", "--nthreads", 1, "--no-dashboard", "--local-directory", folder / "dask")
        self.workers = [self._start("worker", self.address, *options) for _ in range(workers)]

    def _start(self, what, *arguments):
        log = (self.folder / f"{what}-{len(self.processes)}.log").open("w")
        environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
        command = [sys.executable, "-m", f"distributed.cli.dask_{what}", *map(str, arguments)]
        process = subprocess.Popen(command, stdout=log, stderr=log, env=environment, cwd=self.folder)
        self.processes.append(process)
        return process

    def close(self):
        for process in self.processes:
            process.kill()
            process.wait()


@pytest.fixture
def start_cluster(tmp_path):
    """Starts clusters, which end with the test."""
    started = []
    yield lambda *how: started.append(Cluster(tmp_path, *how)) or started[-1]
    for one in started:
        one.close()


@pytest.fixture
def port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@pytest.fixture
def names(tmp_path):
    return write_names(tmp_path / "names")


def start_command(folder, *arguments):
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "keras_dnnts", *map(str, arguments)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, env=environment, cwd=folder, **pipes)


def wait_until(condition, process):
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)


def finished(folder):
    return [*folder.glob("hidden*/results.json")]


@pytest.mark.slow
@pytest.mark.one_engine
def test_a_sweep_equals_the_local_one_whatever_dies(tmp_path, names, port, start_cluster, monkeypatch):
    """12 runs: a worker is killed in the middle, then the scheduler, then the same command goes on."""
    plan = tmp_path / "plan.toml"
    small = f'data_dir = "{names}"\niterations = 12000\ncheckpoint_seconds = 0.0\n'
    swept = f"hidden_units = [8, 16]\nlearning_rate = {RATES}"
    plan.write_text(f'experiment = "names"\n{small}[sweep]\n{swept}\n', encoding="utf-8")
    out, local = tmp_path / "out", tmp_path / "local"
    first = start_cluster(port)
    command = ("sweep", plan, "--out", out, "--cluster", first.address, "--backend", keras.backend.backend())
    process = start_command(tmp_path, *command)
    wait_until(lambda: len(finished(out)) >= 2 and [*out.glob("*/checkpoints/training-seed-0.npz")], process)
    first.workers[0].send_signal(signal.SIGKILL)
    wait_until(lambda: len(finished(out)) >= 5, process)
    first.scheduler.send_signal(signal.SIGKILL)
    output, error = process.communicate(timeout=PATIENCE)
    assert process.returncode == 2, (output, error)
    assert len(error.splitlines()) == 1 and "the scheduler is gone" in error and "go on with:" in error, error
    first.close()
    before = {path: path.stat().st_mtime_ns for path in finished(out)}
    assert 5 <= len(before) < 12

    second = start_cluster(port)
    process = start_command(tmp_path, *command)
    output, error = process.communicate(timeout=PATIENCE)
    second.close()
    assert process.returncode == 0, (output, error)
    assert f"{len(before)} of 12 runs are finished already" in output
    after = {path: path.stat().st_mtime_ns for path in finished(out)}
    assert len(after) == 12
    assert {path: after[path] for path in before} == before

    monkeypatch.setattr(sweep_command, "open_pool", lambda *what: InlinePool())
    assert call("sweep", plan, "--out", local, "--quiet") == 0
    runs = sorted(path.parent.name for path in local.glob("*/results.json"))
    assert len(runs) == 13  # with the chosen one's on held-out names
    for run in runs:
        ours, theirs = contents(out / run), contents(local / run)
        for one in (ours, theirs):
            one["result"].pop("environment")
            one.pop("files")
        assert ours == theirs, run
    ours, theirs = (json.loads((one / "results.json").read_text("utf-8")) for one in (out, local))
    assert ours["chosen"] == theirs["chosen"] and ours["conclusions"] == theirs["conclusions"]


@pytest.mark.slow
@pytest.mark.one_engine
def test_seeds_on_a_cluster_equal_seeds_here(tmp_path, names, port, start_cluster):
    cluster_of_one = start_cluster(port, 1)
    small = ("--data-dir", names, "--hidden-units", 8, "--iterations", 3000, "--seeds", 3, "--quiet")
    out, local = tmp_path / "out", tmp_path / "local"
    process = start_command(tmp_path, "names", *small, "--out", out, "--cluster", cluster_of_one.address)
    output, error = process.communicate(timeout=PATIENCE)
    cluster_of_one.close()
    assert (process.returncode, error) == (0, ""), output
    assert call("names", *small, "--out", local) == 0
    ours, theirs = contents(out), contents(local)
    for one in (ours, theirs):
        one["result"].pop("environment")
    assert ours == theirs
    assert not (out / "checkpoints").exists()


def test_no_scheduler_at_the_address_is_one_line_within_seconds(tmp_path, names, port, monkeypatch, capsys):
    monkeypatch.setattr(cluster, "CONNECT_SECONDS", 1)
    for address in (f"tcp://127.0.0.1:{port}", "nonsense://here", "no-such-host.invalid:8786"):
        began = time.monotonic()
        small = ("--data-dir", names, "--model", "majority", "--out", tmp_path / "out")
        assert call("names", *small, "--cluster", address) == 2
        lines = capsys.readouterr().err.splitlines()
        assert len(lines) == 1 and address in lines[0] and "no Dask scheduler answers there" in lines[0], lines
        assert time.monotonic() - began < 30
        assert not (tmp_path / "out").exists()


HERE = {"keras_dnnts": "0.2.0", "Python": "3.11", "keras": "3.15.1", "torch": "2.13.0"}
GOOD = {"versions": HERE, "running": None, "sees": True}
PROBLEMS = {
    "other version": (GOOD | {"versions": HERE | {"keras": "3.14.0"}}, 1, "has keras 3.14.0, and here is 3.15.1"),
    "engine missing": (GOOD | {"versions": {"keras": "3.15.1"}}, 1, "lacks torch"),
    "another engine runs": (GOOD | {"running": "jax"}, 1, "already runs jax"),
    "threads": (GOOD, 4, "--nthreads 1"),
    "folder out of sight": (GOOD | {"sees": False}, 1, "does not see"),
    "no package": (ModuleNotFoundError("No module named 'keras_dnnts'"), 1, "cannot import keras_dnnts"),
}


@pytest.mark.parametrize(("answer", "threads", "said"), PROBLEMS.values(), ids=PROBLEMS)
def test_workers_that_cannot_be_used_are_told_why(answer, threads, said, tmp_path):
    assert said in cluster._find_problem(answer, HERE, threads, "torch", tmp_path)
    assert cluster._find_problem(GOOD, HERE, 1, "torch", tmp_path) is None
    assert cluster._find_problem(GOOD | {"running": "jax"}, HERE, 1, None, tmp_path) is None


def test_looking_whether_workers_see_a_folder_leaves_nothing(tmp_path):
    with cluster._probe(tmp_path / "new" / "out") as (path, word):
        assert cluster.examine_worker(str(path), word)["sees"]
        assert not cluster.examine_worker(str(path), "another word")["sees"]
        assert not cluster.examine_worker(str(tmp_path / "elsewhere" / path.name), word)["sees"]
    assert [*tmp_path.iterdir()] == []
    (tmp_path / "there").mkdir()
    with cluster._probe(tmp_path / "there"):
        pass
    assert [*tmp_path.rglob("*")] == [tmp_path / "there"]
