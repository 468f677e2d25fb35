"""What importing Keras brings along, and that nothing is lost by leaving it out."""

import json
import os
import subprocess
import sys
import types

import keras
import pytest

from keras_dnnts.light_imports import DYNAMO, never_compiled

ENGINE = keras.backend.backend()
# Prints which of the heavy modules there are after a start of the engine, and after what needs them.
START = """
import json, logging, sys
from keras_dnnts.running.runtime import choose_backend, progress_logger, start_engine
from keras_dnnts.running.surroundings import settle_surroundings
if sys.argv[2] == "command":
    settle_surroundings()
choose_backend(sys.argv[1], "auto")
logging.basicConfig(format="said: %(message)s")
progress_logger.setLevel(logging.INFO)
start_engine()
start_engine()
import keras_dnnts.backend, keras_dnnts.studies.names.models, keras_dnnts.studies.cifar.models
heavy = ["sklearn", "matplotlib", "jax", "tensorflow", "torch", "torch._dynamo"]
print(json.dumps([name for name in heavy if name in sys.modules]))
import matplotlib.pyplot, sklearn.linear_model
"""
COMPILE = """
import keras, torch
before = keras.random.normal((3,), seed=1)
compiled = torch.compile(lambda values: values + keras.random.normal((3,), seed=1), backend="eager")
assert torch.equal(compiled(torch.ones(3)), before + 1)
assert sys.modules["torch._dynamo"].__file__
"""


RUN = """
import sys
from keras_dnnts.cli import main
try:
    main(["names", "--cell", "gru", "--iterations", "5", "--hidden-units", "4", "--dataset", "starter",
          "--out", sys.argv[1]])
except SystemExit as end:
    assert end.code == 0
left_out = {"sklearn", "matplotlib", "scipy.stats", "jax", "tensorflow", "torch._dynamo", "torch.onnx"}
assert not left_out & sys.modules.keys(), left_out & sys.modules.keys()
"""
COMMANDS = """
import importlib, json, pkgutil, sys
import keras_dnnts.cli
for module in pkgutil.walk_packages(keras_dnnts.cli.__path__, "keras_dnnts.cli."):
    importlib.import_module(module.name)
heavy = {"keras", "sklearn", "matplotlib", "scipy", "numba", "jax", "tensorflow", "torch"}
print(json.dumps(sorted(heavy & sys.modules.keys())))
"""
needs_two_cores = pytest.mark.skipif(
    sys.platform != "linux" or len(os.sched_getaffinity(0)) < 2, reason="needs two cores of Linux"
)


def start(program, *arguments):
    done = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("said: starting") == 1
    return json.loads(done.stdout)


@pytest.mark.slow
@pytest.mark.every_engine
def test_a_command_imports_its_engine_and_little_else():
    assert start(START, ENGINE, "command") == [ENGINE]


def test_no_command_imports_anything_heavy_before_its_first_line():
    done = subprocess.run([sys.executable, "-c", COMMANDS], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("[]\n", "")


@pytest.mark.slow
@needs_two_cores  # or the run itself draws
@pytest.mark.skipif(ENGINE != "torch", reason="about torch")
def test_a_whole_run_imports_no_more(tmp_path):
    done = subprocess.run([sys.executable, "-c", RUN, tmp_path / "run"], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.slow
@pytest.mark.skipif(ENGINE != "torch", reason="about torch")
def test_functions_can_still_be_compiled_in_a_command():
    assert start(START + COMPILE, "torch", "command") == ["torch"]


@pytest.mark.slow
@pytest.mark.skipif(ENGINE != "torch", reason="about torch")
def test_a_person_s_own_process_gets_all_of_keras():
    wrapped = "import keras; keras.wrappers.SKLearnClassifier(keras.Sequential([keras.layers.Dense(2)]))\n"
    found = start(START + COMPILE + wrapped, "torch", "library")
    assert {"torch", "sklearn", "matplotlib"} <= {*found} and DYNAMO not in found


def test_what_is_never_compiled_is_kept_from_what_compiles(monkeypatch):
    disabled = []

    def disable(function, recursive):
        disabled.append((function, recursive))
        return lambda value: ("disabled", function(value))

    def double(value):
        """Twice."""
        return 2 * value

    call, shallow = never_compiled(double), never_compiled(recursive=False)(double)
    assert call.__doc__ == "Twice."
    monkeypatch.delitem(sys.modules, DYNAMO, raising=False)
    assert (call(3), shallow(4)) == (6, 8) and not disabled
    monkeypatch.setitem(sys.modules, DYNAMO, types.SimpleNamespace(disable=disable))
    assert (call(3), call(5), shallow(4)) == (("disabled", 6), ("disabled", 10), ("disabled", 8))
    assert disabled == [(double, True), (double, False)]
