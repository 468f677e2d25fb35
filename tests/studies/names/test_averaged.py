"""Networks that are trained together and averaged: each is what it would be alone, and their mean is served."""

import json
from functools import partial

import keras
import numpy as np
import pytest

from keras_dnnts import run_names
from keras_dnnts.cli import options
from keras_dnnts.datasets.letters import encode
from keras_dnnts.results import load_result
from keras_dnnts.studies.names import sampled
from keras_dnnts.studies.names.callbacks import BatchProgress
from keras_dnnts.studies.names.config import title_of
from keras_dnnts.studies.names.data import load_data
from keras_dnnts.studies.names.measure import sides
from keras_dnnts.studies.names.models import (
    BUILDERS,
    MembersAdam,
    build_together,
    negative_log_likelihood,
    summed_losses,
)
from keras_dnnts.studies.names.name_batches import NameBatches
from tests.names_folders import call, write_names
from tests.studies.names.test_baselines import ALPHABET, draw_lines, training_names
from tests.studies.names.test_batched import SHORT, small, training_alphabet

SEEDS = (4, 9)


def adam(members):
    # A norm that is always exceeded, and differs from network to network.
    return MembersAdam(0.02, weight_decay=0.1, global_clipnorm=0.05, members=members)


def build(names, seed):
    """A network in which nothing is random but its initial weights: on torch, all dropout draws from one stream."""
    network = BUILDERS["char-cnn"](names, ALPHABET, seed)
    for layer in network.layers:
        for one in (layer, getattr(layer, "dropout", None)):
            if hasattr(one, "rate"):
                one.rate = 0.0
    return network


def train(model, optimizer, loss, batches):
    model.compile(optimizer, loss=loss)
    model.fit(batches, epochs=2, shuffle=False, verbose=0)


@pytest.mark.every_engine
def test_each_network_learns_what_it_would_alone():
    names = training_names(draw_lines(2))
    batches = NameBatches(names, 16, seed=1)
    together, mean = build_together([partial(build, names, seed) for seed in SEEDS])
    train(together, adam(len(SEEDS)), summed_losses, batches)
    found = np.split(np.concatenate([weight.ravel() for weight in trainable(together)]), len(SEEDS))
    inputs, _ = batches[0]
    said = []
    for seed, learned in zip(SEEDS, found, strict=True):
        alone = build(names, seed)
        train(alone, adam(1), negative_log_likelihood, batches)
        np.testing.assert_allclose(np.concatenate([weight.ravel() for weight in trainable(alone)]), learned, atol=1e-5)
        said.append(np.exp(alone.predict_on_batch(inputs)))
    np.testing.assert_allclose(np.exp(mean.predict_on_batch(inputs)), np.mean(said, axis=0), atol=1e-5)
    assert np.ptp(said, axis=0).max() > 0.01


def trainable(model):
    return [keras.ops.convert_to_numpy(variable) for variable in model.trainable_variables]


@pytest.fixture(scope="module", autouse=True)
def sampled_every_epoch():
    """Samples are measured after every epoch, however few names it has."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(sampled, "EVERY", 1)
        yield


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """Runs of one network and of two."""
    folder = tmp_path_factory.mktemp("averaged")
    data = write_names(folder / "names", SHORT)
    for members in (1, 2):
        run_names(small(data, model="char-cnn", members=members), folder / f"{members}")
    return folder


def load_weights(run):
    return keras.models.load_model(run / "model-seed-0.keras", compile=False).get_weights()


@pytest.mark.one_engine
@pytest.mark.slow
def test_the_mean_is_served(ran, capsys):
    result, single = load_result(ran / "2"), load_result(ran / "1")
    assert result.model_name == "Char-CNN (2 averaged)"
    assert result.details["parameters"] == 2 * single.details["parameters"]
    assert 0.5 < result.arrays["loss"][0, 0] / single.arrays["loss"][0, 0] < 2  # the mean, not the sum
    model = keras.models.load_model(ran / "2" / "model-seed-0.keras", compile=False)
    letters, lengths = encode(["Anna", "Roxy"], training_alphabet(ran / "2"))
    parts = [layer((letters, lengths)) for layer in model.layers if isinstance(layer, keras.Model)]
    expected = np.mean([np.exp(keras.ops.convert_to_numpy(part)) for part in parts], axis=0)
    assert len(parts) == 2
    capsys.readouterr()
    assert call("predict", ran / "2", "Anna", "Roxy", "--json") == 0
    for prediction, row in zip(json.loads(capsys.readouterr().out)["predictions"], expected, strict=True):
        np.testing.assert_allclose(
            [guess["probability"] for guess in prediction["guesses"]], np.sort(row)[::-1], atol=1e-5
        )


@pytest.mark.one_engine
@pytest.mark.slow
def test_the_mean_is_measured_while_they_learn(ran):
    result, data = load_result(ran / "2"), load_data(small(ran / "names", model="char-cnn", members=2))
    model = keras.models.load_model(ran / "2" / "model-seed-0.keras", compile=False)
    dataset = data.dataset
    right = model.predict_on_batch((dataset.letters, dataset.lengths)).argmax(axis=1) == dataset.labels
    for part, lines in sampled.draw_samples(dataset, sides(data.splits[0]), 0).items():
        shares = result.arrays[f"sampled_accuracy_{part}"]
        assert shares.shape == (1, 3) and shares[0, -1] == right[lines].mean()


@pytest.mark.one_engine
@pytest.mark.slow
def test_interrupted_run_of_several_resumes_to_the_same_bytes(ran, tmp_path, monkeypatch):
    line = BatchProgress.on_epoch_end

    def fail(self, epoch, logs=None):
        if epoch == 1:
            raise MemoryError
        line(self, epoch, logs)

    config = small(ran / "names", model="char-cnn", members=2)
    with monkeypatch.context() as patched, pytest.raises(MemoryError):
        patched.setattr(BatchProgress, "on_epoch_end", fail)
        run_names(config, tmp_path / "run")
    run_names(config, tmp_path / "run", resume=True)
    for name in ("results.npz", "history.csv"):
        assert (ran / "2" / name).read_bytes() == (tmp_path / "run" / name).read_bytes()
    for one, same in zip(load_weights(ran / "2"), load_weights(tmp_path / "run"), strict=True):
        np.testing.assert_array_equal(one, same)


@pytest.mark.one_engine
@pytest.mark.parametrize("model", ["gru", "markov"])
def test_other_models_refuse_to_be_averaged(model, capsys):
    assert call("names", "--model", model, "--members", 3) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert options.spell("members") in line and "no such setting" in line


def test_titles_of_all_and_of_runs_before_there_were_members():
    assert title_of({"model": "bi-gru", "members": 3, "ngrams": 0}) == "Bi-GRU without n-grams (3 averaged)"
    assert title_of({"model": "bi-gru"}) == title_of({"model": "bi-gru", "members": 1}) == "Bi-GRU"
