import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import skip_unless_asked_for

ENGINES = ("torch", "jax", "tensorflow")
MODELS = ("rnn", "gru", "lstm", "alexnet", "resnet50")

pytestmark = pytest.mark.cross_backend


@pytest.fixture(scope="module")
def saved(request, tmp_path_factory):
    """A folder of models that every engine saved, and their outputs on every engine."""
    if missing := [engine for engine in ENGINES if not importlib.util.find_spec(engine)]:
        skip_unless_asked_for(request, "cross_backend", f"not installed: {', '.join(missing)}")
    folder = tmp_path_factory.mktemp("saved")
    for task in ("save", "load"):
        for engine in ENGINES:
            run_on(engine, task, folder)
    return folder


def run_on(engine, task, folder):
    environment = {**os.environ, "KERAS_BACKEND": engine}
    command = [sys.executable, "-m", "tests.saved_models", task, folder]
    run = subprocess.run(command, cwd=Path(__file__).parents[1], env=environment, capture_output=True, text=True)
    assert run.returncode == 0, f"{task} on {engine}:\n{run.stderr}"


@pytest.mark.parametrize("loading", ENGINES)
@pytest.mark.parametrize("saving", ENGINES)
@pytest.mark.parametrize("model", MODELS)
def test_outputs_move_between_engines(saved, model, saving, loading):
    expected = np.load(saved / f"{model}.{saving}.npy")
    outputs = np.load(saved / f"{model}.{saving}.on_{loading}.npy")
    assert expected.std(axis=0).min() > 0
    np.testing.assert_allclose(outputs, expected, rtol=0, atol=1e-5 * abs(expected).max())


@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
def test_one_seed_starts_from_the_same_weights_everywhere(saved, cell):
    outputs = [np.load(saved / f"{cell}.{engine}.npy") for engine in ENGINES]
    for other in outputs[1:]:
        np.testing.assert_allclose(other, outputs[0], rtol=0, atol=1e-5)
