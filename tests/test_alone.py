"""The package with torch alone: whole runs where no other engine and no extra is installed."""

import importlib.util
import json
import subprocess
import sys

import pytest

pytestmark = pytest.mark.alone
ABSENT = (
    "jax",
    "tensorflow",
    "distributed",
    "tensorboard",
    "tensorboardX",
    "mlflow",
    "wandb",
    "onnx",
    "onnxruntime",
    "nbclient",
    "playwright",
)


def keras_dnnts(*arguments):
    command = [sys.executable, "-m", "keras_dnnts", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return done.stdout


@pytest.mark.parametrize("package", ABSENT)
def test_nothing_more_is_installed(package):
    assert importlib.util.find_spec(package) is None


def test_names_from_training_to_prediction_and_report(tmp_path):
    run = tmp_path / "run"
    keras_dnnts("names", "--dataset", "starter", "--iterations", 300, "--hidden-units", 8, "--out", run, "--quiet")
    (prediction,) = json.loads(keras_dnnts("predict", run, "Hinton", "--json"))["predictions"]
    assert prediction["guesses"]
    keras_dnnts("report", run, "--out", tmp_path / "page.html")
    assert (tmp_path / "page.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    assert len([*(run / "figures").iterdir()]) > 4


def test_images_from_training_to_prediction_and_report(tmp_path):
    run, image = tmp_path / "run", tmp_path / "image.ppm"
    small = ("--image-size", 63, "--width", 0.05, "--train-images", 40, "--epochs", 1, "--batch-size", 20)
    keras_dnnts("cifar", "--dataset", "digits", *small, "--embedding-images", 8, "--out", run, "--quiet")
    image.write_bytes(b"P6 8 8 255\n" + bytes(8 * 8 * 3))
    (prediction,) = json.loads(keras_dnnts("predict", run, image, "--json"))["predictions"]
    assert prediction["guesses"]
    keras_dnnts("report", run, "--out", tmp_path / "page.html")
    assert (tmp_path / "page.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    assert len([*(run / "figures").iterdir()]) > 4


def test_a_cluster_says_what_is_missing(tmp_path):
    options = (
        "--model",
        "majority",
        "--dataset",
        "starter",
        "--cluster",
        "tcp://127.0.0.1:1",
        "--out",
        tmp_path / "run",
    )
    command = [sys.executable, "-m", "keras_dnnts", "names", *map(str, options)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "pip install 'keras_dnnts[cluster]'" in done.stderr and len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "run").exists()
