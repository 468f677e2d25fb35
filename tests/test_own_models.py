"""A person's own model file: what it may be, when it runs, and what is said where it does not fit."""

import keras
import numpy as np
import pytest

from keras_dnnts import own_models
from keras_dnnts.errors import UserError
from keras_dnnts.own_models import (
    SOURCE_COPY,
    build_own_model,
    check_allowed,
    check_code,
    is_own_model,
    keep_code,
    load_layers,
    source_hash,
    split_own_model,
    title_of,
)
from keras_dnnts.studies.cifar.config import CifarConfig
from keras_dnnts.studies.cifar.train import build_model

pytestmark = pytest.mark.every_engine

GOOD = '''
import keras
from keras import ops


class Scaled(keras.layers.Layer):
    """Not registered with Keras: a person need not know of that."""

    def __init__(self, factor, **kwargs):
        super().__init__(**kwargs)
        self.factor = factor

    def build(self, shape):
        self.shift = self.add_weight(shape=(shape[-1],), initializer="random_normal")

    def call(self, inputs):
        return self.factor * inputs + self.shift

    def get_config(self):
        return {**super().get_config(), "factor": self.factor}


def squared(values):
    return ops.square(values)


def build_net(image_size, classes, width=1.0, seed=None):
    images = keras.Input((image_size, image_size, 3))
    maps = keras.layers.Conv2D(max(1, round(4 * width)), 3, strides=2, activation=squared, name="tap1")(images)
    maps = Scaled(0.5)(maps)
    features = keras.layers.GlobalAveragePooling2D(name="pre_logits")(maps)
    return keras.Model(images, keras.layers.Dense(classes)(features), name=f"net_of_seed_{seed}")
'''
ALWAYS = "def build(*_):\n    return model\n"
TINY = """
import keras
images = keras.Input((8, 8, 3))
features = keras.layers.Flatten()(images)
"""
BAD = {
    "syntax": ("def build(:\n    pass\n", "line 1", "SyntaxError"),
    "raises on import": ("x = 1\nimport no_such_module\n", "line 2", "no_such_module"),
    "exits": ("import sys\nsys.exit(3)\n", "line 2", "SystemExit"),
    "no function": ("def build_other():\n    pass\n", "no function build", ""),
    "no callable": ("build = 5\n", "build is not a function", ""),
    "wrong arguments": ("def build():\n    pass\n", "cannot be called as build(8, 3, 1.0", ""),
    "raises": ("def build(*_):\n    x = 1\n    return x / 0\n", "line 3", "ZeroDivisionError"),
    "no model": ("def build(*_):\n    return 'model'\n", "returns str", "keras.Model"),
    "no functional model": (
        "import keras\nclass Net(keras.Model):\n    pass\ndef build(*_):\n    return Net()\n",
        "functional",
        "",
    ),
    "wrong output": (
        TINY + "model = keras.Model(images, keras.layers.Dense(4)(features))\n" + ALWAYS,
        "(None, 4)",
        "3",
    ),
    "maps for logits": (TINY + "model = keras.Model(images, images)\n" + ALWAYS, "(None, 8, 8, 3)", "(None, 3)"),
    "wrong input": (
        "import keras\nx = keras.Input((9,))\nmodel = keras.Model(x, keras.layers.Dense(3)(x))\n" + ALWAYS,
        "(None, 9)",
        "(None, 8, 8, 3)",
    ),
    "two outputs": (
        TINY + "y = keras.layers.Dense(3)(features)\nmodel = keras.Model(images, [y, y])\n" + ALWAYS,
        "outputs",
        "",
    ),
    "odd tap": (
        TINY + "y = keras.layers.Dense(3, name='tap1')(features)\nmodel = keras.Model(images, y)\n" + ALWAYS,
        "tap1",
        "maps",
    ),
    "a lambda": (
        TINY
        + "y = keras.layers.Lambda(lambda x: 2 * x)(features)\n"
        + "model = keras.Model(images, keras.layers.Dense(3)(y))\n"
        + ALWAYS,
        "saved",
        "",
    ),
    "an argument that Keras cannot write down": (
        "import keras\nclass Kept(keras.layers.Layer):\n"
        "    def __init__(self, thing, **kwargs):\n        super().__init__(**kwargs)\n"
        "    def call(self, inputs):\n        return inputs\n"
        + TINY
        + "model = keras.Model(images, keras.layers.Dense(3)(Kept(object())(features)))\n"
        + ALWAYS,
        "saved",
        "",
    ),
    "state outside of weights": (
        "import numpy\nimport keras\nclass Noise(keras.layers.Layer):\n"
        "    def __init__(self, **kwargs):\n        super().__init__(**kwargs)\n        self.x = numpy.random.rand()\n"
        "    def call(self, inputs):\n        return inputs * self.x\n"
        + TINY
        + "model = keras.Model(images, keras.layers.Dense(3)(Noise()(features)))\n"
        + ALWAYS,
        "computes something else",
        "",
    ),
}


def config_of(path, function="build", **knobs):
    return CifarConfig(arch=f"{path}:{function}", image_size=8, **knobs)


@pytest.fixture
def net(tmp_path):
    path = tmp_path / "my_net.py"
    path.write_text(GOOD, encoding="utf-8")
    return path


@pytest.mark.one_engine
def test_names_of_own_models():
    for model, path, function in (
        ("my_net.py:build", "my_net.py", "build"),
        (r"C:\nets\my.py:build", r"C:\nets\my.py", "build"),
        ("a:b/c.py:d", "a:b/c.py", "d"),
    ):
        assert is_own_model(model)
        assert (str(split_own_model(model)[0]), split_own_model(model)[1]) == (path, function)
        assert title_of(model) == function
    for other in ("alexnet", "my_net.py", "my_net.py:", "my_net:build", "", ":"):
        assert not is_own_model(other)


def test_a_model_with_its_own_layers_is_built_and_seeded(net):
    one, again, other = (build_model(config_of(net, "build_net"), 3, seed) for seed in (4, 4, 5))
    assert one.name == "net_of_seed_4"
    assert one.output_shape == (None, 3)
    for a, b in zip(one.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert any((a != b).any() for a, b in zip(one.get_weights(), other.get_weights(), strict=True))
    assert {path.name for path in net.parent.iterdir()} == {"my_net.py"}, "nothing is left beside a person's file"


def test_what_was_saved_is_loaded_with_the_files_layers(net, tmp_path):
    model = build_model(config_of(net, "build_net"), 3, 0)
    model.save(tmp_path / "model.keras")
    objects = load_layers(f"{net}:build_net")
    loaded = keras.saving.load_model(tmp_path / "model.keras", custom_objects=objects, safe_mode=True)
    images = np.random.default_rng(0).normal(size=(2, 8, 8, 3)).astype("float32")
    np.testing.assert_allclose(loaded.predict(images, verbose=0), model.predict(images, verbose=0), rtol=1e-5)


@pytest.mark.one_engine
@pytest.mark.parametrize(("source", "culprit", "reason"), BAD.values(), ids=BAD)
def test_a_file_that_does_not_fit_is_one_line_with_its_name(source, culprit, reason, tmp_path):
    path = tmp_path / "bad_net.py"
    path.write_text(source, encoding="utf-8")
    with pytest.raises(UserError) as error:
        build_model(config_of(path), 3, 0)
    message = str(error.value)
    assert len(message.splitlines()) == 1
    assert message.startswith(str(path))
    assert culprit in message
    assert reason in message


@pytest.mark.one_engine
@pytest.mark.parametrize("kind", ["missing", "a folder", "large", "binary"])
def test_what_is_no_file_of_python_is_one_line(kind, tmp_path, monkeypatch):
    path = tmp_path / "net.py"
    if kind == "a folder":
        path.mkdir()
    elif kind == "large":
        monkeypatch.setattr(own_models, "LARGEST_SOURCE_BYTES", 10)
        path.write_text("#" * 11, encoding="utf-8")
    elif kind == "binary":
        path.write_bytes(b"\x00\xff\xfe")
    with pytest.raises(UserError) as error:
        build_model(config_of(path), 3, 0)
    assert str(error.value).startswith(str(path))
    assert len(str(error.value).splitlines()) == 1


@pytest.mark.one_engine
def test_a_changed_file_is_run_anew(tmp_path):
    path = tmp_path / "net.py"
    for units in (2, 3):
        path.write_text(f"{TINY}model = keras.Model(images, keras.layers.Dense({units})(features))\n{ALWAYS}")
        model = build_own_model(f"{path}:build", (), check=lambda model: None)
        assert model.output_shape == (None, units)


@pytest.mark.one_engine
def test_code_runs_only_where_it_is_named(net, tmp_path, monkeypatch):
    model = f"{net}:build_net"
    check_allowed("alexnet", None, "own.toml")
    check_allowed(model, model, "own.toml")
    monkeypatch.chdir(tmp_path)
    check_allowed(model, "my_net.py:build_net", "own.toml")
    for named in (None, "", "alexnet", f"{net}:other", f"{tmp_path}/other.py:build_net"):
        with pytest.raises(UserError, match=r"own\.toml: its model comes from your own code.*arch"):
            check_allowed(model, named, "own.toml")


@pytest.mark.one_engine
def test_a_run_keeps_its_code_and_knows_another(net, tmp_path):
    run, model = tmp_path / "run", f"{net}:build_net"
    run.mkdir()
    keep_code("alexnet", run)
    assert not [*run.iterdir()]
    keep_code(model, run)
    assert (run / SOURCE_COPY).read_text(encoding="utf-8") == GOOD
    assert source_hash(run / SOURCE_COPY) == source_hash(net)

    config = config_of(net, "build_net")
    check_code(config, model, run)
    moved = tmp_path / "moved.py"
    moved.write_text(GOOD, encoding="utf-8")
    check_code(config, f"{moved}:build_net", run)
    net.write_text(GOOD + "\n", encoding="utf-8")
    for code, culprit in (
        (model, "has changed"),
        (None, "runs only where you name it"),
        ("alexnet", "not arch alexnet"),
        (f"{moved}:squared", "squared"),
        (f"{tmp_path}/gone.py:build_net", "gone.py"),
    ):
        with pytest.raises(UserError, match=culprit):
            check_code(config, code, run)
    with pytest.raises(UserError, match="has changed"):
        keep_code(model, run)
    check_code(CifarConfig(), None, run)
    with pytest.raises(UserError, match="not your own code"):
        check_code(CifarConfig(), model, run)
