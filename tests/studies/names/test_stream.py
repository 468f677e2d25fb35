"""The example stream: classes evenly, lines evenly within a class, one stream a seed everywhere."""

import numpy as np
import pytest
from scipy import stats

from keras_dnnts.studies.names.stream import class_shares, distinct_lines, draw_examples

LABELS = np.random.default_rng(5).choice(4, 200, p=[0.6, 0.3, 0.08, 0.02])


def test_stream_is_the_same_on_every_machine():
    assert draw_examples(np.array([0, 1, 1, 2, 2, 2]), 12, seed=4).tolist() == EXPECTED


def test_classes_and_lines_within_them_are_drawn_evenly():
    drawn = draw_examples(LABELS, 40_000, seed=1)
    assert stats.chisquare(np.bincount(LABELS[drawn])).pvalue > 1e-3
    for label in range(4):
        lines = np.flatnonzero(label == LABELS)
        counts = np.bincount(drawn[LABELS[drawn] == label], minlength=200)[lines]
        assert stats.chisquare(counts).pvalue > 1e-3


def test_seeds_differ_and_repeat():
    first, again, other = (draw_examples(LABELS, 50, seed) for seed in (1, 1, 2))
    assert first.tolist() == again.tolist()
    assert first.tolist() != other.tolist()


def test_missing_classes_are_never_drawn():
    assert set(draw_examples(np.array([0, 3, 3]), 100, 0)) == {0, 1, 2}


EXPECTED = [3, 1, 5, 0, 0, 0, 0, 4, 2, 0, 0, 5]


@pytest.mark.parametrize(("classes", "shares"), [("natural", [0.64, 0.36]), ("root", [4 / 7, 3 / 7])])
def test_classes_are_drawn_by_the_number_of_their_examples(classes, shares):
    labels = np.repeat([2, 5], [16, 9])
    drawn = draw_examples(labels, 40_000, seed=3, classes=classes)
    np.testing.assert_allclose(np.bincount(labels[drawn], minlength=6)[[2, 5]] / 40_000, shares, atol=0.01)
    np.testing.assert_allclose(np.bincount(drawn)[:16] / 40_000, shares[0] / 16, atol=0.005)
    np.testing.assert_allclose(class_shares(np.array([16, 0, 9]), classes), [shares[0], 0, shares[1]])


def test_of_copies_the_first_line_is_drawn():
    texts, labels = ["Li", "Ng", "Li", "Li", "Ng"], np.array([0, 0, 1, 0, 0])
    assert distinct_lines(texts, labels, np.array([3, 4, 2, 0, 1])).tolist() == [3, 4, 2]
