"""A network from a person's own file, with a layer of its own, through every command."""

import json

import keras
import numpy as np
import pytest

from keras_dnnts.own_models import SOURCE_COPY, source_hash
from keras_dnnts.results import load_result
from keras_dnnts.studies.cifar.train import CifarTraining
from tests.datasets.image_trees import encoded, write_folder
from tests.names_folders import call

pytestmark = pytest.mark.one_engine

NET = """
import keras


class Scaled(keras.layers.Layer):
    def __init__(self, factor, **kwargs):
        super().__init__(**kwargs)
        self.factor = factor

    def build(self, shape):
        self.shift = self.add_weight(shape=(shape[-1],), initializer="random_normal", name="shift")

    def call(self, inputs):
        return self.factor * inputs + self.shift

    def get_config(self):
        return {**super().get_config(), "factor": self.factor}


def build_net(image_size, classes, width=1.0):
    images = keras.Input((image_size, image_size, 3))
    maps = keras.layers.Conv2D(6, 3, strides=2, padding="same", activation="relu", name="tap1")(images)
    maps = Scaled(0.5)(keras.layers.BatchNormalization()(maps))
    maps = keras.layers.AveragePooling2D(2, padding="same")(keras.layers.Activation("tanh", name="tap2")(maps))
    features = keras.layers.GlobalAveragePooling2D(name="pre_logits")(maps)
    return keras.Model(images, keras.layers.Dense(classes, dtype="float32")(features))


def build_bare(image_size, classes, width=1.0):
    images = keras.Input((image_size, image_size, 3))
    features = keras.layers.Flatten()(keras.layers.MaxPooling2D(2)(images))
    return keras.Model(images, keras.layers.Dense(classes)(features))
"""
CLASSES = ("bee", "cow", "owl")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with images of three classes and a model file; the tests' cache."""
    folder = tmp_path_factory.mktemp("own")
    rng = np.random.default_rng(0)
    images = {
        f"{part}/{name}/{i}.png": encoded(rng.integers(0, 255, (9, 7, 3), dtype=np.uint8))
        for part, count in (("train", 14), ("test", 4))
        for name in CLASSES
        for i in range(count)
    }
    write_folder(folder / "images", images)
    (folder / "my_net.py").write_text(NET, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KERAS_DNNTS_CACHE", str(folder / "cache"))
        yield folder


def options(folder, function="build_net"):
    sizes = ("--image-size", 10, "--batch-size", 8, "--embedding-images", 6, "--epochs", 2)
    data = ("--data-dir", folder / "images", "--backend", keras.backend.backend())
    return ("--arch", f"{folder / 'my_net.py'}:{function}", *data, *sizes, "--quiet")


@pytest.fixture(scope="module")
def run(folder):
    assert call("cifar", *options(folder), "--out", folder / "run", figures=True) == 0
    return folder / "run"


def test_leaves_a_complete_run_with_a_copy_of_the_code(run, folder):
    result = load_result(run)
    assert result.model_name == "build_net"
    assert result.reported == {}
    assert (run / SOURCE_COPY).read_text(encoding="utf-8") == NET
    assert result.environment["model_code"] == source_hash(folder / "my_net.py")
    assert result.dataset["image_shape"] == [9, 7]
    assert result.arrays["activation_tap1"].shape == (3, 5, 5, 6)
    assert result.arrays["activation_tap2"].shape == (3, 5, 5, 6)
    assert "embedding_first" in result.arrays
    assert (run / "report.html").is_file()
    assert (run / "figures" / "activation_maps.png").is_file()


def test_commands_that_load_it_run_the_code_where_it_is_named(run, folder, tmp_path, capsys):
    named = ("--arch", f"{folder / 'my_net.py'}:build_net")
    capsys.readouterr()
    assert call("report", run, "--out", tmp_path / "page.html") == 0
    assert call("compare", run, run, "--out", tmp_path / "comparison") == 0
    capsys.readouterr()
    assert call("predict", run, folder / "images" / "test", *named, "--json", "--top-k", 3) == 0
    rows = json.loads(capsys.readouterr().out)["predictions"]
    right = [guess["probability"] for row in rows for guess in row["guesses"] if f"/{guess['class']}/" in row["input"]]
    assert -np.log(right).mean() == pytest.approx(load_result(run).metrics["test_loss"].mean, rel=1e-4)
    if keras.backend.backend() != "torch":
        return
    for package in ("onnxruntime", "onnxscript"):
        pytest.importorskip(package)
    assert call("export", run, "--format", "onnx", *named, "--out", tmp_path / "net.onnx") == 0
    assert "Largest difference" in capsys.readouterr().out


def test_without_the_name_no_code_runs(run, folder, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("keras_dnnts.own_models._import_file", lambda path: pytest.fail("code ran"))
    for command in (
        ("predict", run, folder / "images" / "test"),
        ("export", run, "--format", "onnx", "--out", tmp_path / "net.onnx"),
        ("run", run / "config.toml", "--out", tmp_path / "again"),
    ):
        capsys.readouterr()
        assert call(*command) == 2
        error = capsys.readouterr().err
        assert len(error.splitlines()) == 1, error
        assert "--arch" in error


def test_changed_code_is_one_line(run, folder, tmp_path, capsys):
    changed = tmp_path / "my_net.py"
    changed.write_text(NET + "\n", encoding="utf-8")
    capsys.readouterr()
    assert call("predict", run, folder / "images" / "test", "--arch", f"{changed}:build_net") == 2
    error = capsys.readouterr().err
    assert len(error.splitlines()) == 1, error
    assert "has changed" in error


def test_resumes_where_the_code_is_named_again(folder, tmp_path, capsys, monkeypatch):
    def stop(*_):
        raise OSError("the disk is gone")

    out = tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr(CifarTraining, "finish", stop)
        assert call("cifar", *options(folder), "--checkpoint-seconds", 0, "--out", out) == 2
    assert call("cifar", "--resume", out) == 2
    assert "--arch" in capsys.readouterr().err
    assert call("cifar", "--resume", out, "--arch", f"{folder / 'my_net.py'}:build_net", "--quiet") == 0
    assert load_result(out).metrics["epochs_run"].mean == 2


def test_a_network_without_taps_and_features_has_a_whole_run(folder, tmp_path):
    out = tmp_path / "run"
    knobs = ("--recipe", "reference", "--optimizer", "sgd", "--schedule", "cosine", "--label-smoothing", 0.1)
    assert (
        call("cifar", *options(folder, "build_bare"), *knobs, "--augmentation", "flip", "--out", out, figures=True) == 0
    )
    result = load_result(out)
    assert not [name for name in result.arrays if name.startswith(("activation", "embedding"))]
    assert result.details["neighbour_accuracy"] == {}
    drawn = {path.stem for path in (out / "figures").iterdir()}
    assert drawn == {"curves", "confusion_test", "mistakes"}
    assert (out / "report.html").is_file()
    assert result.config["weights"] == "last"
    assert result.config["augmentation"] == ["flip"]


@pytest.mark.skipif(keras.backend.backend() != "torch", reason="own networks are exported by torch")
def test_a_network_in_bfloat16_is_exported_in_float32(folder, tmp_path, capsys):
    for package in ("onnxruntime", "onnxscript"):
        pytest.importorskip(package)
    out, named = tmp_path / "run", ("--arch", f"{folder / 'my_net.py'}:build_net")
    assert call("cifar", *options(folder), "--precision", "bfloat16", "--out", out) == 0
    capsys.readouterr()
    assert call("export", out, "--format", "onnx", *named) == 0
    assert "Largest difference" in capsys.readouterr().out


@pytest.mark.parametrize(
    "end", ['Dense(classes, activation="softmax")(features)', "Softmax()(Dense(classes)(features))"]
)
def test_a_network_that_ends_in_softmax_is_one_line(folder, tmp_path, capsys, end):
    code = "from keras import Input, Model\nfrom keras.layers import Dense, GlobalAveragePooling2D, Softmax\n\n\n"
    code += "def build(image_size, classes, width=1.0):\n    images = Input((image_size, image_size, 3))\n"
    code += f"    features = GlobalAveragePooling2D()(images)\n    return Model(images, {end})\n"
    (tmp_path / "soft.py").write_text(code, encoding="utf-8")
    given = [*options(folder)]
    given[1] = f"{tmp_path / 'soft.py'}:build"
    assert call("cifar", *given, "--out", tmp_path / "run") == 2
    error = capsys.readouterr().err
    assert len(error.splitlines()) == 1, error
    assert "logits" in error and "softmax" in error
    assert not (tmp_path / "run").exists()


def test_a_file_that_fails_leaves_no_folder(folder, tmp_path, capsys):
    bad = tmp_path / "bad.py"
    bad.write_text("def build(*_):\n    raise RuntimeError('no luck')\n", encoding="utf-8")
    capsys.readouterr()
    given = [*options(folder)]
    given[1] = f"{bad}:build"
    assert call("cifar", *given, "--out", tmp_path / "run") == 2
    error = capsys.readouterr().err
    assert len(error.splitlines()) == 1, error
    assert "line 2" in error
    assert "no luck" in error
    assert not (tmp_path / "run").exists()
