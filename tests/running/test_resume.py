"""Runs that are killed, interrupted or run out of disk, and go on: to the last bit as if nothing had happened."""

import csv
import io
import itertools
import json
import os
import re
import subprocess
import sys
import zipfile
from collections import Counter
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest

from keras_dnnts.running.checkpoints import Checkpoints
from tests.datasets.image_trees import encoded, write_folder
from tests.names_folders import write_names

pytestmark = [
    pytest.mark.every_engine,
    pytest.mark.slow,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork"),
]

EXPERIMENTS = ("names", "cifar")
VOLATILE = re.compile("_seconds$|_per_second$")
# Files are written by the same code on every engine, so that one of them can be interrupted more often.
ON_TORCH = keras.backend.backend() == "torch"
EVERYDAY_KILLS, MATRIX_RUNS = 5 if ON_TORCH else 2, 10  # of each experiment
# How seeds follow each other is the same on every engine, and each of them compiles its own network.
SEEDS = 2 if ON_TORCH else 1
# What CIFAR-10 has of its own is what it saves in checkpoints and models; the other sites are those of names.
SITES_OF_CIFAR = re.compile(r"checkpoints/\.unfinished|training-seed|\.keras|figures")
ERRORS = ("ENOSPC", "EIO", "EACCES")


class ForkServer:
    """``tests/fork_server.py`` in a process."""

    def __init__(self, folder):
        self.log = folder / "log.txt"
        # JAX would compile the same again in every child.
        compiled = {"JAX_COMPILATION_CACHE_DIR": str(folder), "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}
        # Forked children could not use CUDA, and runs resume to the bit on CPUs alone.
        on_cpu = {"KERAS_TORCH_DEVICE": "cpu", "JAX_PLATFORMS": "cpu", "CUDA_VISIBLE_DEVICES": "-1"}
        engine = {"KERAS_BACKEND": keras.backend.backend(), "MPLBACKEND": "agg"}
        environment = compiled | os.environ | engine | on_cpu
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
    shared = ("--backend", keras.backend.backend(), "--seeds", SEEDS, "--checkpoint-seconds", 0, "--quiet")
    names = ("--data-dir", write_names(folder / "names"), "--hidden-units", 8, "--iterations", 4000, "--cell", "lstm")
    names += ("--schedule", "linear", "--draw-classes", "root", "--draw-from", "names")
    cifar = ("--data-dir", write_folder(folder / "images", images), "--image-size", 63, "--width", 0.05)
    cifar += ("--arch", "alexnet", "--train-images", 32, "--epochs", 4, "--batch-size", 16, "--embedding-images", 8)
    fast = ("--recipe", "fast", *cifar[:2], "--width", 0.05, "--train-images", 36, "--epochs", 4, "--batch-size", 16)
    fast += ("--weight-averaging", 0.5, "--embedding-images", 8)
    return {"names": (*names, *shared), "cifar": (*cifar, "--patience", 2, *shared), "fast": (*fast, *shared)}


@pytest.fixture(scope="module", params=EXPERIMENTS)
def whole(request, server, options, tmp_path_factory):
    """An experiment, its options, and what it leaves where nothing happens to it."""
    experiment = request.param
    out = tmp_path_factory.mktemp(experiment) / "whole"
    again = out.with_name("again")
    # The first compiles; the second tells how long a run takes.
    drawn = server.run(experiment, *options[experiment], "--out", out, watched=str(out))
    answer = server.run(experiment, *options[experiment], "--out", again, watched=str(again), figures=False)
    assert drawn["exit"] == answer["exit"] == 0, answer["output"]
    assert contents(again) == contents(out)
    kinds = [kind for _, kind in drawn["writes"]]
    answer |= {
        "sites": sites_to_try(drawn["writes"]),
        "drawn_writes": len(kinds),
        "first_figure": kinds.index("figures"),
    }
    return experiment, options[experiment], out, answer


def sites_to_try(writes):
    """The first and the last time of everything that is done to a kind of file, in the order of a run."""
    times = Counter(map(tuple, writes))
    return [(*site, time) for site in times for time in sorted({1, times[site]})]


def contents(out, figures=False):
    """Everything a run found, but for what depends on the clock, and whether there are ``figures``."""
    result = json.loads((out / "results.json").read_text())
    result["metrics"] = {name: value for name, value in result["metrics"].items() if not VOLATILE.search(name)}
    names = sorted(str(path.relative_to(out)) for path in out.rglob("*"))
    rows = list(csv.DictReader(io.StringIO((out / "history.csv").read_text())))
    with np.load(out / "results.npz") as arrays:
        numbers = {name: (array.dtype.str, array.shape, array.tobytes()) for name, array in arrays.items()}
    return {
        "result": result,
        "arrays": numbers,
        "history": [{name: value for name, value in row.items() if name != "seconds"} for row in rows],
        "models": {path.name: weights(path) for path in sorted(out.glob("*.keras"))},
        "files": [name for name in names if figures or not name.startswith("figures")],
    }


def weights(path):
    with zipfile.ZipFile(path) as archive, h5py.File(io.BytesIO(archive.read("model.weights.h5"))) as file:
        found = {}
        file.visititems(
            lambda name, item: found.update({name: item[()].tobytes()}) if isinstance(item, h5py.Dataset) else None
        )
    assert found
    return found


def finish(server, experiment, options, out, figures=False):
    """Go on with a run, or start it where nothing of it is there, and expect it to end well."""
    there = (out / "config.toml").exists()
    start = ("--resume", out) if there else (*options, "--out", out)
    answer = server.run(experiment, *start, figures=figures)
    assert answer["exit"] == 0, answer["output"]


def kill_and_finish(server, whole, out, seed):
    """Kill a run up to three times at random moments, then let it end."""
    experiment, options, expected, unharmed = whole
    rng = np.random.default_rng(seed)
    kills = 0
    for _ in range(rng.integers(1, 4)):
        there = (out / "config.toml").exists()
        start = ("--resume", out) if there else (*options, "--out", out)
        moment = rng.uniform(0, 1) * unharmed["seconds"]
        answer = server.run(experiment, *start, kill_after=moment, figures=False)
        kills += answer["exit"] == -9
    finish(server, experiment, options, out)
    assert contents(out) == contents(expected)
    return kills


def test_killed_at_random_moments(server, whole, tmp_path):
    kills = seed = 0
    while kills < EVERYDAY_KILLS:
        assert seed < 4 * EVERYDAY_KILLS  # or hardly any met a living process
        kills += kill_and_finish(server, whole, tmp_path / f"run-{seed}", seed)
        seed += 1


@pytest.mark.full_matrix
@pytest.mark.timeout(1800)
def test_kill_matrix(server, whole, tmp_path):
    kills = sum(kill_and_finish(server, whole, tmp_path / f"run-{seed}", 100 + seed) for seed in range(MATRIX_RUNS))
    assert kills >= MATRIX_RUNS / 2  # most of them met a living process


def everyday_faults(whole):
    """A fault for each site to fail at: all sites, or two where another engine's runs have failed at the rest."""
    experiment, _, _, unharmed = whole
    sites = unharmed["sites"]
    if not ON_TORCH:
        sites = [sites[len(sites) // 3], sites[2 * len(sites) // 3]]
    elif experiment != "names":
        sites = [site for site in sites if SITES_OF_CIFAR.search(site[1])]
    # What is done twice or more is killed the first time and fails the last time; the rest by turns.
    times, lone, errors = Counter(site[:2] for site in sites), itertools.cycle((True, False)), itertools.cycle(ERRORS)
    killed = [site[2] == 1 if times[site[:2]] > 1 else next(lone) for site in sites]
    return [(site, "SIGKILL" if kill else next(errors)) for site, kill in zip(sites, killed, strict=True)]


def fail_and_finish(server, whole, out, at, fault):
    """Let one write of a run, by its number or its site, fail or kill it, and the run end."""
    experiment, options, expected, unharmed = whole
    figures = at > unharmed["first_figure"] if isinstance(at, int) else at[1].startswith("figures")
    how = {"watched": str(out), "fault_at": at, "fault": fault, "figures": figures}
    answer = server.run(experiment, *options, "--out", out, **how)
    if fault == "SIGKILL":
        assert answer["exit"] == -9, at
    elif answer["exit"] == 2:
        (line,) = answer["output"].splitlines()
        assert str(out) in line
    else:
        assert answer["exit"] == 0
    finish(server, experiment, options, out, figures)
    assert contents(out, figures) == contents(expected, figures), at


def test_killed_or_failing_where_it_writes(server, whole, tmp_path):
    for number, (at, fault) in enumerate(everyday_faults(whole)):
        fail_and_finish(server, whole, tmp_path / f"run-{number}", at, fault)


@pytest.mark.one_engine
@pytest.mark.full_matrix
@pytest.mark.timeout(3600)
def test_killed_at_every_write(server, whole, tmp_path):
    for number in range(1, whole[-1]["drawn_writes"] + 1):
        fail_and_finish(server, whole, tmp_path / f"run-{number}", number, "SIGKILL")


@pytest.mark.one_engine
@pytest.mark.full_matrix
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("error", ERRORS)
def test_every_write_fails(server, whole, tmp_path, error):
    # Every write fails in one of the three ways, or this would take three times as long.
    for number in range(1 + ERRORS.index(error), whole[-1]["drawn_writes"] + 1, len(ERRORS)):
        fail_and_finish(server, whole, tmp_path / f"run-{number}", number, error)


@pytest.mark.one_engine
def test_disk_that_fills_up_within_a_file(server, whole, tmp_path):
    experiment, options, expected, _ = whole
    out = tmp_path / "run"
    answer = server.run(experiment, *options, "--out", out, largest_file=6000, figures=False)
    assert answer["exit"] == 2
    (line,) = answer["output"].splitlines()
    assert f"--resume {out}" in line
    finish(server, experiment, options, out)
    assert contents(out) == contents(expected)


SELDOM = ("--checkpoint-seconds", 1000)  # only Ctrl-C saves anything


@pytest.mark.parametrize("share", [pytest.param(0.3, marks=pytest.mark.one_engine), 0.6])
def test_interrupted_once(server, whole, tmp_path, share):
    experiment, options, expected, unharmed = whole
    out = tmp_path / "run"
    number = int(share * len(unharmed["writes"]))
    how = {"watched": str(out), "fault_at": number, "fault": "SIGINT", "figures": False}
    answer = server.run(experiment, *options, "--out", out, **how)
    assert answer["exit"] == 130
    last = answer["output"].splitlines()[-1]
    if (out / "config.toml").exists():
        assert last == f"keras-dnnts: interrupted: resume with: keras-dnnts {experiment} --resume {out}"
    else:
        assert last == "keras-dnnts: interrupted"
    finish(server, experiment, options, out)
    assert contents(out) == contents(expected)


@pytest.mark.one_engine
def test_interrupted_twice(server, whole, tmp_path):
    experiment, options, expected, unharmed = whole
    out = tmp_path / "run"
    moment = 0.5 * unharmed["seconds"]
    answer = server.run(experiment, *options, "--out", out, interrupt_after=[moment, moment + 0.01], figures=False)
    assert answer["exit"] in (130, 0)
    if answer["exit"] == 130:
        finish(server, experiment, options, out)
    assert contents(out) == contents(expected)


@pytest.mark.one_engine
def test_fast_recipe_interrupted_within_its_training(server, options, tmp_path):
    """Its rate falls with every step, its images grow, it has no validation, and it ends with an average."""
    expected, out, how = tmp_path / "whole", tmp_path / "run", {"figures": False}
    answer = server.run("cifar", *options["fast"], "--out", expected, watched=str(expected), **how)
    assert answer["exit"] == 0, answer["output"]
    saves = [number for number, (_, path) in enumerate(answer["writes"]) if "training-seed" in path]
    fault = {"watched": str(out), "fault_at": saves[len(saves) // 2], "fault": "SIGINT"}
    assert server.run("cifar", *options["fast"], "--out", out, **fault, **how)["exit"] == 130
    finish(server, "cifar", options["fast"], out)
    assert contents(out) == contents(expected)


def test_interrupted_training_keeps_what_it_had_reached(server, options, tmp_path):
    """A long run, stopped in its middle, has lost nothing but the running chunk."""
    long = (*options["names"], *SELDOM, "--iterations", 3_000_000, "--seeds", 1)
    for seconds in (4.0, 8.0, 16.0, 32.0):  # a busy machine may not have begun to train when the first are over
        out = tmp_path / f"run-{seconds}"
        answer = server.run("names", *long, "--out", out, interrupt_after=[seconds], figures=False)
        assert answer["exit"] == 130
        if (state := Checkpoints(out / "checkpoints").load_training(0)) and state["epochs"] > 1:
            break
    assert len(answer["output"].splitlines()) == 2
    assert state["epochs"] == len(state["parts"]["history"]["losses"]) > 1
    with (out / "history.csv").open() as file:
        assert len(list(csv.DictReader(file))) == state["epochs"]
