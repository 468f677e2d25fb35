"""Accuracy, intervals and confusions against independent computations."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special, stats
from sklearn.metrics import balanced_accuracy_score, confusion_matrix, precision_recall_fscore_support

from keras_dnnts.analysis import (
    Z_95,
    count_confusions,
    log_softmax,
    measure_accuracy,
    most_frequent_confusions,
    score_classes,
    softmax,
)
from keras_dnnts.studies.names import evaluate
from keras_dnnts.studies.names.models import build_char_rnn, load_torch_weights
from tests.plain_torch import PlainClassifier, Sizes, random_stream


@pytest.fixture
def guesses():
    rng = np.random.default_rng(7)
    labels = rng.choice(5, 300, p=[0.5, 0.2, 0.15, 0.1, 0.05])
    return labels, np.where(rng.random(300) < 0.6, labels, rng.integers(0, 5, 300))


def test_confusions_and_recall_equal_scikit_learn(guesses):
    labels, guessed = guesses
    np.testing.assert_array_equal(count_confusions(labels, guessed, 5), confusion_matrix(labels, guessed))

    accuracy = measure_accuracy(labels, guessed, 5, copies_of=range(300))
    assert accuracy.by_class[0] == pytest.approx(balanced_accuracy_score(labels, guessed))
    assert accuracy.overall[0] == pytest.approx((labels == guessed).mean())
    np.testing.assert_allclose(accuracy.recall, confusion_matrix(labels, guessed, normalize="true").diagonal())


def test_overall_interval_is_wilson(guesses):
    labels, guessed = guesses
    accuracy = measure_accuracy(labels, guessed, 5, copies_of=range(300))
    wilson = stats.binomtest(int((labels == guessed).sum()), 300).proportion_ci(method="wilson")
    assert accuracy.overall[1] == pytest.approx((wilson.low, wilson.high))


def test_copies_count_by_class_but_not_overall_nor_as_evidence():
    labels = np.array([0] * 6 + [1] * 2)
    guessed = np.array([0, 0, 0, 0, 0, 1, 1, 0])
    names = ["a", "a", "a", "a", "b", "c", "d", "e"]
    accuracy = measure_accuracy(labels, guessed, 2, names)
    numbers = np.unique(names, return_inverse=True)[1]
    assert repr(measure_accuracy(labels, guessed, 2, numbers)) == repr(accuracy)
    assert accuracy.recall.tolist() == pytest.approx([5 / 6, 1 / 2])
    assert accuracy.overall[0] == pytest.approx(3 / 5)
    apart = measure_accuracy(labels, guessed, 2, range(8))
    width = np.diff(accuracy.by_class[1])
    assert accuracy.by_class[0] == apart.by_class[0]
    assert width > np.diff(apart.by_class[1])


def test_copies_in_another_class_are_other_examples():
    for copies in (["Lee", "Lee"], np.array([3, 3])):
        assert measure_accuracy(np.array([0, 1]), np.array([0, 0]), 2, copies).overall[0] == 0.5


def test_class_without_examples_is_left_out():
    accuracy = measure_accuracy(np.array([0, 0, 2]), np.array([0, 1, 2]), 3, range(3))
    assert accuracy.by_class[0] == pytest.approx(0.75)
    assert np.isnan(accuracy.recall[1])


def test_interval_by_class_covers_the_truth_about_as_often_as_it_says():
    rng = np.random.default_rng(3)
    chances, sizes = np.array([0.9, 0.3, 0.55]), np.array([20, 60, 15])
    labels = np.repeat(range(3), sizes)
    hits = 0
    for _ in range(400):
        right = rng.random(len(labels)) < chances[labels]
        low, high = measure_accuracy(labels, np.where(right, labels, (labels + 1) % 3), 3, range(95)).by_class[1]
        hits += low <= chances.mean() <= high
    assert 0.92 <= hits / 400 <= 0.98


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=40))
def test_intervals_contain_the_estimate_and_stay_in_the_unit_interval(pairs):
    labels, guessed = map(np.array, zip(*pairs, strict=True))
    accuracy = measure_accuracy(labels, guessed, 4, range(len(pairs)))
    for value, (low, high) in (accuracy.by_class, accuracy.overall):
        assert -1e-12 <= low <= value + 1e-12
        assert value - 1e-12 <= high <= 1 + 1e-12


def test_most_frequent_confusions_are_ranked_by_count():
    counts = np.array([[8, 2, 0], [5, 5, 0], [0, 6, 994]])
    assert most_frequent_confusions(counts, ["x", "y", "z"], most=2) == [
        {"truth": "z", "guess": "y", "count": 6, "fraction": 0.006},
        {"truth": "y", "guess": "x", "count": 5, "fraction": 0.5},
    ]
    assert most_frequent_confusions(np.array([[9, 1], [1, 1]]), ["x", "y"])[0]["truth"] == "y"
    assert most_frequent_confusions(np.eye(3), ["x", "y", "z"]) == []


def test_class_scores_equal_scikit_learn(guesses):
    labels, guessed = guesses
    counts = np.stack([count_confusions(labels, guessed, 5), count_confusions(labels[:150], guessed[:150], 5)])
    found = score_classes(counts)
    parts = [
        precision_recall_fscore_support(labels[:n], guessed[:n], labels=range(5), zero_division=0) for n in (300, 150)
    ]
    scores = found.precision, found.recall, found.f1, found.examples
    for score, *expected in zip(scores, *parts, strict=True):
        np.testing.assert_allclose(score, np.mean(expected, axis=0))


def test_scores_that_are_not_defined_are_left_out():
    found = score_classes(np.array([[[3, 1, 0], [0, 0, 0], [2, 0, 0]]]))
    np.testing.assert_allclose(found.recall, [0.75, np.nan, 0])
    np.testing.assert_allclose(found.precision, [0.6, 0, np.nan])
    np.testing.assert_allclose(found.f1, [2 * 0.75 * 0.6 / 1.35, np.nan, 0])


def test_effective_examples_are_fewer_where_names_repeat():
    accuracy = measure_accuracy(np.array([0, 0, 0, 1]), np.array([0, 0, 0, 1]), 3, ["Lee", "Lee", "Kim", "Ito"])
    assert accuracy.distinct.tolist() == [2, 1, 0]
    np.testing.assert_allclose(accuracy.effective, [9 / 5, 1, 0])


@pytest.mark.every_engine
def test_names_of_all_lengths_are_predicted_as_one_by_one(monkeypatch):
    monkeypatch.setattr(evaluate, "NAMES_A_BATCH", 8)
    sizes = Sizes(width=11, hidden_units=20, classes=5, longest=7)
    stream, plain = random_stream(sizes, 43), PlainClassifier("gru", sizes)
    model = load_torch_weights(build_char_rnn("gru", 11, 5, 20), *plain.states)
    for count in (43, 3, 1):
        predicted = evaluate.predict_log_probabilities(model, *stream[:count].x)
        np.testing.assert_allclose(predicted, plain.predict(stream[:count]), rtol=0, atol=1e-5)


def test_what_is_computed_without_scipy_is_scipy_s():
    logits = np.random.default_rng(7).normal(scale=9, size=(5, 3, 4))
    np.testing.assert_array_equal(softmax(logits), special.softmax(logits, axis=-1))
    np.testing.assert_allclose(log_softmax(logits), special.log_softmax(logits, axis=-1), rtol=1e-14, atol=1e-14)
    assert special.ndtri(0.975) == Z_95
