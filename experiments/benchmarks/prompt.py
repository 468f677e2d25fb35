"""Whole commands, from one shell prompt to the next, in turns with `import keras`, and what takes their time."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from experiments.benchmarks.timing import Row, Side, compare, seconds_of

IMPORT = "import keras"
# Prints as JSON how many seconds some functions took, whatever else ran beside them.
PROCESS = """
import importlib, json, sys, time
seconds = {}
def count(name, module, owner, function):
    place = importlib.import_module(module)
    place = getattr(place, owner) if owner else place
    whole = getattr(place, function)
    def timed(*args, **kwargs):
        began = time.perf_counter()
        try:
            return whole(*args, **kwargs)
        finally:
            seconds[name] = seconds.get(name, 0.0) + time.perf_counter() - began
    setattr(place, function, timed)
start = time.perf_counter()
import keras_dnnts.cli.experiment
seconds["importing what commands share"] = time.perf_counter() - start
count("reading the data", *json.loads(sys.argv[1]))
count("starting the engine", "keras_dnnts.running.run", "", "start_engine")
count("live page, beside training", "keras_dnnts.cli.experiment", "", "write_live_page")
count("report and figures", "keras_dnnts.cli.finishing", "Finishers", "finish")
runs = importlib.import_module("keras_dnnts.running.run")
start_engine = runs.start_engine
def start_and_count():
    start_engine()  # what trains imports it
    for owner in json.loads(sys.argv[2]):
        for name, function in (("preparing", "prepare"), ("training", "train"), ("evaluating", "finish")):
            count(name, *owner, function)
    if "names" in sys.argv:
        count("baselines, beside training", "keras_dnnts.studies.names.train", "", "measure_beside")
        count("curve of accuracy", "keras_dnnts.studies.names.callbacks", "SampleHistory", "on_epoch_end")
runs.start_engine = start_and_count
from keras_dnnts.cli import main
try:
    main(sys.argv[3:])
finally:
    print(json.dumps(seconds))
"""
NAMES, CIFAR = "keras_dnnts.studies.names", "keras_dnnts.studies.cifar"


def list_commands(names: Path | None) -> dict[str, list[str]]:
    """The arguments of every command that is timed."""
    data = ["--data-dir", str(names)] if names else ["--dataset", "starter"]
    return {
        "names --model markov": ["names", "--model", "markov", *data],
        "names --model ngram-logistic": ["names", "--model", "ngram-logistic", *data],
        "names --cell gru": ["names", "--cell", "gru", "--iterations", "100000", *data],
        "cifar on digits, 3 epochs at 64": ["cifar", "--dataset", "digits", "--image-size", "64", "--epochs", "3"],
    }


def measure(engine: str, names: Path | None, quick: bool) -> list[Row]:
    """Time the commands; the first turn, which fills caches, does not count."""
    rows = []
    for title, arguments in list_commands(names).items():
        sides = {
            IMPORT: Side(lambda: _run(["-c", "import keras"])),
            "whole": Side(lambda arguments=arguments: _run_command(["-m", "keras_dnnts"], arguments, engine)),
        }
        for side in sides.values():
            side.run()
        turns = [{name: seconds_of(side.run) for name, side in sides.items()} for _ in range(2 if quick else 5)]
        seconds = {name: np.array([turn[name] for turn in turns]) for name in sides}
        rows += compare(f"{title}, prompt to prompt", engine, seconds, IMPORT, "s", 1.0)
        rows += [
            Row(f"{title}, prompt to prompt", f"of it: {what}", engine, share, "s")
            for what, share in _find_shares(arguments, engine).items()
        ]
    return rows


def _find_shares(arguments: list[str], engine: str) -> dict[str, float]:
    study = NAMES if arguments[0] == "names" else CIFAR
    is_trained = "--model" not in arguments
    trainings = [(f"{study}.train", "NamesTraining" if study == NAMES else "CifarTraining")] if is_trained else []
    reading = json.dumps([f"{study}.data", "", "load_data"])
    printed = _run_command(["-c", PROCESS, reading, json.dumps(trainings)], arguments, engine)
    shares: dict[str, Any] = json.loads(printed.splitlines()[-1])
    return shares


def _run_command(how: list[str], arguments: list[str], engine: str) -> str:
    with tempfile.TemporaryDirectory() as folder:
        given = ["--backend", engine] if "--model" not in arguments else []
        return _run([*how, *arguments, *given, "--quiet", "--out", f"{folder}/run"])


def _run(arguments: list[str]) -> str:
    done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=True, env=os.environ)
    return done.stdout
