"""The example stream: classes evenly, lines evenly within a class, one stream a seed everywhere."""

import numpy as np
from scipy import stats

from keras_dnnts.studies.names.stream import draw_examples

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
