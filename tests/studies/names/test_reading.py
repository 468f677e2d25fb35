"""Reading letter by letter equals giving the model the name's prefixes."""

from types import SimpleNamespace

import numpy as np
import pytest

from keras_dnnts.analysis import late_changes
from keras_dnnts.studies.names.evaluate import (
    KerasEvaluator,
    build_evaluator,
    predict_log_probabilities,
    read_letter_by_letter,
)
from keras_dnnts.studies.names.illustrate import READ_OF_A_KIND, show_reading
from keras_dnnts.studies.names.models import build_char_rnn
from tests.devices import FARTHER


@pytest.fixture
def names():
    rng = np.random.default_rng(4)
    lengths = rng.integers(1, 9, 40).astype(np.int32)
    letters = rng.integers(0, 6, (40, 8), dtype=np.int32)
    letters[np.arange(8) >= lengths[:, None]] = 6
    return letters, lengths


@pytest.mark.every_engine
@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
def test_every_letter_is_as_if_it_were_the_last(cell, names):
    letters, lengths = names
    model = build_char_rnn(cell, 7, 3, 8, seed=2)
    for weight in model.weights:
        weight.assign(3 * weight)
    probabilities = read_letter_by_letter(model, letters, lengths)
    for t in range(letters.shape[1]):
        there = lengths > t
        prefixes = predict_log_probabilities(model, letters[there], np.full(there.sum(), t + 1, np.int32))
        np.testing.assert_allclose(probabilities[there, t], np.exp(prefixes), rtol=1e-4)
        assert np.isnan(probabilities[~there, t]).all()


@pytest.mark.every_engine
@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
def test_runs_are_evaluated_in_numpy_as_keras_would(cell, names):
    letters, lengths = names
    model = build_char_rnn(cell, 7, 3, 8, seed=2)
    for weight in model.weights:
        weight.assign(3 * weight)
    own, ours = build_evaluator(model, "my.py:cell"), build_evaluator(model, cell)
    assert isinstance(own, KerasEvaluator)
    assert not isinstance(ours, KerasEvaluator)
    for method in ("log_probabilities", "read_letter_by_letter"):
        expected = getattr(own, method)(letters, lengths)
        np.testing.assert_allclose(getattr(ours, method)(letters, lengths), expected, rtol=1e-4 * FARTHER, atol=1e-6)


def test_late_changes_are_those_within_the_last_letters():
    guesses = [[0, 1, 1, 1], [2, 2], [1, 0, 1], [0, 0, 2, 1]]
    probabilities = np.full((4, 4, 3), np.nan, np.float32)
    for row, name in zip(probabilities, guesses, strict=True):
        for t, guess in enumerate(name):
            row[t] = np.eye(3)[guess] * 0.4 + 0.2
    shares = late_changes(probabilities, np.array([4, 2, 3, 4]))
    np.testing.assert_allclose(shares, [2 / 4, 3 / 4, 1, 1])


@pytest.mark.one_engine
def test_right_and_wrong_names_are_shown_from_different_classes(names):
    letters, lengths = names
    model = build_char_rnn("gru", 7, 3, 8, seed=2)
    guesses = predict_log_probabilities(model, letters, lengths).argmax(axis=1)
    # Two names in three are right, whatever the untrained model says.
    labels = np.where(np.arange(40) % 3, guesses, (guesses + 1 + np.arange(40) % 2) % 3).astype(np.int32)
    texts = tuple("".join(map(str, row[:length])) for row, length in zip(letters, lengths, strict=True))
    dataset = SimpleNamespace(
        texts=texts, letters=letters, lengths=lengths, labels=labels, line_numbers=np.arange(40) + 1
    )
    lines = np.arange(5, 40)
    shown = show_reading(KerasEvaluator(model), dataset, lines, "held_out")

    probabilities = shown["reading_held_out_probability"]
    ends = [len(name) - 1 for name in shown["reading_held_out_name"]]
    truths = shown["reading_held_out_truth"]
    right = probabilities[np.arange(len(ends)), ends].argmax(axis=1) == truths
    assert right.tolist() == [True] * READ_OF_A_KIND + [False] * READ_OF_A_KIND
    known = {(texts[line], labels[line]) for line in lines}
    assert set(zip(shown["reading_held_out_name"].tolist(), truths, strict=True)) <= known
    for kind, chosen in ((truths[right], guesses == labels), (truths[~right], guesses != labels)):
        assert len(set(kind)) == min(READ_OF_A_KIND, len(set(labels[lines][chosen[lines]])))
    assert [texts[line - 1] for line in shown["reading_held_out_line"]] == shown["reading_held_out_name"].tolist()
    assert shown["reading_held_out_late_changes"][-1] == 1
