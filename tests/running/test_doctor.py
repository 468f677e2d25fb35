"""`keras-dnnts doctor`: what is there, and what is missing for what."""

import keras
import pytest
from packaging.requirements import Requirement

from keras_dnnts.running import doctor
from tests.names_folders import call


def test_extras_say_what_is_missing_for_what(monkeypatch):
    requires = [
        "numpy",
        'no-such-package>=2; extra == "onnx"',
        'numpy>=999; extra == "mlflow"',
        'numpy>=1; extra == "jax"',
    ]
    monkeypatch.setattr(doctor.importlib.metadata, "requires", lambda package: requires)
    missing = {extra.name: extra.missing for extra in doctor.list_extras()}
    assert missing["onnx"] == ("no-such-package>=2",)
    assert missing["mlflow"] == ("numpy>=999",)
    assert missing["jax"] == missing["tensorboard"] == ()
    assert not doctor._is_met(Requirement("no-such-package"))


def test_engines_that_are_missing_or_broken_are_said_to_be(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(doctor, "BACKENDS", ("torch", "jax"))
    monkeypatch.setattr(doctor.importlib.util, "find_spec", lambda name: None if name == "jax" else object())
    monkeypatch.setattr(doctor, "_PROBE", "raise SystemExit('no driver')")
    torch, jax = doctor.examine_engines()
    assert torch.problem == "does not start: no driver"
    assert jax.version is None and jax.problem == "not installed: pip install 'keras_dnnts[jax]'"
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    assert call("doctor") == 2
    output = capsys.readouterr()
    assert "engine jax" in output.out and "cores can be used" in output.out
    assert output.err == "keras-dnnts: torch, the engine that runs use, does not start: no driver\n"


@pytest.mark.slow
def test_an_engine_that_is_there_lists_its_devices(monkeypatch):
    monkeypatch.setattr(doctor, "BACKENDS", (keras.backend.backend(),))
    (engine,) = doctor.examine_engines()
    assert engine.problem == ""
    assert engine.devices[-1] == "cpu"
