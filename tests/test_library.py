"""The package as a library: public names, their examples, and an import that costs nothing."""

import doctest
import inspect
import subprocess
import sys
import tempfile
from dataclasses import replace

import keras
import matplotlib.pyplot as plt
import pytest
from PIL import Image

import keras_dnnts
from keras_dnnts import (
    CifarConfig,
    NamesConfig,
    compare_runs,
    export_model,
    load_result,
    predict_images,
    predict_names,
    run,
    run_cifar,
    run_names,
    write_report,
)
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
    small = CifarConfig(dataset="digits", image_size=63, width=0.02, train_images=40, epochs=1, embedding_images=9)
    run_cifar(replace(small, batch_size=20, backend=config.backend), folder / "runs" / "digits")
    (folder / "photos").mkdir()
    Image.new("RGB", (32, 32), (90, 160, 30)).save(folder / "photos" / "one.png")
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


class CountEpochs(keras.callbacks.Callback):
    def __init__(self, stop_after=None):
        super().__init__()
        self.epochs, self.stop_after = 0, stop_after

    def on_epoch_end(self, epoch, logs=None):
        assert logs["loss"] > 0
        self.epochs += 1
        if self.epochs == self.stop_after:
            raise KeyboardInterrupt


def small_run(**options):
    backend = keras.backend.backend()
    return NamesConfig(dataset="starter", hidden_units=4, checkpoint_seconds=0, backend=backend, **options)


def test_callbacks_see_every_epoch_of_every_seed():
    counter = CountEpochs()
    run_names(small_run(iterations=2500, seeds=2), callbacks=[counter])
    assert counter.epochs == 6


def test_a_stopped_run_is_resumed_to_the_same_end(tmp_path):
    config = small_run(iterations=4000)
    with pytest.raises(KeyboardInterrupt):
        run_names(config, tmp_path / "run", callbacks=[CountEpochs(stop_after=3)])
    with pytest.raises(UserError, match="run: holds an interrupted run; resume it with resume"):
        run_names(config, tmp_path / "run")
    with pytest.raises(UserError, match="was started with iterations 4000, not with 5000"):
        run_names(replace(config, iterations=5000), tmp_path / "run", resume=True)
    counter = CountEpochs()
    result = run_names(config, tmp_path / "run", resume=True, callbacks=[counter])
    assert counter.epochs == 2  # the third was stopped before it was saved
    assert result.metrics["final_loss"] == run_names(config).metrics["final_loss"]
    assert run_names(config, tmp_path / "run", resume=True).metrics == result.metrics


def test_errors_name_the_arguments_of_the_function(finished_runs, tmp_path):
    folder = finished_runs / "runs" / "gru"
    with pytest.raises(UserError, match=r"^folder .*gru: is not empty; name another folder, or add overwrite to"):
        run(small_run(iterations=10), folder)
    with pytest.raises(UserError, match=r"^resume needs a folder$"):
        run(small_run(iterations=10), resume=True)
    with pytest.raises(UserError, match=r"^give either resume or overwrite$"):
        run(small_run(iterations=10), folder, resume=True, overwrite=True)
    assert run(small_run(iterations=10), tmp_path / "new", overwrite=True).config["iterations"] == 10
    assert run(small_run(iterations=20), tmp_path / "new", overwrite=True).config["iterations"] == 20
    (tmp_path / "file").touch()
    for write in (
        lambda: write_report(folder, tmp_path / "file" / "page.html"),
        lambda: compare_runs([folder], tmp_path / "file"),
        lambda: export_model(folder, tmp_path / "file"),
    ):
        with pytest.raises(UserError, match="file"):
            write()


def test_pages_comparisons_and_models_from_python(finished_runs, tmp_path):
    folder = finished_runs / "runs" / "gru"
    assert write_report(folder, tmp_path / "page.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    found = compare_runs([folder, folder], tmp_path / "compared", html=True)
    assert {path.name for path in (tmp_path / "compared").iterdir()} >= {"comparison.json", "report.html"}
    metrics = next(iter(found["runs"].values()))["metrics"]
    assert metrics["final_loss"]["mean"] == load_result(folder).metrics["final_loss"].mean
    assert export_model(folder, tmp_path / "model.onnx").stat().st_size > 1000


def test_images_are_predicted_by_runs_of_images(finished_runs):
    (prediction,) = predict_images(finished_runs / "runs" / "digits", [finished_runs / "photos"], top=99)
    assert prediction.input == str(finished_runs / "photos" / "one.png")
    assert sum(share for _, share in prediction.guesses) == pytest.approx(1, abs=1e-5)
    with pytest.raises(UserError, match="is not a model of images"):
        predict_images(finished_runs / "runs" / "gru", [finished_runs / "photos"])
