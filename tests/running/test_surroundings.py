"""What a person's settings and the system's state must not do to a run."""

import os
import warnings
from pathlib import Path

import keras
import pytest

from keras_dnnts.errors import UserError
from keras_dnnts.figures.style import STYLE, styled
from keras_dnnts.running import surroundings
from keras_dnnts.running.runtime import choose_backend, start_engine
from tests.names_folders import call

ENGINE = keras.backend.backend()


@pytest.mark.every_engine
def test_settings_of_keras_are_those_of_every_run(monkeypatch):
    monkeypatch.setenv("KERAS_MAX_EPOCHS", "1")
    keras.config.set_floatx("float16")
    keras.config.set_dtype_policy("mixed_float16")
    keras.config.set_epsilon(0.1)
    keras.config.set_image_data_format("channels_first")
    keras.config.set_max_epochs(1)
    keras.config.set_max_steps_per_epoch(1)
    choose_backend(ENGINE, "auto")
    start_engine()
    assert keras.config.floatx() == keras.config.dtype_policy().name == "float32"
    assert (keras.config.epsilon(), keras.config.image_data_format()) == (1e-7, "channels_last")
    assert keras.config.max_epochs() is keras.config.max_steps_per_epoch() is None
    assert "KERAS_MAX_EPOCHS" not in os.environ


@pytest.mark.every_engine
@pytest.mark.skipif(ENGINE != "jax", reason="about JAX")
def test_settings_of_jax_are_those_of_every_run():
    import jax

    jax.config.update("jax_enable_x64", True)
    jax.config.update("jax_debug_nans", True)
    start_engine()
    assert not jax.config.jax_enable_x64
    assert not jax.config.jax_debug_nans


@pytest.mark.skipif(ENGINE != "torch", reason="about torch")
def test_device_of_the_environment_that_is_not_there(monkeypatch):
    monkeypatch.setenv("KERAS_TORCH_DEVICE", "abacus")
    with pytest.raises(UserError, match="KERAS_TORCH_DEVICE is 'abacus'"):
        choose_backend("torch", "auto")


def test_a_matplotlibrc_changes_no_figure():
    import matplotlib

    before = dict(matplotlib.rcParams)
    with matplotlib.rc_context({"text.usetex": True, "lines.linewidth": 9, "font.size": 30}):
        inside = styled(lambda: dict(matplotlib.rcParams))()
    assert not inside["text.usetex"]
    assert inside["lines.linewidth"] == matplotlib.rcParamsDefault["lines.linewidth"]
    assert inside["font.size"] == STYLE["font.size"]
    assert dict(matplotlib.rcParams) == before


def test_a_working_folder_that_is_gone_is_one_line(tmp_path, monkeypatch, capsys):
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert call("data") == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "working folder" in line


def test_without_a_home_no_folder_is_called_so(monkeypatch):
    def refuse(cls):
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", classmethod(refuse))
    monkeypatch.setenv("HOME", "")
    surroundings.settle_surroundings()
    assert os.environ["HOME"] == surroundings.NO_HOME


def test_numbers_of_threads_that_are_none_are_ignored(monkeypatch):
    monkeypatch.setenv("NUMBA_NUM_THREADS", "0")
    monkeypatch.setenv("NUMBA_CACHE_DIR", "/kept")
    surroundings.ignore_environment()
    assert "NUMBA_NUM_THREADS" not in os.environ
    assert os.environ["NUMBA_CACHE_DIR"] == "/kept"
    for value, kept in {"0": False, "many": False, "": False, "2": True, "4, 2": True}.items():
        monkeypatch.setenv("OMP_NUM_THREADS", value)
        surroundings.settle_surroundings()
        assert ("OMP_NUM_THREADS" in os.environ) == kept, value


def test_warnings_are_no_errors_of_a_run():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        surroundings.settle_surroundings()
        warnings.warn("of some library", stacklevel=1)


def test_threads_wait_passively_unless_told_otherwise(monkeypatch):
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    monkeypatch.setenv("GOMP_SPINCOUNT", "7")
    surroundings.settle_surroundings()
    assert os.environ["OMP_WAIT_POLICY"] == "PASSIVE"
    assert os.environ["GOMP_SPINCOUNT"] == "7"
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
    monkeypatch.delenv("GOMP_SPINCOUNT")
    surroundings.settle_surroundings()
    assert os.environ["OMP_WAIT_POLICY"] == "ACTIVE"
    assert "GOMP_SPINCOUNT" not in os.environ
    monkeypatch.delenv("OMP_WAIT_POLICY")
    surroundings.settle_surroundings()
    assert os.environ["GOMP_SPINCOUNT"] == "1000"
