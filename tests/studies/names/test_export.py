"""The names model in ONNX Runtime against the Keras model."""

import importlib.util
import json

import keras
import numpy as np
import pytest

from tests.devices import FARTHER
from tests.names_folders import call
from tests.studies.names.test_predict import ALPHABET, CLASSES, save_run

pytestmark = pytest.mark.one_engine

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")


def export(run, *options):
    return call("export", run, "--format", "onnx", "--backend", keras.backend.backend(), *options)


@pytest.mark.parametrize("cell", ["rnn", pytest.param("gru", marks=pytest.mark.every_engine), "lstm"])
def test_outputs_equal_the_keras_models(cell, tmp_path, capsys):
    model = save_run(tmp_path / "run", cell)
    assert export(tmp_path / "run") == 0

    printed = capsys.readouterr().out
    assert "Largest difference from the Keras model" in printed
    session = onnxruntime.InferenceSession(tmp_path / "run" / "model-seed-3.onnx")
    random = np.random.default_rng(8)
    for batch in (1, 2, 57):
        letters = random.integers(0, len(ALPHABET) + 2, (batch, 19), dtype=np.int32)
        lengths = random.integers(1, 20, batch, dtype=np.int32)
        (found,) = session.run(None, {"letters": letters, "lengths": lengths})
        expected = model.predict((letters, lengths), verbose=0)
        assert found.shape == (batch, len(CLASSES))
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * FARTHER)


def test_a_file_says_how_to_use_it(tmp_path):
    save_run(tmp_path / "run", seeds=2)
    assert export(tmp_path / "run", "--seed", "4", "--length", "7", "--out", tmp_path / "elf.onnx") == 0

    proto = onnx.load(tmp_path / "elf.onnx")
    onnx.checker.check_model(proto, full_check=True)
    about = {entry.key: json.loads(entry.value) for entry in proto.metadata_props}
    assert about == {"classes": list(CLASSES), "letters": list(ALPHABET)}
    shapes = {
        value.name: [side.dim_param or side.dim_value for side in value.type.tensor_type.shape.dim]
        for value in (*proto.graph.input, *proto.graph.output)
    }
    assert shapes == {"letters": ["batch", 7], "lengths": ["batch"], "log_probabilities": ["batch", 4]}
    assert f"padded on the right to 7 with {len(ALPHABET)}" in proto.doc_string


def test_the_default_length_holds_the_longest_name_of_the_data(tmp_path):
    save_run(tmp_path / "run")
    path = tmp_path / "run" / "results.json"
    plain = json.loads(path.read_text(encoding="utf-8"))
    plain["dataset"]["counts"]["longest_name"] = 31
    path.write_text(json.dumps(plain), encoding="utf-8")
    assert export(tmp_path / "run") == 0

    session = onnxruntime.InferenceSession(tmp_path / "run" / "model-seed-3.onnx")
    assert session.get_inputs()[0].shape == ["batch", 31]


def test_a_model_that_computes_something_else_is_not_written(tmp_path, monkeypatch, capsys):
    from keras_dnnts.studies.names import onnx_graph as names

    save_run(tmp_path / "run")
    monkeypatch.setitem(names.GATE_ORDER, "gru", (0, 1, 2))

    assert export(tmp_path / "run") == 2
    assert "was not written" in capsys.readouterr().err
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == [
        *("model-seed-3.keras", "results.json", "results.npz")
    ]


@pytest.mark.parametrize("package", ["onnx", "onnxruntime"])
def test_a_missing_extra_is_named(package, tmp_path, monkeypatch, capsys):
    save_run(tmp_path / "run")
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == package else find_spec(name))

    assert export(tmp_path / "run") == 2
    error = capsys.readouterr().err
    assert "keras_dnnts[onnx]" in error
    assert len(error.splitlines()) == 1


MISTAKES = {
    "no such run": (["nowhere", "--format", "onnx"], "nowhere"),
    "no format": (["run"], "--format"),
    "other format": (["run", "--format", "tflite"], "tflite"),
    "no such seed": (["run", "--format", "onnx", "--seed", "8"], "--seed 8"),
    "no length": (["run", "--format", "onnx", "--length", "0"], "--length"),
    "out is there": (["run", "--format", "onnx", "--out", "run/results.json"], "results.json"),
    "out in no folder": (["run", "--format", "onnx", "--out", "nowhere/model.onnx"], "nowhere"),
    "damaged": (["damaged", "--format", "onnx"], "model-seed-3.keras"),
}


@pytest.mark.parametrize(("arguments", "culprit"), MISTAKES.values(), ids=MISTAKES)
def test_mistakes_are_one_clear_line(arguments, culprit, tmp_path, monkeypatch, capsys):
    for run in ("run", "damaged"):
        save_run(tmp_path / run)
    (tmp_path / "damaged" / "model-seed-3.keras").write_bytes(b"no model")
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.rglob("*"))

    assert call("export", *arguments, *(["--backend", keras.backend.backend()] if len(arguments) > 2 else [])) == 2

    out, error = capsys.readouterr()
    assert out == ""
    assert len(error.splitlines()) == 1, error
    assert culprit in error
    assert sorted(tmp_path.rglob("*")) == before
