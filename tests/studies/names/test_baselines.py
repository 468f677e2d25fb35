"""Baselines against plain implementations, written from their formulas with dictionaries and loops."""

import math
import subprocess
import sys
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_dnnts.datasets.alphabets import REFERENCE_ALPHABET
from keras_dnnts.datasets.letters import encode, names_dataset
from keras_dnnts.errors import UserError
from keras_dnnts.studies.names.baselines import fit_baseline, load_baseline, save_baseline
from keras_dnnts.studies.names.baselines.base import TrainingNames, log_prior
from keras_dnnts.studies.names.baselines.letters import NgramIndex, Symbols, cut_ngrams
from keras_dnnts.studies.names.baselines.logistic import C, NgramLogisticModel
from keras_dnnts.studies.names.baselines.markov import DISCOUNT, ORDER, MarkovModel
from keras_dnnts.studies.names.baselines.naive_bayes import ALPHA, NaiveBayesModel
from keras_dnnts.studies.names.config import BASELINES

ALPHABET = "abcABC -éÉ"
LETTERS = 6  # a, b, c, blank, hyphen, é: both cases are one


def draw_names(rng, count, longest=7):
    drawn = ("".join(rng.choice(list(ALPHABET), rng.integers(1, longest + 1))) for _ in range(9 * count))
    names = (" ".join(name.split()) for name in drawn)  # as names are spelled
    return [name for name in names if any(map(str.isalpha, name))][:count]


def draw_lines(seed, sizes=(23, 1, 9)):
    """Lines by class: some twice, in either case and with blanks around, and one class of a single name."""
    rng = np.random.default_rng(seed)
    lines = {f"class {k}": draw_names(rng, size) for k, size in enumerate(sizes)}
    lines["class 0"] += [lines["class 0"][0], lines["class 0"][1].upper(), f" {lines['class 2'][0]} "]
    return lines


def training_names(lines):
    dataset = names_dataset(lines, ALPHABET, name="drawn", source="drawn")
    return TrainingNames.of_lines(dataset, np.arange(len(dataset.texts)))


def distinct(lines):
    """Distinct names of each class, in the order of the classes."""
    return [list(dict.fromkeys(name.strip().casefold() for name in lines[k])) for k in sorted(lines)]


def answer(model, names, how="log_probabilities"):
    return getattr(model, how)(*encode(names, ALPHABET))


def plain_posterior(log_likelihoods, of_class):
    """Rows of log-likelihoods to log-probabilities of classes, with their shares of the names as prior."""
    total = sum(map(len, of_class))
    rows = []
    for row in log_likelihoods:
        joint = [one + math.log(len(names) / total) for one, names in zip(row, of_class, strict=True)]
        top = max(joint)
        rows.append([one - top - math.log(sum(math.exp(other - top) for other in joint)) for one in joint])
    return np.array(rows)


class PlainKneserNey:
    def __init__(self, names, order):
        self.order = order
        self.counts = {order: Counter()}
        for name in names:
            symbols = [*["start"] * (order - 1), *name, "end"]
            for i in range(order - 1, len(symbols)):
                self.counts[order][tuple(symbols[i - order + 1 : i + 1])] += 1
        for length in range(order - 1, 0, -1):
            self.counts[length] = Counter(ngram[1:] for ngram in self.counts[length + 1])

    def probability(self, history, symbol):
        shorter = 1 / (LETTERS + 1) if not history else self.probability(history[1:], symbol)
        after = {ngram: n for ngram, n in self.counts[len(history) + 1].items() if ngram[:-1] == history}
        total = sum(after.values())
        if not total:
            return shorter
        kept = max(after.get((*history, symbol), 0) - DISCOUNT, 0)
        return kept / total + DISCOUNT * len(after) / total * shorter

    def log_probability(self, name):
        symbols = [*["start"] * (self.order - 1), *name.strip().casefold(), "end"]
        places = range(self.order - 1, len(symbols))
        return sum(math.log(self.probability(tuple(symbols[i - self.order + 1 : i]), symbols[i])) for i in places)


@pytest.mark.parametrize("order", [1, 2, 3, ORDER])
def test_markov_model_is_the_plain_one(order):
    lines = draw_lines(order)
    of_class, asked = (
        distinct(lines),
        [*draw_names(np.random.default_rng(99), 40), *lines["class 0"], *lines["class 1"]],
    )
    plain = [PlainKneserNey(names, order) for names in of_class]
    model = MarkovModel.fit(training_names(lines), order=order)
    expected = np.array([[one.log_probability(name) for one in plain] for name in asked])
    np.testing.assert_allclose(answer(model, asked, "log_likelihoods"), expected, rtol=1e-10)
    np.testing.assert_allclose(answer(model, asked), plain_posterior(expected, of_class), rtol=1e-5, atol=1e-6)


def test_every_symbol_has_a_probability_and_they_sum_to_one():
    model = MarkovModel.fit(training_names(draw_lines(5)))
    rng = np.random.default_rng(1)
    for history in rng.integers(0, LETTERS, (20, ORDER - 1)):
        ngrams = np.array([[*history, symbol] for symbol in range(LETTERS + 1)])
        probabilities = model._probabilities(ngrams)
        assert (probabilities > 0).all()
        np.testing.assert_allclose(probabilities.sum(axis=0), 1)


def count_ngrams(name, longest):
    symbols = ["start", *name.strip().casefold(), "end"]
    return Counter(tuple(symbols[i : i + n]) for n in range(1, longest + 1) for i in range(len(symbols) - n + 1))


def test_naive_bayes_is_the_plain_one():
    lines = draw_lines(6)
    of_class, asked = distinct(lines), [*draw_names(np.random.default_rng(98), 40), *lines["class 0"]]
    counts = [sum((count_ngrams(name, 3) for name in names), Counter()) for names in of_class]
    vocabulary = set().union(*counts)
    expected = [
        [
            sum(
                times * math.log((of[ngram] + ALPHA) / (of.total() + ALPHA * len(vocabulary)))
                for ngram, times in count_ngrams(name, 3).items()
                if ngram in vocabulary
            )
            for of in counts
        ]
        for name in asked
    ]
    model = NaiveBayesModel.fit(training_names(lines))
    np.testing.assert_allclose(answer(model, asked), plain_posterior(expected, of_class), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("classes", [2, 3])
def test_logistic_regression_is_at_its_optimum(classes):
    lines = draw_lines(7)
    if classes == 2:
        del lines["class 1"]
    names = training_names(lines)
    model = NgramLogisticModel.fit(names)
    of_class = distinct(lines)
    counted = [(count_ngrams(name, 4), label) for label, of in enumerate(of_class) for name in of]
    vocabulary = sorted(set().union(*(counts for counts, _ in counted)))
    assert model.weights.shape == (len(vocabulary), len(of_class))
    features = np.array([[counts[ngram] for ngram in vocabulary] for counts, _ in counted], float)
    number = {"start": model.ngrams.symbols.start, "end": model.ngrams.symbols.end}
    number |= {letter: i for i, letter in enumerate(sorted({letter.casefold() for letter in ALPHABET}))}
    written = [tuple(ngram) for n in range(1, 5) for ngram in model.to_arrays()[f"ngrams_{n}"].tolist()]
    rows = [written.index(tuple(number[symbol] for symbol in ngram)) for ngram in vocabulary]
    weights, truth = model.weights[rows].astype(float), np.eye(len(of_class))[[label for _, label in counted]]

    def log_softmax(weights):
        logits = features @ weights
        return logits - np.logaddexp.reduce(logits, axis=1)[:, None]

    def gradient(weights):
        return C * features.T @ (np.exp(log_softmax(weights)) - truth) + weights

    assert np.abs(gradient(weights)).max() < 1e-3 * np.abs(gradient(0 * weights)).max()
    asked = [name for of in of_class for name in of]
    np.testing.assert_allclose(answer(model, asked), log_softmax(weights), rtol=1e-5, atol=1e-5)


def test_majority_answers_the_largest_class():
    lines = draw_lines(8)
    probabilities = np.exp(answer(fit_baseline("majority", training_names(lines)), ["abc", "é"]))
    sizes = np.array([len(names) for names in distinct(lines)])
    np.testing.assert_allclose(probabilities, np.tile(sizes / sizes.sum(), (2, 1)), rtol=1e-6)


@pytest.mark.parametrize("name", BASELINES)
class TestEveryBaseline:
    def test_gives_log_probabilities(self, name):
        model = fit_baseline(name, training_names(draw_lines(9)))
        found = answer(model, draw_names(np.random.default_rng(97), 30))
        assert found.dtype == np.float32 and found.shape == (30, 3)
        np.testing.assert_allclose(np.exp(found).sum(axis=1), 1, rtol=1e-5)
        assert answer(model, []).shape == (0, 3)
        assert model.parameters > 0

    def test_neither_case_nor_blanks_around_nor_padding_count(self, name):
        model = fit_baseline(name, training_names(draw_lines(9)))
        plain, padded = answer(model, ["ab c"]), answer(model, ["  aB C ", "bbbbbbbbbb"])[:1]
        np.testing.assert_array_equal(plain, padded)

    def test_answers_do_not_depend_on_the_batch(self, name, monkeypatch):
        model = fit_baseline(name, training_names(draw_lines(9)))
        asked = draw_names(np.random.default_rng(96), 30)
        whole = answer(model, asked)
        monkeypatch.setattr("keras_dnnts.studies.names.baselines.base.NAMES_A_BATCH", 7)
        np.testing.assert_allclose(answer(model, asked), whole, rtol=1e-6)

    def test_is_the_same_file_each_time_and_the_same_model_once_loaded(self, name, tmp_path):
        names = training_names(draw_lines(10))
        model = fit_baseline(name, names)
        for file in ("a.npz", "b.npz"):
            save_baseline(model if file == "a.npz" else fit_baseline(name, names), tmp_path / file)
        assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
        loaded = load_baseline(name, tmp_path / "a.npz", ALPHABET, 3)
        asked = draw_names(np.random.default_rng(95), 30)
        np.testing.assert_array_equal(answer(loaded, asked), answer(model, asked))
        np.testing.assert_array_equal(loaded.names, model.names)
        assert loaded.parameters == model.parameters

    def test_seventy_names_do(self, name):
        rng = np.random.default_rng(11)
        lines = {f"class {k}": draw_names(rng, 4, longest=2) for k in range(18)}
        assert np.isfinite(answer(fit_baseline(name, training_names(lines)), ["a", "abcabc"])).all()

    def test_a_file_of_another_model_is_refused(self, name, tmp_path):
        other = next(one for one in BASELINES if one != name) if name == "majority" else "majority"
        save_baseline(fit_baseline(name, training_names(draw_lines(10))), tmp_path / "model.npz")
        if name != "majority":
            for alphabet, classes in (("abc", 3), (ALPHABET, 4)):
                with pytest.raises(UserError, match="is damaged or not the model"):
                    load_baseline(name, tmp_path / "model.npz", alphabet, classes)
        with pytest.raises(UserError, match="is damaged or not the model"):
            load_baseline(other, tmp_path / "model.npz", ALPHABET, 2)

    @pytest.mark.parametrize("damage", ["missing", "cut", "text", "empty", "negative", "not a number"])
    def test_damage_is_one_line(self, name, damage, tmp_path):
        path = tmp_path / "model.npz"
        arrays = fit_baseline(name, training_names(draw_lines(10))).to_arrays()
        if damage in ("negative", "not a number"):
            array = "weights" if damage == "not a number" and "weights" in arrays else "names"
            spoilt = np.full_like(arrays[array], np.nan if array == "weights" else -1)
            np.savez(path, **{**arrays, array: spoilt})
        elif damage != "missing":
            np.savez(path, **arrays)
            content = path.read_bytes()
            path.write_bytes({"cut": content[: len(content) // 2], "text": b"no model", "empty": b""}[damage])
        with pytest.raises(UserError, match=r"model\.npz: is damaged or not the model of this run"):
            load_baseline(name, path, ALPHABET, 3)


def test_a_pickle_is_never_read(tmp_path):
    np.savez(tmp_path / "model.npz", names=np.array([{"run": "me"}, None, None], object))
    with pytest.raises(UserError, match="is damaged"):
        load_baseline("majority", tmp_path / "model.npz", ALPHABET, 3)


def test_a_class_without_names_is_refused():
    letters, lengths = encode(["abc"], ALPHABET)
    with pytest.raises(ValueError, match="every class"):
        TrainingNames(Symbols.of_alphabet(ALPHABET), letters, lengths, np.array([1]), 2)


def test_copies_count_once():
    lines = draw_lines(12)
    twice = {name: [*texts, *[text.upper() for text in texts]] for name, texts in lines.items()}
    np.testing.assert_array_equal(training_names(twice).counts, training_names(lines).counts)
    np.testing.assert_array_equal(training_names(lines).counts, [len(names) for names in distinct(lines)])


def test_the_prior_is_the_share_of_names():
    np.testing.assert_allclose(np.exp(log_prior(np.array([3, 1]))), [0.75, 0.25])


@given(st.lists(st.text(REFERENCE_ALPHABET, min_size=1, max_size=9), min_size=1, max_size=5), st.integers(0, 3))
def test_names_are_marked_as_texts_are_stripped_and_folded(names, starts):
    symbols = Symbols.of_alphabet(REFERENCE_ALPHABET)
    letters = sorted({letter.casefold() for letter in REFERENCE_ALPHABET})
    marked, sizes = symbols.mark(*encode(names, REFERENCE_ALPHABET), starts)
    for row, size, name in zip(marked.tolist(), sizes.tolist(), names, strict=True):
        folded = [letters.index(letter) for letter in name.strip().casefold()]
        assert row[:size] == [symbols.start] * starts + folded + [symbols.end]
        assert set(row[size:]) <= {-1}


def test_ngrams_are_numbered_as_they_sort():
    rng = np.random.default_rng(2)
    known, asked = rng.integers(0, 4, (60, 3)), rng.integers(0, 4, (80, 3))
    index = NgramIndex(known, 4)
    distinct_rows = sorted(set(map(tuple, known.tolist())))
    assert index.ngrams.tolist() == list(map(list, distinct_rows))
    assert index.numbers.tolist() == [distinct_rows.index(tuple(row)) for row in known.tolist()]
    prefixes = sorted({row[:2] for row in distinct_rows})
    contexts, numbers = index.find(asked)
    assert index.contexts == len(prefixes)
    for row, context, number in zip(asked.tolist(), contexts.tolist(), numbers.tolist(), strict=True):
        assert number == (distinct_rows.index(tuple(row)) if tuple(row) in distinct_rows else -1)
        assert context == (prefixes.index(tuple(row[:2])) if tuple(row[:2]) in prefixes else -1)


def test_ngrams_are_cut_within_names():
    marked = np.array([[5, 1, 2, 6, -1], [5, 3, 6, -1, -1]])
    ngrams, of_name = cut_ngrams(marked, np.array([4, 3]), 3)
    assert ngrams.tolist() == [[5, 1, 2], [1, 2, 6], [5, 3, 6]] and of_name.tolist() == [0, 0, 1]
    assert len(cut_ngrams(marked, np.array([4, 3]), 6)[0]) == 0


def test_no_engine_is_imported():
    code = (
        "import sys; from keras_dnnts.studies.names.baselines import markov, naive_bayes, logistic, majority;"
        "print(sorted({'keras', 'torch', 'jax', 'tensorflow', 'sklearn', 'matplotlib'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
