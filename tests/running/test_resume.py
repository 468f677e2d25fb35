"""Runs that are killed, interrupted or run out of disk, and go on: to the last bit as if nothing had happened."""

import csv
import io
import json
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest

from keras_dnnts.running.checkpoints import Checkpoints
from tests.datasets.image_trees import encoded, write_folder
from tests.names_folders import write_names

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")

EXPERIMENTS = ("names", "cifar")
VOLATILE = re.compile("_seconds$|_per_second$")
EVERYDAY_KILLS, MATRIX_KILLS = 2, 10
ERRORS = ("ENOSPC", "EIO", "EACCES")


class ForkServer:
    """``tests/fork_server.py`` in a process."""

    def __init__(self, folder):
        self.log = folder / "log.txt"
        # JAX would compile the same again in every child.
        compiled = {"JAX_COMPILATION_CACHE_DIR": str(folder), "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}
        environment = os.environ | compiled | {"KERAS_BACKEND": keras.backend.backend(), "MPLBACKEND": "agg"}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.fork_server"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
            cwd=Path(__file__).parents[2],
        )

    def run(self, *arguments, **how):
        request = {"arguments": [str(argument) for argument in arguments], "log": str(self.log), **how}
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        answer["output"] = self.log.read_text()
        assert "Traceback" not in answer["output"], answer["output"]
        return answer

    def close(self):
        self.process.stdin.close()
        self.process.wait()


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    server = ForkServer(tmp_path_factory.mktemp("server"))
    yield server
    server.close()


@pytest.fixture(scope="module")
def options(tmp_path_factory):
    """Options of a small run of each experiment, with checkpoints as often as there can be."""
    folder = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)
    images = {
        f"{part}/{name}/{i}.png": encoded(rng.integers(0, 255, (9, 11, 3), dtype=np.uint8))
        for part, count in (("train", 20), ("test", 4))
        for name in ("bee", "cow", "owl")
        for i in range(count)
    }
    shared = ("--backend", keras.backend.backend(), "--seeds", 2, "--checkpoint-seconds", 0, "--quiet")
    names = ("--data-dir", write_names(folder / "names"), "--hidden-units", 8, "--iterations", 4000, "--cell", "lstm")
    cifar = ("--data-dir", write_folder(folder / "images", images), "--image-size", 63, "--width", 0.05)
    cifar += ("--arch", "alexnet", "--train-images", 32, "--epochs", 4, "--batch-size", 16, "--embedding-images", 8)
    return {"names": (*names, *shared), "cifar": (*cifar, "--patience", 2, *shared)}


@pytest.fixture(scope="module", params=EXPERIMENTS)
def whole(request, server, options, tmp_path_factory):
    """An experiment, its options, and what it leaves where nothing happens to it."""
    experiment = request.param
    out = tmp_path_factory.mktemp(experiment) / "whole"
    server.run(experiment, *options[experiment], "--out", out.with_name("warm"))
    answer = server.run(experiment, *options[experiment], "--out", out, watched=str(out))
    assert answer["exit"] == 0, answer["output"]
    return experiment, options[experiment], out, answer


def contents(out):
    """Everything a run found, but for what depends on the clock."""
    result = json.loads((out / "results.json").read_text())
    result["metrics"] = {name: value for name, value in result["metrics"].items() if not VOLATILE.search(name)}
    rows = list(csv.DictReader(io.StringIO((out / "history.csv").read_text())))
    with np.load(out / "results.npz") as arrays:
        numbers = {name: (array.dtype.str, array.shape, array.tobytes()) for name, array in arrays.items()}
    return {
        "result": result,
        "arrays": numbers,
        "history": [{name: value for name, value in row.items() if name != "seconds"} for row in rows],
        "models": {path.name: weights(path) for path in sorted(out.glob("*.keras"))},
        "files": sorted(str(path.relative_to(out)) for path in out.rglob("*")),
    }


def weights(path):
    with zipfile.ZipFile(path) as archive, h5py.File(io.BytesIO(archive.read("model.weights.h5"))) as file:
        found = {}
        file.visititems(
            lambda name, item: found.update({name: item[()].tobytes()}) if isinstance(item, h5py.Dataset) else None
        )
    assert found
    return found


def finish(server, experiment, options, out):
    """Go on with a run, or start it where nothing of it is there, and expect it to end well."""
    there = (out / "config.toml").exists()
    start = ("--resume", out) if there else (*options, "--out", out)
    answer = server.run(experiment, *start)
    assert answer["exit"] == 0, answer["output"]


def kill_and_finish(server, whole, out, seed):
    """Kill a run up to three times at random moments, then let it end."""
    experiment, options, expected, unharmed = whole
    rng = np.random.default_rng(seed)
    kills = 0
    for _ in range(rng.integers(1, 4)):
        there = (out / "config.toml").exists()
        start = ("--resume", out) if there else (*options, "--out", out)
        answer = server.run(experiment, *start, kill_after=rng.uniform(0, 1) * unharmed["seconds"])
        kills += answer["exit"] == -9
    finish(server, experiment, options, out)
    assert contents(out) == contents(expected)
    return kills


@pytest.mark.parametrize("seed", range(EVERYDAY_KILLS))
def test_killed_at_a_random_moment(server, whole, tmp_path, seed):
    kill_and_finish(server, whole, tmp_path / "run", seed)


@pytest.mark.kill_matrix
@pytest.mark.timeout(1800)
def test_kill_matrix(server, whole, tmp_path):
    kills = sum(kill_and_finish(server, whole, tmp_path / f"run-{seed}", 100 + seed) for seed in range(MATRIX_KILLS))
    assert kills >= MATRIX_KILLS / 2  # most of them met a living process


def writes_to_try(count, everyday):
    """Numbers of all writes of a run, or of a few spread over it."""
    return range(1, count + 1) if not everyday else (count // 3, 2 * count // 3)


def kill_at_writes(server, whole, folder, everyday):
    experiment, options, expected, unharmed = whole
    for number in writes_to_try(unharmed["writes"], everyday):
        out = folder / f"run-{number}"
        answer = server.run(experiment, *options, "--out", out, watched=str(out), fault_at=number, fault="SIGKILL")
        assert answer["exit"] == -9
        finish(server, experiment, options, out)
        assert contents(out) == contents(expected), f"write {number}"


def test_killed_while_it_writes(server, whole, tmp_path):
    kill_at_writes(server, whole, tmp_path, everyday=True)


@pytest.mark.kill_matrix
@pytest.mark.writes_matrix
@pytest.mark.timeout(1800)
def test_killed_at_every_write(server, whole, tmp_path):
    kill_at_writes(server, whole, tmp_path, everyday=False)


def fail_at_writes(server, whole, folder, error, everyday):
    experiment, options, expected, unharmed = whole
    numbers = writes_to_try(unharmed["writes"], everyday)
    if not everyday:  # every write fails in one of the three ways, or this would take half an hour
        numbers = numbers[ERRORS.index(error) :: len(ERRORS)]
    for number in numbers:
        out = folder / f"run-{number}"
        answer = server.run(experiment, *options, "--out", out, watched=str(out), fault_at=number, fault=error)
        lines = answer["output"].splitlines()
        if answer["exit"] == 2:
            assert len(lines) == 1, answer["output"]
            assert str(out) in lines[0]
        else:
            assert answer["exit"] == 0
        finish(server, experiment, options, out)
        assert contents(out) == contents(expected), f"write {number}"


def test_writes_that_fail(server, whole, tmp_path):
    fail_at_writes(server, whole, tmp_path, "EIO", everyday=True)


@pytest.mark.kill_matrix
@pytest.mark.writes_matrix
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("error", ERRORS)
def test_every_write_fails(server, whole, tmp_path, error):
    fail_at_writes(server, whole, tmp_path, error, everyday=False)


def test_disk_that_fills_up_within_a_file(server, whole, tmp_path):
    experiment, options, expected, _ = whole
    out = tmp_path / "run"
    answer = server.run(experiment, *options, "--out", out, largest_file=6000)
    assert answer["exit"] == 2
    (line,) = answer["output"].splitlines()
    assert f"--resume {out}" in line
    finish(server, experiment, options, out)
    assert contents(out) == contents(expected)


SELDOM = ("--checkpoint-seconds", 1000)  # only Ctrl-C saves anything


@pytest.mark.parametrize("share", [0.3, 0.7])
def test_interrupted_once(server, whole, tmp_path, share):
    experiment, options, expected, unharmed = whole
    out = tmp_path / "run"
    number = int(share * unharmed["writes"])
    answer = server.run(experiment, *options, "--out", out, watched=str(out), fault_at=number, fault="SIGINT")
    assert answer["exit"] == 130
    last = answer["output"].splitlines()[-1]
    if (out / "checkpoints").exists():
        assert last == f"keras-dnnts: interrupted: go on with: keras-dnnts {experiment} --resume {out}"
    else:
        assert last == "keras-dnnts: interrupted"
    finish(server, experiment, options, out)
    assert contents(out) == contents(expected)


def test_interrupted_twice(server, whole, tmp_path):
    experiment, options, expected, unharmed = whole
    out = tmp_path / "run"
    moment = 0.5 * unharmed["seconds"]
    answer = server.run(experiment, *options, "--out", out, interrupt_after=[moment, moment + 0.01])
    assert answer["exit"] in (130, 0)
    if answer["exit"] == 130:
        finish(server, experiment, options, out)
    assert contents(out) == contents(expected)


def test_interrupted_training_keeps_what_it_had_reached(server, options, tmp_path):
    """A long run, stopped in its middle, has lost nothing but the running chunk."""
    out = tmp_path / "run"
    long = (*options["names"], *SELDOM, "--iterations", 3_000_000, "--seeds", 1, "--out", out)
    answer = server.run("names", *long, interrupt_after=[4.0])
    assert answer["exit"] == 130
    assert len(answer["output"].splitlines()) == 2
    state = Checkpoints(out / "checkpoints").load_training(0)
    assert state["epochs"] == len(state["parts"]["history"]["losses"]) > 1
    with (out / "history.csv").open() as file:
        assert len(list(csv.DictReader(file))) == state["epochs"]
