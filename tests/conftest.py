"""What must be settled before any test module imports Keras, and which tests run on which engine."""

import os
import re
import tempfile

import pytest
import torch  # before TensorFlow: the other way round, one process crashes
from hypothesis import settings

import keras_dnnts  # noqa: F401  names the backend

# Importing Keras reads and writes keras.json: never the user's own, nor that of a process beside this one.
keras_home = tempfile.TemporaryDirectory(prefix="keras-home-")
os.environ["KERAS_HOME"] = keras_home.name

# The tests' tensors are small: on a busy machine, threads that wait for each other made them ten times slower.
torch.set_num_threads(1)

# On a GPU, convolutions are compared with float32's precision, not with that of PyTorch's default there.
if torch.cuda.is_available():
    torch.backends.cudnn.allow_tf32 = False

# Tests that want more examples than usual ask for a multiple of the profile's.
settings.register_profile("full", max_examples=200, deadline=None)
settings.register_profile("everyday", max_examples=100, deadline=None)
settings.register_profile("ci", max_examples=25, deadline=None, derandomize=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE") or ("ci" if os.environ.get("CI") else "everyday"))

# Of a test's marks, the nearest of these counts: which engines run it.
ENGINE_MARKS = ("every_engine", "one_engine", "cross_backend")
new_variables = []  # not empty once the running test has made a Keras variable


def engine_mark(item):
    """``every_engine``, ``one_engine``, ``cross_backend``, or nothing for a test that uses no engine."""
    return next((mark.name for mark in item.iter_markers() if mark.name in ENGINE_MARKS), None)


def skip_unless_asked_for(request, mark, reason):
    """Skip a test that lacks something, or fail it if ``pytest -m`` names its mark: then it was meant to run."""
    asked_for = re.search(rf"(?<!not ){mark}\b", request.config.getoption("markexpr"))
    (pytest.fail if asked_for else pytest.skip)(reason)


def pytest_collection_modifyitems(config, items):
    """Leave to torch, the default engine, what is the same on every engine."""
    import keras

    if keras.backend.backend() == "jax":
        import jax

        if jax.default_backend() != "cpu":  # as torch's convolutions on a GPU
            jax.config.update("jax_default_matmul_precision", "float32")

    # Files that take long go first, so that processes that share the files out end at about the same time.
    slow_files = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow_files)
    if keras.backend.backend() == "torch":
        _notice_variables(keras)
        return
    kept = [item for item in items if engine_mark(item) == "every_engine"]
    config.hook.pytest_deselected(items=[item for item in items if item not in kept])
    items[:] = kept


def _notice_variables(keras):
    initialize = keras.Variable.__init__

    def noticed(self, *arguments, **options):
        new_variables[:] = [True]
        initialize(self, *arguments, **options)

    keras.Variable.__init__ = noticed


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup():
    new_variables.clear()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """Fail a test that uses an engine and does not say whether every engine should run it."""
    report = yield
    if call.when == "call" and report.passed and new_variables and not engine_mark(item):
        report.outcome = "failed"
        report.longrepr = (
            f"{item.nodeid} makes Keras variables: mark it every_engine, "
            "or one_engine if what it shows cannot depend on the engine (CONTRIBUTING.md)"
        )
    return report
