"""Networks trained in batches: what they compute, by loops in NumPy, and how they run, resume and refuse."""

import copy
import csv
import itertools
import json
from collections import Counter

import keras
import numpy as np
import pytest

from keras_dnnts import NamesConfig, run_names
from keras_dnnts.config import load_config
from keras_dnnts.datasets.letters import encode
from keras_dnnts.errors import UserError
from keras_dnnts.report.run import describe_run
from keras_dnnts.results import load_result
from keras_dnnts.running.checkpoints import Checkpoints
from keras_dnnts.studies.names import sampled
from keras_dnnts.studies.names.batched_training import BatchedTraining, OneCycle
from keras_dnnts.studies.names.callbacks import BatchProgress, SampleHistory
from keras_dnnts.studies.names.config import BATCHED, BATCHED_DEFAULTS, NETWORK_DEFAULTS
from keras_dnnts.studies.names.evaluate import read_letter_by_letter
from keras_dnnts.studies.names.measure import sides
from keras_dnnts.studies.names.models import BUILDERS, letter_ngrams, negative_log_likelihood
from keras_dnnts.studies.names.models.letter_ngrams import NgramTables, NgramWeights
from keras_dnnts.studies.names.name_batches import NameBatches
from tests.devices import FARTHER
from tests.names_folders import call, write_names
from tests.studies.names.test_baselines import ALPHABET, draw_lines, draw_names, training_names

models = pytest.mark.parametrize("model", BATCHED)
ASKED = [*draw_names(np.random.default_rng(7), 30), "a", "É ", " b-", " aÉ C "]
SYMBOLS = {letter: number for number, letter in enumerate(sorted(set(ALPHABET.casefold())))}
END, START = len(SYMBOLS), len(SYMBOLS) + 1


def mark(name):
    return [START, *(SYMBOLS[letter] for letter in name.strip().casefold()), END]


def ngrams_of(name, longest=3):
    symbols = mark(name)
    return [tuple(symbols[i : i + n]) for n in range(1, longest + 1) for i in range(len(symbols) - n + 1)]


def common_ngrams(names):
    """Those in at least two names, short ones first, then in the order of their symbols."""
    seen = Counter(ngram for name in names for ngram in set(ngrams_of(name)))
    return sorted((ngram for ngram, times in seen.items() if times > 1), key=lambda ngram: (len(ngram), ngram))


def distinct_names(lines):
    return [name for names in lines.values() for name in dict.fromkeys(one.strip().casefold() for one in names)]


def padded(names, extra=2):
    """Names as a model takes them, with letters after their ends that must not matter."""
    letters, lengths = encode(names, ALPHABET)
    letters = np.pad(letters, ((0, 0), (0, extra)))
    after = np.arange(letters.shape[1]) >= lengths[:, None]
    letters[after] = np.random.default_rng(3).integers(0, len(ALPHABET) + 1, after.sum())
    return letters.astype(np.int32), lengths.astype(np.int32)


def weights_of(model, layer):
    return [np.asarray(weight, np.float64) for weight in model.get_layer(layer).get_weights()]


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def plain_gru(vectors, input_kernel, kernel, input_bias, bias):
    states, state = [], np.zeros(kernel.shape[1])
    for vector in vectors:
        inputs, own = np.split(input_kernel @ vector + input_bias, 3), np.split(kernel @ state + bias, 3)
        reset, update = sigmoid(inputs[0] + own[0]), sigmoid(inputs[1] + own[1])
        state = (1 - update) * np.tanh(inputs[2] + reset * own[2]) + update * state
        states.append(state)
    return [states[-1], np.max(states, axis=0)]


def plain_features(model, vectors):
    if model.name == "bi_gru":
        pairs = (("gru_forward", vectors), ("gru_backward", vectors[::-1]))
        return np.concatenate([part for layer, read in pairs for part in plain_gru(read, *weights_of(model, layer))])
    features = []
    for width in (1, 2, 3, 4):
        kernel, bias = weights_of(model, f"convolution_{width}")
        after = np.vstack([vectors, np.zeros((width - 1, vectors.shape[1]))])
        windows = [after[i : i + width] for i in range(len(vectors))]
        maps = [np.einsum("wd,wdf->f", window, kernel) + bias for window in windows]
        features.append(np.maximum(maps, 0).max(axis=0))
    return np.concatenate(features)


def plain_log_probabilities(model, lines, names):
    known = common_ngrams(distinct_names(lines))
    (embedding,), (kernel, bias), ngrams = (weights_of(model, layer) for layer in ("embedding", "head", "ngrams"))
    of_class = [len({name.strip().casefold() for name in lines[k]}) for k in sorted(lines)]
    rows = []
    for name in names:
        logits = plain_features(model, embedding[mark(name)]) @ kernel + bias + np.log(of_class / np.sum(of_class))
        logits += sum(ngrams[0][known.index(ngram)] for ngram in ngrams_of(name) if ngram in known)
        rows.append(logits - np.log(np.exp(logits).sum()))
    return np.array(rows)


def with_random_weights(model):
    rng = np.random.default_rng(5)
    for weight in model.trainable_weights:
        weight.assign(rng.normal(0, 0.3, weight.shape))
    return model


@pytest.mark.every_engine
@models
def test_network_is_the_plain_one_and_its_loss_holds_the_prior(model):
    lines = draw_lines(2)
    network = with_random_weights(BUILDERS[model](training_names(lines), ALPHABET, seed=1))
    expected = plain_log_probabilities(network, lines, ASKED)
    found = network.predict_on_batch(padded(ASKED))
    np.testing.assert_allclose(found, expected, atol=2e-5 * FARTHER)
    labels = np.arange(len(ASKED)) % 3
    loss = keras.ops.convert_to_numpy(negative_log_likelihood(labels, keras.ops.convert_to_tensor(found)))
    np.testing.assert_allclose(loss, -expected[np.arange(len(ASKED)), labels], atol=2e-5 * FARTHER)


@pytest.mark.one_engine
def test_network_without_ngrams_has_only_the_letters():
    lines = draw_lines(2)
    network = with_random_weights(BUILDERS["char-cnn"](training_names(lines), ALPHABET, seed=1, ngrams=0))
    embedding, (kernel, bias) = weights_of(network, "embedding")[0], weights_of(network, "head")
    of_class = [len({name.strip().casefold() for name in lines[k]}) for k in sorted(lines)]
    logits = np.array([plain_features(network, embedding[mark(name)]) @ kernel + bias for name in ASKED])
    expected = logits + np.log(of_class / np.sum(of_class))
    expected -= np.log(np.exp(expected).sum(axis=1, keepdims=True))
    np.testing.assert_allclose(network.predict_on_batch(padded(ASKED)), expected, atol=2e-5)


@pytest.mark.one_engine
@models
def test_reads_prefixes_as_if_they_were_whole_names(model):
    network = with_random_weights(BUILDERS[model](training_names(draw_lines(2)), ALPHABET, seed=1))
    letters, lengths = padded(["abc-", "É", "ba Cab"])
    read = read_letter_by_letter(network, letters, lengths)
    (whole,) = np.exp(keras.ops.convert_to_numpy(network(padded(["ba C"]))))
    np.testing.assert_allclose(read[2, 3], whole, atol=1e-5)
    assert np.isnan(read[1, 1:]).all() and np.isfinite(read[0, :4]).all()


@pytest.mark.one_engine
def test_a_seed_starts_as_one_network_on_every_engine():
    first, again, other = (
        BUILDERS["bi-gru"](training_names(draw_lines(2)), ALPHABET, seed).get_weights() for seed in (1, 1, 2)
    )
    for one, same in zip(first, again, strict=True):
        np.testing.assert_array_equal(one, same)
    kernels = [weight for weight in first if weight.ndim == 2 and weight.dtype.kind == "f" and weight.any()]
    assert len({weight.ravel()[0] for weight in kernels}) == len(kernels)  # no two arrays begin alike
    assert any((one != weight).any() for one, weight in zip(first, other, strict=True))


@pytest.mark.one_engine
def test_ngram_weights_are_summed_as_often_as_an_ngram_occurs():
    names = distinct_names(draw_lines(4))
    known = common_ngrams(names)
    marked = training_names(draw_lines(4)).symbols.mark(*encode(ASKED, ALPHABET), starts=1)[0]
    own = training_names(draw_lines(4))
    tables = NgramTables.of_names(own.symbols.mark(own.letters, own.lengths, starts=1)[0], START + 2, 3, least=2)
    assert tables.counts == [sum(len(ngram) == n for ngram in known) for n in (1, 2, 3)]
    layer = NgramWeights(2, tables.counts, START + 2, rate=0.0)
    layer.build((None, marked.shape[1]))
    layer.set_tables(tables)
    weights = np.random.default_rng(0).normal(size=(len(known), 2)).astype(np.float32)
    layer.ngram_weights.assign(weights)
    counts = np.array([[ngrams_of(name).count(ngram) for ngram in known] for name in ASKED])
    np.testing.assert_allclose(
        keras.ops.convert_to_numpy(layer(marked.astype(np.int32))), counts @ weights, rtol=1e-5, atol=1e-5
    )


def test_ngram_tables_stay_small_however_large_the_alphabet(monkeypatch):
    rng = np.random.default_rng(0)
    marked = rng.integers(0, 40, (300, 6))
    whole = NgramTables.of_names(marked, 40, 3, least=2)
    monkeypatch.setattr(letter_ngrams, "MOST_ENTRIES", 2500)
    fewer = NgramTables.of_names(marked, 40, 3, least=2)
    assert sum(table.size for table in whole.longer) > 2500 >= sum(table.size for table in fewer.longer)
    assert fewer.counts < whole.counts


@pytest.mark.one_engine
def test_rate_rises_and_falls():
    schedule = OneCycle(0.5, updates=10, warm_up=0.2)
    rates = [float(schedule(step)) for step in range(10)]
    falling = [0.25 * (1 + np.cos(np.pi * i / 9)) for i in range(1, 9)]
    np.testing.assert_allclose(rates, [0.25, 0.5, *falling], rtol=1e-5)
    assert float(OneCycle(0.5, updates=1, warm_up=0.2)(0)) > 0


def test_every_epoch_has_its_own_order_of_whole_batches():
    names = training_names(draw_lines(3))
    batches = NameBatches(names, 8, seed=1)
    assert len(batches) == len(names.labels) // 8

    def seen(epoch):
        batches.start_epoch(epoch)
        read = [batches[i] for i in range(len(batches))]
        taken = [
            (letters[i, :length].tobytes(), int(labels[i]))
            for (letters, lengths), labels in read
            for i, length in enumerate(lengths)
        ]
        assert len({*taken}) == 8 * len(batches) and {*taken} <= known
        assert all(letters.shape[1] == lengths.max() for (letters, lengths), _ in read)  # on torch
        ends = sorted((lengths.min(), lengths.max()) for (_, lengths), _ in read)
        assert all(end <= start for (_, end), (start, _) in itertools.pairwise(ends))
        return taken

    known = {
        (row[:length].tobytes(), int(label))
        for row, length, label in zip(names.letters, names.lengths, names.labels, strict=True)
    }
    first, second = seen(0), seen(1)
    assert {*first} != {*second} and seen(0) == first
    assert NameBatches(names, 1000, seed=1).batch_size == len(names.labels)


# Short ones: engines that compile write a recurrent network out letter by letter.
SHORT = {
    "Left": ["Ann", "Bo", "Ana", "Bea", "Nan", "Ben", "Abe", "Ona", "Eb", "Nona"],
    "Right": ["Rex", "Tor", "Rory", "Rix", "Toto", "Xito", "Roy", "Tix", "Orr", "Yo", "Rex"],
}


def small(data, **changes):
    settings = {"model": "bi-gru", "epochs": 3, "batch_size": 8, "checkpoint_seconds": 0}
    return NamesConfig(data_dir=str(data), backend=keras.backend.backend(), **settings | changes)


@pytest.fixture(scope="module", autouse=True)
def sampled_every_epoch():
    """Samples are measured after every epoch, however few names it has."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(sampled, "EVERY", 1)
        yield


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """A run, the training in it, and its states at the ends of epochs."""
    folder = tmp_path_factory.mktemp("batched")
    data, trainings, states = write_names(folder / "names", SHORT), [], []
    train, save = BatchedTraining.train, Checkpoints.save_training
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(BatchedTraining, "train", lambda *about: trainings.append(about) or train(*about))
        patched.setattr(
            Checkpoints, "save_training", lambda *about: states.append(copy.deepcopy(about[2])) or save(*about)
        )
        run_names(small(data), folder / "run")
    ((training, _, prepared),) = trainings
    return folder, training, prepared, states


@pytest.mark.every_engine
@pytest.mark.slow
def test_run_is_complete_and_goes_on_from_any_epoch_to_the_bit(ran, monkeypatch):
    folder, training, prepared, states = ran
    result = load_result(folder / "run")
    assert result.model_name == "Bi-GRU"
    assert result.arrays["loss"].shape == (1, 3) and result.arrays["loss"][0, 2] < result.arrays["loss"][0, 0]
    assert 0 <= result.metrics["held_out_accuracy_by_class_even"].mean <= 1
    assert [state["epochs"] for state in states] == [1, 2, 3]
    whole = [weight.copy() for weight in prepared.model.get_weights()]
    monkeypatch.setattr(Checkpoints, "load_training", lambda *_: copy.deepcopy(states[0]))
    monkeypatch.setattr(Checkpoints, "save_training", lambda *_: None)
    with monkeypatch.context() as patched:
        patched.setattr(SampleHistory, "on_epoch_end", lambda *_, **__: None)
        unwatched = training.train(0, prepared)
    again = training.train(0, prepared)
    assert {*again.samples.measured} == {1, 2, 3} and {*unwatched.samples.measured} == {1}
    assert again.samples.get_state() == states[-1]["parts"]["samples"]
    assert again.history.losses == unwatched.history.losses == states[-1]["parts"]["history"]["losses"]
    for one, same in zip(prepared.model.get_weights(), whole, strict=True):
        np.testing.assert_array_equal(one, same)


@pytest.mark.every_engine
@pytest.mark.slow
def test_samples_are_measured_while_a_network_learns(ran):
    folder, training, prepared, states = ran
    result, dataset = load_result(folder / "run"), training.data.dataset
    letters, lengths = dataset.letters, dataset.lengths
    np.testing.assert_array_equal(result.arrays["sampled_step"], result.arrays["loss_step"])
    seen = []
    for state in states:
        for variable, value in zip(prepared.model.weights, state["learnt"]["weights"], strict=True):
            variable.assign(value)
        right = np.asarray(prepared.model.predict_on_batch((letters, lengths))).argmax(axis=1) == dataset.labels
        samples = sampled.draw_samples(dataset, sides(training.data.splits[0]), 0)
        seen.append([right[lines].mean() for lines in samples.values()])
    for number, part in enumerate(("train", "held_out")):
        assert result.arrays[f"sampled_accuracy_{part}"][0].tolist() == [row[number] for row in seen]
    with (folder / "run" / "history.csv").open(encoding="utf-8") as file:
        rows = [*csv.DictReader(file)]
    assert [[float(row[f"sampled_accuracy_{part}"]) for part in ("train", "held_out")] for row in rows] == seen
    page = describe_run(result)
    assert [len(one["chart"].lines) for one in page["curves"]] == [1, 2]
    assert any("training did not depend on it" in note for note in page["notes"])


@pytest.mark.one_engine
@pytest.mark.slow
def test_files_predictions_and_page(ran, capsys):
    folder, _, prepared, _ = ran
    run = folder / "run"
    with (run / "history.csv").open(encoding="utf-8") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["seed", "epoch", "loss", "sampled_accuracy_train", "sampled_accuracy_held_out"]
    assert [row[:2] for row in rows[1:]] == [["0", "1"], ["0", "2"], ["0", "3"]]
    assert load_config(run / "config.toml").epochs == 3
    assert call("report", run) == 0
    assert "Letter by letter" in (run / "report.html").read_text(encoding="utf-8")
    capsys.readouterr()
    assert call("predict", run, "Anna", "Roxy", "--json") == 0
    predictions = json.loads(capsys.readouterr().out)["predictions"]
    letters, lengths = encode(["Anna", "Roxy"], training_alphabet(run))
    expected = np.exp(keras.ops.convert_to_numpy(prepared.model((letters, lengths))))
    for prediction, row in zip(predictions, expected, strict=True):
        found = [guess["probability"] for guess in prediction["guesses"]]
        np.testing.assert_allclose(found, np.sort(row)[::-1][: len(found)], atol=1e-5)


@pytest.mark.one_engine
@pytest.mark.slow
def test_export_is_refused_in_one_line(ran, capsys):
    assert call("export", "--format", "onnx", ran[0] / "run") == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "bi-gru cannot be exported" in line
    assert not [*(ran[0] / "run").glob("*.onnx")]


def training_alphabet(run):
    return load_config(run / "config.toml").alphabet


@pytest.mark.one_engine
@pytest.mark.slow
def test_interrupted_run_resumes_to_the_same_bytes(ran, tmp_path, monkeypatch):
    folder, out = ran[0], tmp_path / "run"
    line = BatchProgress.on_epoch_end

    def fail(self, epoch, logs=None):
        if epoch == 1:
            raise MemoryError
        line(self, epoch, logs)

    with monkeypatch.context() as patched, pytest.raises(MemoryError):
        patched.setattr(BatchProgress, "on_epoch_end", fail)
        run_names(small(folder / "names"), out)
    run_names(small(folder / "names"), out, resume=True)
    for name in ("results.npz", "history.csv"):
        assert (folder / "run" / name).read_bytes() == (out / name).read_bytes()
    one, same = (keras.models.load_model(run / "model-seed-0.keras", compile=False) for run in (folder / "run", out))
    for weight, other in zip(one.get_weights(), same.get_weights(), strict=True):
        np.testing.assert_array_equal(weight, other)


@pytest.mark.one_engine
def test_a_loss_that_is_not_finite_is_one_line(ran, tmp_path, capsys):
    options = ("--epochs", 2, "--learning-rate", 1e38, "--quiet", "--out", tmp_path / "run")
    assert call("names", "--data-dir", ran[0] / "names", "--model", "char-cnn", *options) == 2
    about_batches, line = capsys.readouterr().err.splitlines()
    assert "the batch size is 1" in about_batches
    assert "the loss is not finite in epoch" in line and "--learning-rate" in line


@pytest.mark.one_engine
def test_default_batch_fits_few_names_and_says_so(tmp_path, capsys):
    names = {letter.upper(): [f"{letter}{end}" for end in "abcdefghijklmnopqrs"] for letter in "wxyz"}
    options = ("--data-dir", write_names(tmp_path / "names", names), "--model", "char-cnn", "--epochs", 1, "--quiet")
    for given, size, said in (
        ((), 6, "the batch size is 6, for there are only 61 training names; --batch-size sets another"),
        (("--batch-size", 7), 7, "--batch-size 7: there are only 61 training names: an epoch has few updates"),
        (("--batch-size", 6), 6, ""),
    ):
        out = tmp_path / f"run{len(given)}{size}"
        assert call("names", *options, *given, "--out", out) == 0
        error = capsys.readouterr().err
        assert said in error and len(error.splitlines()) == bool(said)
        assert load_config(out / "config.toml").batch_size == size
        assert call("names", *options[:-1], *given, "--dry-run") == 0
        assert said in capsys.readouterr().out


@pytest.mark.one_engine
def test_dry_run_counts_the_weights_of_the_first_split(ran, capsys):
    folder, _, prepared, _ = ran
    assert call("names", "--data-dir", folder / "names", "--model", "bi-gru", "--dry-run") == 0
    size = sum(np.prod(weight.shape) for weight in prepared.model.trainable_weights)
    assert f"# Bi-GRU: {size:,} parameters" in capsys.readouterr().out


@models
@pytest.mark.parametrize("name", sorted(NETWORK_DEFAULTS.keys() - BATCHED_DEFAULTS.keys()))
def test_refuses_settings_of_training_one_example_at_a_time(model, name):
    with pytest.raises(UserError, match=f"{model} has no such setting"):
        NamesConfig(model=model, **{name: NETWORK_DEFAULTS[name]})
    assert getattr(NamesConfig(model=model), name) is None


@pytest.mark.parametrize("name", ["epochs", "batch_size", "members"])
def test_other_models_have_no_epochs(name):
    for model in ("gru", "markov", "my_cell.py:build_model"):
        with pytest.raises(UserError, match="no such setting"):
            NamesConfig(model=model, **{name: 3})
        assert getattr(NamesConfig(model=model), name) is None
    assert getattr(NamesConfig(model="char-cnn"), name) == BATCHED_DEFAULTS[name]
