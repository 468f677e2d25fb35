"""What ``--device auto`` means, on a machine that seems to have a GPU."""

import os

import pytest

from keras_dnnts import CifarConfig, NamesConfig
from keras_dnnts.errors import UserError
from keras_dnnts.running import run, runtime

DEVICE_OF = {"torch": "KERAS_TORCH_DEVICE", "jax": "JAX_PLATFORMS", "tensorflow": "CUDA_VISIBLE_DEVICES"}


@pytest.fixture(params=DEVICE_OF)
def engine(request, monkeypatch):
    """Each engine, as if it were installed, in a process of this package's that has none yet."""
    monkeypatch.setattr(os, "environ", {"PATH": ""})
    monkeypatch.setattr(runtime.importlib.util, "find_spec", lambda name: name)
    monkeypatch.setattr(runtime, "_check_not_running", lambda backend: None)
    monkeypatch.setattr(runtime, "is_own_process", lambda: True)
    monkeypatch.setattr(runtime, "_torch_has", lambda device: True)
    return request.param


@pytest.mark.parametrize("model", ["rnn", "gru", "lstm", "own.py:build"])
def test_updates_after_single_names_stay_on_the_cpu(model):
    assert NamesConfig(model=model).automatic_device == "cpu"


@pytest.mark.parametrize("config", [NamesConfig(model="char-cnn"), NamesConfig(model="bi-gru"), CifarConfig()])
def test_batches_take_what_the_engine_takes(config):
    assert config.automatic_device is None


def test_the_cpu_is_chosen_before_the_engine_is_imported(engine):
    runtime.choose_backend(engine, "auto", "cpu")
    assert os.environ[DEVICE_OF[engine]] == {"tensorflow": "-1"}.get(engine, "cpu")


def test_nothing_is_chosen_for_batches(engine):
    runtime.choose_backend(engine, "auto", None)
    assert DEVICE_OF[engine] not in os.environ


def test_nothing_is_chosen_for_another_programs_process(engine, monkeypatch):
    monkeypatch.setattr(runtime, "is_own_process", lambda: False)
    runtime.choose_backend(engine, "auto", "cpu")
    assert DEVICE_OF[engine] not in os.environ


def test_a_device_that_is_asked_for_is_taken(engine, monkeypatch):
    chosen = []
    monkeypatch.setitem(runtime._DEVICES, engine, chosen.append)
    runtime.choose_backend(engine, "cuda", "cpu")
    assert chosen == ["cuda"]
    assert DEVICE_OF[engine] not in os.environ


def test_the_environments_device_of_torch_is_taken(monkeypatch):
    monkeypatch.setenv("KERAS_TORCH_DEVICE", "cuda:1")
    monkeypatch.setattr(runtime, "is_own_process", lambda: True)
    monkeypatch.setattr(runtime, "_torch_has", lambda device: device == "cuda:1")
    runtime.choose_backend("torch", "auto", "cpu")
    assert os.environ["KERAS_TORCH_DEVICE"] == "cuda:1"


def test_a_run_says_what_its_config_says(monkeypatch):
    said = []

    def choose(*arguments):
        said.append(arguments)
        raise UserError("far enough")

    monkeypatch.setattr(run, "choose_backend", choose)
    for model in ("gru", "char-cnn"):
        with pytest.raises(UserError, match="far enough"):
            run.run_study(NamesConfig(model=model, backend="jax"), directory=None)
    assert said == [("jax", "auto", "cpu"), ("jax", "auto", None)]
