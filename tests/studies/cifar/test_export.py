"""The networks in ONNX Runtime against the Keras models."""

import json

import keras
import numpy as np
import pytest

from keras_dnnts.studies.cifar.models import build_airbench, build_alexnet, build_resnet50
from tests.finished_runs import CLASSES, cifar_result
from tests.names_folders import call

pytestmark = pytest.mark.one_engine

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

BUILDERS = {"airbench": build_airbench, "alexnet": build_alexnet, "resnet50": build_resnet50}
WIDTH = 1 / 16


def save_run(folder, arch, size, precision="float32"):
    """A finished run of a narrow network with random weights; returns the network."""
    folder.mkdir(parents=True)
    result = cifar_result()
    result.config.update(arch=arch, image_size=size, width=WIDTH, precision=precision)
    result.save(folder)
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16" if precision == "bfloat16" else "float32")
    try:
        model = BUILDERS[arch](size, len(CLASSES), WIDTH)
    finally:
        keras.config.set_dtype_policy(policy)
    random = np.random.default_rng(1)
    # Away from the zeros and ones of initial biases and normalisation statistics.
    model.set_weights(
        [w * random.uniform(0.8, 1.2, w.shape) + random.uniform(0, 0.05, w.shape) for w in model.get_weights()]
    )
    model.save(folder / "model-seed-0.keras")
    return model


def export(run, *options):
    return call("export", run, "--format", "onnx", "--backend", keras.backend.backend(), *options)


@pytest.mark.parametrize(
    ("arch", "size"),
    [
        pytest.param("alexnet", 63, marks=pytest.mark.every_engine),
        ("alexnet", 224),
        pytest.param("resnet50", 33, marks=pytest.mark.every_engine),
        ("resnet50", 46),
        pytest.param("airbench", 32, marks=pytest.mark.every_engine),
    ],
)
def test_outputs_equal_the_keras_models(arch, size, tmp_path, capsys):
    model = save_run(tmp_path / "run", arch, size)
    assert export(tmp_path / "run") == 0

    assert "Largest difference from the Keras model" in capsys.readouterr().out
    session = onnxruntime.InferenceSession(tmp_path / "run" / "model-seed-0.onnx")
    for batch in (1, 3):
        images = np.random.default_rng(batch).normal(size=(batch, size, size, 3)).astype("float32")
        (found,) = session.run(None, {"images": images})
        expected = keras.ops.convert_to_numpy(model(images, training=False))
        assert np.ptp(expected) > 0.01
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4 * abs(expected).max())


@pytest.mark.every_engine
def test_a_bfloat16_run_is_exported_in_float32(tmp_path):
    model = save_run(tmp_path / "run", "alexnet", 63, precision="bfloat16")
    exact = build_alexnet(63, len(CLASSES), WIDTH)
    exact.set_weights(model.get_weights())
    assert export(tmp_path / "run", "--out", tmp_path / "exact.onnx") == 0

    images = np.random.default_rng(0).normal(size=(4, 63, 63, 3)).astype("float32")
    (found,) = onnxruntime.InferenceSession(tmp_path / "exact.onnx").run(None, {"images": images})
    expected = keras.ops.convert_to_numpy(exact(images, training=False))
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * abs(expected).max())


def test_a_file_says_how_to_use_it(tmp_path):
    save_run(tmp_path / "run", "resnet50", 40)
    assert export(tmp_path / "run") == 0

    proto = onnx.load(tmp_path / "run" / "model-seed-0.onnx")
    assert [json.loads(entry.value) for entry in proto.metadata_props] == [list(CLASSES)]
    assert "divided by 127.5" in proto.doc_string
    assert "40x40" in proto.doc_string


@pytest.mark.parametrize("kind", ["length", "other model", "unknown layer"])
def test_what_cannot_be_exported_is_one_clear_line(kind, tmp_path, capsys, monkeypatch):
    save_run(tmp_path / "run", "alexnet", 63)
    options = []
    if kind == "length":
        options = ["--length", "7"]
    elif kind == "other model":
        build_alexnet(63, 7, WIDTH).save(tmp_path / "run" / "model-seed-0.keras")
    else:
        from keras_dnnts.studies.cifar import onnx_graph as images

        monkeypatch.delitem(images._LAYERS, "Flatten")
    capsys.readouterr()

    assert export(tmp_path / "run", *options) == 2
    error = capsys.readouterr().err
    assert len(error.splitlines()) == 1, error
    assert {"length": "--length", "other model": "model-seed-0.keras", "unknown layer": "'flatten'"}[kind] in error
    assert not (tmp_path / "run" / "model-seed-0.onnx").exists()
