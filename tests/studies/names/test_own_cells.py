"""A model from a person's own file goes the whole way in the names study, and runs only where it is named."""

import hashlib
import json
import shutil
from pathlib import Path

import keras
import numpy as np
import pytest

from keras_dnnts.config import load_config
from keras_dnnts.results import load_result
from keras_dnnts.studies.names import callbacks
from tests.names_folders import call, write_names
from tests.studies.names import own_cells

pytestmark = [pytest.mark.one_engine, pytest.mark.slow]
SOURCE = Path(own_cells.__file__)
SMALL = ("--hidden-units", 8, "--iterations", 3000, "--quiet", "--checkpoint-seconds", 0)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with a person's file, names, and a run of the one on the other."""
    folder = tmp_path_factory.mktemp("own")
    shutil.copy(SOURCE, folder / "my_cell.py")
    data = write_names(folder / "names")
    assert (
        call("names", "--data-dir", data, "--cell", folder / "my_cell.py:build_model", *SMALL, "--out", folder / "run")
        == 0
    )
    return folder


def one_line(capsys):
    (line,) = capsys.readouterr().err.splitlines()
    return line


def test_results_page_and_copy(home):
    result = load_result(home / "run")
    assert result.model_name == "build_model"
    assert result.reported == {}
    assert result.arrays["loss"][0, -1] < result.arrays["loss"][0, 0]
    assert (home / "run" / "model.py").read_bytes() == SOURCE.read_bytes()
    assert result.environment["model_code"] == f"sha256:{hashlib.sha256(SOURCE.read_bytes()).hexdigest()}"
    page = (home / "run" / "report.html").read_text(encoding="utf-8")
    assert "build_model" in page and "Letter by letter" in page
    assert "reported by the reference" not in page


def test_predictions_are_the_models(home, capsys):
    model = f"{home / 'my_cell.py'}:build_model"
    assert call("predict", home / "run", "Arwen", "Gimli", "--json", "--cell", model) == 0
    predictions = json.loads(capsys.readouterr().out)["predictions"]
    objects = {"MeanOverLetters": own_cells.MeanOverLetters}
    loaded = keras.saving.load_model(home / "run" / "model-seed-0.keras", compile=False, custom_objects=objects)
    alphabet = load_config(home / "run" / "config.toml").letters
    letters = np.array([[alphabet.index(letter) for letter in name] for name in ("Arwen", "Gimli")], "int32")
    expected = np.exp(loaded.predict((letters, np.full(2, 5, "int32")), verbose=0))
    for prediction, row in zip(predictions, expected, strict=True):
        found = [guess["probability"] for guess in prediction["guesses"]]
        np.testing.assert_allclose(found, np.sort(row)[::-1][: len(found)], atol=1e-5)


def test_code_runs_only_where_it_is_named(home, capsys):
    for command in (("predict", home / "run", "Arwen"), ("run", home / "run" / "config.toml")):
        assert call(*command) == 2
        assert f"add --model {home / 'my_cell.py'}:build_model" in one_line(capsys)
    assert call("predict", home / "run", "Arwen", "--cell", f"{home / 'my_cell.py'}:build_one_input") == 2
    assert "build_one_input" in one_line(capsys)


def test_a_toml_file_runs_where_its_code_is_named(home, tmp_path):
    model = f"{home / 'my_cell.py'}:build_model"
    options = ("--set", "iterations=2", "--quiet", "--out", tmp_path / "again")
    assert call("run", home / "run" / "config.toml", "--cell", model, *options) == 0
    assert load_config(tmp_path / "again" / "config.toml").iterations == 2


def test_a_changed_file_is_one_line(home, tmp_path, capsys):
    changed = tmp_path / "my_cell.py"
    changed.write_text(SOURCE.read_text(encoding="utf-8") + "\n# another\n", encoding="utf-8")
    assert call("predict", home / "run", "Arwen", "--cell", f"{changed}:build_model") == 2
    assert "has changed since" in one_line(capsys)


def test_an_interrupted_run_goes_on_where_its_code_is_named(home, tmp_path, capsys, monkeypatch):
    model, out = f"{home / 'my_cell.py'}:build_model", tmp_path / "run"
    advance = callbacks.UpdateProgress.on_epoch_end

    def fail(self, epoch, logs=None):
        if epoch == 1:
            raise MemoryError
        advance(self, epoch, logs)

    with monkeypatch.context() as patched:
        patched.setattr(callbacks.UpdateProgress, "on_epoch_end", fail)
        assert call("names", "--data-dir", home / "names", "--cell", model, *SMALL, "--out", out) == 2
    assert f"--resume {out} --model {model}" in one_line(capsys)
    assert call("names", "--resume", out) == 2
    assert "add --model" in one_line(capsys)
    assert call("names", "--resume", out, "--cell", model) == 0
    expected, found = load_result(home / "run"), load_result(out)
    np.testing.assert_array_equal(found.arrays["loss"], expected.arrays["loss"])
    np.testing.assert_array_equal(found.arrays["confusion_held_out"], expected.arrays["confusion_held_out"])


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        ("build_too_few_classes", "log-probabilities (None, 3)"),
        ("build_one_input", "letters (batch, time) and lengths (batch,)"),
        ("build_nothing", "has no function build_nothing"),
    ],
)
def test_models_that_do_not_fit_are_one_line(home, tmp_path, capsys, function, reason):
    model = f"{home / 'my_cell.py'}:{function}"
    assert call("names", "--data-dir", home / "names", "--cell", model, *SMALL, "--out", tmp_path / "run") == 2
    assert reason in one_line(capsys)
    assert not (tmp_path / "run").exists()
