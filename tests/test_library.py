"""The package as a library: public names, their examples, and an import that costs nothing."""

import doctest
import inspect
import subprocess
import sys
import tempfile

import keras
import matplotlib.pyplot as plt
import pytest

import keras_dnnts
from keras_dnnts import NamesConfig, predict_names, run_names
from keras_dnnts.errors import UserError
from tests.finished_runs import cifar_result

pytestmark = pytest.mark.one_engine

ENGINES = ("torch", "jax", "tensorflow", "keras", "numpy", "matplotlib")
HAS_TORCH = keras.backend.backend() == "torch"


@pytest.fixture(scope="module")
def finished_runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("examples")
    (folder / "runs").mkdir()
    (folder / "runs" / "alexnet").mkdir()
    cifar_result().save(folder / "runs" / "alexnet")
    config = NamesConfig(dataset="starter", hidden_units=8, iterations=400, backend=keras.backend.backend())
    run_names(config, folder / "runs" / "gru")
    return folder


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


@pytest.mark.skipif(not HAS_TORCH, reason="the examples run on the default backend")
@pytest.mark.parametrize("name", keras_dnnts.__all__)
def test_every_public_object_has_an_example_that_works(name, finished_runs, monkeypatch):
    monkeypatch.chdir(finished_runs)
    documented = inspect.unwrap(getattr(keras_dnnts, name))
    examples = doctest.DocTestParser().get_doctest(inspect.getdoc(documented), {}, name, None, None)
    assert examples.examples
    report = []
    outcome = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE).run(examples, out=report.append)
    assert outcome.failed == 0, "".join(report)


def test_importing_the_package_imports_nothing_heavy():
    code = f"import sys, keras_dnnts; print([name for name in {ENGINES} if name in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_public_names_are_listed_and_others_refused():
    assert set(keras_dnnts.__all__) <= set(dir(keras_dnnts))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = keras_dnnts.nothing


def test_a_run_without_a_folder_finds_the_same_and_leaves_no_files(finished_runs, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    config = NamesConfig(dataset="starter", hidden_units=8, iterations=400, backend=keras.backend.backend())
    result, kept = run_names(config), keras_dnnts.load_result(finished_runs / "runs" / "gru")
    assert result.metrics["final_loss"] == kept.metrics["final_loss"]
    assert not list(tmp_path.iterdir())


def test_predicting_names_needs_a_names_run(finished_runs):
    with pytest.raises(UserError):
        predict_names(finished_runs / "runs" / "alexnet", ["Hinton"])
    (prediction,) = predict_names(finished_runs / "runs" / "gru", ["Hintón"], top=99)
    assert prediction.read_as == "Hinton"
    assert len(prediction.guesses) == 18
