"""Runs that start from the weights of an earlier run with other classes."""

import shutil
import zipfile

import keras
import numpy as np
import pytest

from keras_dnnts.config import load_config
from keras_dnnts.errors import UserError
from keras_dnnts.results import load_result
from keras_dnnts.running.interruption import Interrupted, Interruption
from keras_dnnts.running.run import run_study
from keras_dnnts.running.run_directory import RunDirectory
from keras_dnnts.studies.cifar.config import CifarConfig
from keras_dnnts.studies.cifar.models import build_alexnet, build_resnet50
from keras_dnnts.studies.cifar.pretrained import hash_weights
from keras_dnnts.studies.cifar.transfer import find_head, freeze, load_pretrained, start_from
from tests.datasets.image_trees import encoded, write_folder
from tests.devices import on_cpu
from tests.names_folders import call

SMALL = (
    "--arch",
    "alexnet",
    "--width",
    0.05,
    "--image-size",
    63,
    "--batch-size",
    16,
    "--embedding-images",
    8,
    "--quiet",
)


def build_network(classes=5, size=9, seed=1):
    """Every kind of weight: of convolutions, of normalisation, and of a hidden layer after dropout."""
    keras.utils.set_random_seed(seed)
    maps = images = keras.Input((size, size, 3))
    maps = keras.layers.Conv2D(4, 3, activation="relu")(maps)
    maps = keras.layers.BatchNormalization()(maps)
    features = keras.layers.Dropout(0.5)(keras.layers.GlobalAveragePooling2D()(maps))
    features = keras.layers.Dense(6, activation="tanh")(features)
    return keras.Model(images, keras.layers.Dense(classes, name="logits")(features))


def load(path, **options):
    return load_pretrained(CifarConfig(pretrained=str(path), **options))


@pytest.mark.every_engine
def test_all_but_the_head_is_taken_and_kept_where_it_is_frozen(tmp_path):
    source, model = build_network(), build_network(classes=3, size=12, seed=2)
    rng = np.random.default_rng(0)
    source.set_weights([rng.uniform(0.5, 1.5, weights.shape) for weights in source.get_weights()])
    source.save(tmp_path / "source.keras")
    *_, kernel, bias = model.get_weights()
    start_from(model, load(tmp_path / "source.keras"))
    taken = model.get_weights()
    for found, wanted in zip(taken, [*source.get_weights()[:-2], kernel, bias], strict=True):
        np.testing.assert_array_equal(found, wanted)

    freeze(model)
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    images = rng.normal(size=(8, 12, 12, 3)).astype("float32")
    model.fit(images, rng.integers(0, 3, 8), epochs=2, verbose=0)
    trained = model.get_weights()
    for before, after in zip(taken[:-2], trained[:-2], strict=True):  # moving statistics among them
        np.testing.assert_array_equal(before, after)
    assert not np.allclose(taken[-2], trained[-2])


@pytest.mark.one_engine
def test_a_network_that_does_not_fit_is_refused(tmp_path):
    build_alexnet(image_size=63, classes=3, width=0.05).save(tmp_path / "alexnet.keras")
    pretrained = load(tmp_path / "alexnet.keras")
    start_from(build_alexnet(image_size=80, classes=2, width=0.05), pretrained)
    with pytest.raises(UserError, match=r"layer conv1 has weights of shapes \(11, 11, 3, 3\), \(3,\), not"):
        start_from(build_alexnet(image_size=63, classes=3, width=0.1), pretrained)
    with pytest.raises(UserError, match="holds another network than resnet50"):
        start_from(build_resnet50(image_size=33, classes=3, width=0.05), pretrained)


@pytest.mark.one_engine
def test_code_in_a_file_of_weights_is_not_run(tmp_path):
    model = keras.Sequential([keras.Input((4,)), keras.layers.Lambda(lambda x: x + 1), keras.layers.Dense(2)])
    model.save(tmp_path / "crafted.keras")
    with pytest.raises(UserError, match="damaged or not a model of this program") as error:
        load(tmp_path / "crafted.keras")
    assert "\n" not in str(error.value)


@pytest.mark.one_engine
def test_heads_are_found_by_name_or_place():
    model = build_network()
    assert model.layers[find_head(model)].name == "logits"
    outputs = keras.layers.Activation("linear")(keras.layers.Dense(2, name="last")(model.layers[-2].output))
    unnamed = keras.Model(model.inputs, outputs)
    assert unnamed.layers[find_head(unnamed)].name == "last"


@pytest.fixture(scope="module")
def farm(tmp_path_factory):
    """A finished run on three classes, photos of two others, and options of runs on these."""
    folder = tmp_path_factory.mktemp("farm")
    rng = np.random.default_rng(0)
    for data, names in (("first", ("bee", "cow", "owl")), ("second", ("cat", "dog"))):
        tree = {
            f"{name}/{i}.png": encoded(rng.integers(90 * label % 200, 256, (9, 9, 3), dtype=np.uint8))
            for label, name in enumerate(names)
            for i in range(24)
        }
        write_folder(folder / data, tree)
    backend = ("--backend", keras.backend.backend())
    run = folder / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KERAS_DNNTS_CACHE", str(folder / "cache"))
        assert call("cifar", "--data-dir", folder / "first", "--out", run, "--epochs", 1, *SMALL, *backend) == 0
    return run, ("--data-dir", folder / "second", *SMALL, *backend)


@pytest.mark.slow
@pytest.mark.one_engine
@pytest.mark.usefixtures("own_cache")
def test_a_run_from_weights_repeats_and_compares_with_one_from_scratch(farm, tmp_path, capsys):
    run, options = farm
    start = ("--pretrained", run, "--freeze", "--epochs", 2)
    assert call("cifar", *options, *start, "--out", tmp_path / "tuned") == 0
    config, weights = load_config(tmp_path / "tuned" / "config.toml"), run / "model-seed-0.keras"
    assert (config.pretrained, config.pretrained_hash) == (str(weights), hash_weights(weights))
    source, tuned = (keras.saving.load_model(folder / "model-seed-0.keras") for folder in (run, tmp_path / "tuned"))
    for before, after in zip(source.get_weights()[:-2], tuned.get_weights()[:-2], strict=True):
        np.testing.assert_array_equal(before, after)
    head = tuned.get_layer("logits").count_params()
    assert load_result(tmp_path / "tuned").details["parameters"] == head

    assert call("cifar", *options, "--epochs", 1, "--out", tmp_path / "scratch") == 0
    assert call("compare", tmp_path / "tuned", tmp_path / "scratch", "--html", "--out", tmp_path / "both") == 0
    page = (tmp_path / "both" / "report.html").read_text(encoding="utf-8")
    assert "AlexNet (pretrained, head trained)" in page
    assert "different" not in capsys.readouterr().out

    repeat = ("run", tmp_path / "tuned" / "config.toml", "--quiet", "--out")
    assert call(*repeat, tmp_path / "again") == 0
    again = keras.saving.load_model(tmp_path / "again" / "model-seed-0.keras")
    for first, second in zip(tuned.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(first, second)


@on_cpu
@pytest.mark.slow
@pytest.mark.one_engine
@pytest.mark.usefixtures("own_cache")
def test_a_resumed_run_from_weights_ends_as_a_whole_one_and_wants_the_same_weights(farm, tmp_path, capsys):
    run, options = farm
    weights = shutil.copy(run / "model-seed-0.keras", tmp_path / "weights.keras")
    start = (*options, "--pretrained", weights, "--epochs", 3, "--checkpoint-seconds", 0, "--patience", 0)
    assert call("cifar", *start, "--out", tmp_path / "whole") == 0

    interruption = Interruption()

    class Stop(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            interruption.requested = True

    with pytest.raises(Interrupted):
        config = load_config(tmp_path / "whole" / "config.toml")
        run_study(config, RunDirectory.new(tmp_path / "part", ""), interruption=interruption, callbacks=[Stop()])
    kept = weights.read_bytes()
    build_alexnet(image_size=63, classes=3, width=0.05, seed=9).save(weights)
    assert call("cifar", "--resume", tmp_path / "part", "--quiet") == 2
    error = capsys.readouterr().err
    assert len(error.splitlines()) == 1
    assert "has other weights than the run was started with" in error
    weights.write_bytes(kept)
    assert call("cifar", "--resume", tmp_path / "part", "--quiet") == 0
    whole, part = (load_result(tmp_path / name).arrays for name in ("whole", "part"))
    assert whole.keys() == part.keys()
    for name, values in whole.items():
        np.testing.assert_array_equal(part[name], values)


@pytest.mark.slow
@pytest.mark.one_engine
@pytest.mark.usefixtures("own_cache")
@pytest.mark.parametrize(
    ("more", "culprit"),
    [
        (("--pretrained", "gone.keras"), "--pretrained gone.keras: is missing"),
        (("--pretrained", "{data}/cat/0.png"), "is not a Keras model"),
        (("--pretrained", "{data}"), "holds no finished run"),
        (("--pretrained", "{run}", "--arch", "linear"), "is a run of --arch alexnet, not linear"),
        (("--pretrained", "{run}", "--width", 0.1), "use the same --arch and --width"),
        (("--pretrained", "{run}", "--set", "pretrained_hash=sha256:0"), "has other weights"),
        (("--freeze",), "--freeze needs --pretrained"),
    ],
)
def test_weights_that_cannot_be_used_cost_one_line(more, culprit, farm, tmp_path, capsys):
    run, options = farm
    more = [str(one).format(run=run, data=options[1]) for one in more]
    assert call("cifar", *options, *more, "--out", tmp_path / "run") == 2
    error = capsys.readouterr().err
    assert len(error.splitlines()) == 1, error
    assert culprit in error
    assert not (tmp_path / "run").exists()


def test_the_hash_is_of_content_and_not_of_times(tmp_path):
    for name, year in (("one", 1990), ("two", 2020)):
        with zipfile.ZipFile(tmp_path / name, "w") as archive:
            for member in ("config.json", "model.weights.h5"):
                archive.writestr(zipfile.ZipInfo(member, (year, 1, 1, 0, 0, 0)), member)
    assert hash_weights(tmp_path / "one") == hash_weights(tmp_path / "two")
    with zipfile.ZipFile(tmp_path / "one", "w") as archive:
        archive.writestr("config.json", "config.json")
    with pytest.raises(UserError, match="is not a Keras model"):
        hash_weights(tmp_path / "one")


@pytest.fixture
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_DNNTS_CACHE", str(tmp_path / "cache"))
