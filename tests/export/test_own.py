"""Models of a person's own, trained and exported through the command line, in ONNX Runtime against Keras."""

import json

import keras
import numpy as np
import pytest

from keras_dnnts.export.own import ENGINE
from keras_dnnts.running.saved_models import find_saved_model, load_keras_model
from tests.datasets.image_trees import encoded, random_image, write_folder
from tests.names_folders import call, write_names

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")

pytestmark = [
    pytest.mark.one_engine,
    pytest.mark.slow,
    pytest.mark.skipif(keras.backend.backend() != ENGINE, reason="exported there, whatever a run's engine was"),
]

TOLERANCE = 1e-5  # of outputs that are no larger than a few units

IMAGE_CODE = """
import keras
from keras import ops

class Squeeze(keras.layers.Layer):
    def __init__(self, units, **options):
        super().__init__(**options)
        self.units = units

    def build(self, shape):
        self.narrow = self.add_weight((shape[-1], self.units), "glorot_uniform", name="narrow")
        self.wide = self.add_weight((self.units, shape[-1]), "glorot_uniform", name="wide")

    def call(self, maps):
        shares = ops.sigmoid(ops.gelu(ops.mean(maps, axis=(1, 2)) @ self.narrow) @ self.wide)
        return maps * ops.reshape(shares, (-1, 1, 1, ops.shape(maps)[-1]))

    def get_config(self):
        return {**super().get_config(), "units": self.units}

class Spectrum(keras.layers.Layer):
    def call(self, features):
        return ops.svd(features[:, :, None] * features[:, None, :], compute_uv=False)

class Branch(keras.layers.Layer):
    def call(self, features):
        return features if ops.max(features) > 0 else -features

def build(image_size, classes, width):
    images = keras.Input((image_size, image_size, 3))
    maps = keras.layers.Conv2D(8, 3, strides=2, padding="same", use_bias=False)(images)
    maps = keras.layers.ReLU()(keras.layers.BatchNormalization()(maps))
    maps = keras.layers.Add()([maps, keras.layers.DepthwiseConv2D(3, padding="same")(maps)])
    maps = keras.layers.SpatialDropout2D(0.2)(keras.layers.LayerNormalization()(Squeeze(4)(maps)))
    maps = keras.layers.MaxPooling2D(2)(maps)
    features = keras.layers.Dropout(0.5)(keras.layers.Flatten()(maps))
    return keras.Model(images, keras.layers.Dense(classes)(features))

def build_around(layer, image_size, classes):
    images = keras.Input((image_size, image_size, 3))
    features = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(4, 3, strides=4)(images))
    return keras.Model(images, keras.layers.Dense(classes)(layer(features)))

def spectrum(image_size, classes, width):
    return build_around(Spectrum(), image_size, classes)

def branch(image_size, classes, width):
    return build_around(Branch(), image_size, classes)
"""

NAMES_CODE = """
import keras
from keras import ops

class Mask(keras.layers.Layer):
    def call(self, letters, lengths):
        return ops.arange(ops.shape(letters)[1])[None] < lengths[:, None]

class MaskedMean(keras.layers.Layer):
    def call(self, states, mask):
        weights = ops.cast(mask, states.dtype)[..., None]
        return ops.sum(states * weights, axis=1) / ops.sum(weights, axis=1)

def inputs(letters, units):
    letter, length = keras.Input((None,), dtype="int32"), keras.Input((), dtype="int32")
    return letter, length, keras.layers.Embedding(letters, units)(letter), Mask()(letter, length)

def outputs(letter, length, features, classes):
    logits = keras.layers.Dense(classes)(features)
    return keras.Model([letter, length], keras.layers.Activation("log_softmax")(logits))

def mean(letters, classes, hidden_units, seed):
    letter, length, vectors, mask = inputs(letters, hidden_units)
    return outputs(letter, length, MaskedMean()(vectors, mask), classes)

def gru(letters, classes, hidden_units, seed):
    letter, length, vectors, mask = inputs(letters, hidden_units)
    return outputs(letter, length, keras.layers.GRU(hidden_units)(vectors, mask=mask), classes)

def both_ways(letters, classes, hidden_units, seed):
    letter, length, vectors, mask = inputs(letters, hidden_units)
    read = keras.layers.Bidirectional(keras.layers.LSTM(hidden_units, return_sequences=True))
    states = read(vectors, mask=mask)
    states = keras.layers.MultiHeadAttention(2, 4)(states, states, attention_mask=mask[:, None, :])
    return outputs(letter, length, MaskedMean()(states, mask), classes)
"""


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("KERAS_DNNTS_CACHE", str(tmp_path_factory.mktemp("cache")))


def train_images(folder, function):
    """Train a network of this file on a few images; returns its name and its run."""
    (folder / "nets.py").write_text(IMAGE_CODE)
    names = [f"{part}/{kind}/{i}.png" for part in ("train", "test") for kind in ("a", "b", "c") for i in range(10)]
    write_folder(folder / "data", {name: encoded(random_image(seed, 32, 32)) for seed, name in enumerate(names)})
    code, run = f"{folder / 'nets.py'}:{function}", folder / "run"
    sizes = ("--image-size", "32", "--epochs", "1", "--batch-size", "8", "--embedding-images", "8")
    assert call("cifar", "--data-dir", folder / "data", "--arch", code, *sizes, "--out", run, "--quiet") == 0
    return code, run


def train_names(folder, function):
    """Train a model of this file on a few names; returns its name and its run."""
    (folder / "cells.py").write_text(NAMES_CODE)
    code, run = f"{folder / 'cells.py'}:{function}", folder / "run"
    sizes = ("--iterations", "50", "--hidden-units", "8")
    data = write_names(folder / "names")
    assert call("names", "--data-dir", data, "--cell", code, *sizes, "--out", run, "--quiet") == 0
    return code, run


def open_exported(run, code, path):
    """The ONNX model's session and the Keras model."""
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return session, load_keras_model(find_saved_model(run, code=code), ENGINE)


def check_equal(found, expected):
    assert np.ptp(expected) > 1e-3
    np.testing.assert_allclose(found, expected, rtol=0, atol=TOLERANCE * max(1, abs(expected).max()))


def test_a_network_with_a_layer_of_its_own(tmp_path, capfd):
    code, run = train_images(tmp_path, "build")
    capfd.readouterr()
    assert call("export", run, "--format", "onnx", "--arch", code, "--out", tmp_path / "net.onnx") == 0

    out, error = capfd.readouterr()
    assert error == ""
    assert [line.partition(":")[0] for line in out.splitlines()] == [
        *(str(tmp_path / "net.onnx"), "Largest difference from the Keras model")
    ]
    session, model = open_exported(run, code, tmp_path / "net.onnx")
    for batch in (1, 2, 50):
        images = np.random.default_rng(batch).uniform(-1, 1, (batch, 32, 32, 3)).astype("float32")
        (found,) = session.run(None, {"images": images})
        assert found.shape == (batch, 3)
        check_equal(found, model.predict(images, verbose=0))
    assert session.get_inputs()[0].shape == ["batch", 32, 32, 3]
    assert [(output.name, output.shape) for output in session.get_outputs()] == [("logits", ["batch", 3])]


@pytest.mark.parametrize("function", ["mean", "gru", "both_ways"])
def test_a_names_model_of_ones_own(function, tmp_path, capfd):
    code, run = train_names(tmp_path, function)
    capfd.readouterr()
    assert call("export", run, "--format", "onnx", "--cell", code, "--length", "7") == 0

    assert capfd.readouterr().err == ""
    session, model = open_exported(run, code, run / "model-seed-0.onnx")
    random = np.random.default_rng(8)
    for batch in (1, 2, 50):
        letters = random.integers(0, 28, (batch, 7), dtype=np.int32)
        lengths = random.integers(1, 8, batch, dtype=np.int32)
        (found,) = session.run(None, {"letters": letters, "lengths": lengths})
        assert found.shape == (batch, 3)
        check_equal(found, model.predict((letters, lengths), verbose=0))


def test_a_file_says_how_to_use_it_and_nothing_of_the_machine_it_was_made_on(tmp_path):
    code, run = train_names(tmp_path, "mean")
    assert call("export", run, "--format", "onnx", "--cell", code) == 0

    path = run / "model-seed-0.onnx"
    proto = onnx.load(path)
    about = {entry.key: json.loads(entry.value) for entry in proto.metadata_props}
    assert list(about) == ["classes", "letters"]
    assert sorted(about["classes"]) == ["Dwarvish", "Elvish", "Hobbit"]
    assert f"padded on the right to 19 with {len(about['letters'])}" in proto.doc_string
    assert proto.producer_name == "keras_dnnts"
    shapes = {
        value.name: [side.dim_param or side.dim_value for side in value.type.tensor_type.shape.dim]
        for value in (*proto.graph.input, *proto.graph.output)
    }
    assert shapes == {"letters": ["batch", 19], "lengths": ["batch"], "log_probabilities": ["batch", 3]}
    assert str(tmp_path).encode() not in path.read_bytes()
    assert b".py" not in path.read_bytes()


@pytest.mark.parametrize(("function", "culprit"), [("spectrum", "svd"), ("branch", "values")])
def test_what_cannot_be_exported_is_one_clear_line(function, culprit, tmp_path, capfd):
    code, run = train_images(tmp_path, function)
    before = sorted(tmp_path.rglob("*"))
    for more, named in (([], culprit), (["--backend", "jax"], "--backend jax")):
        capfd.readouterr()
        assert call("export", run, "--format", "onnx", "--arch", code, *more) == 2
        out, error = capfd.readouterr()
        assert out == ""
        assert len(error.splitlines()) == 1, error
        assert named in error
    assert sorted(tmp_path.rglob("*")) == before
