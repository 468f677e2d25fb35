"""Which classes are shown of a name that is read letter by letter."""

import numpy as np
import pytest

from keras_dnnts.studies.names.reading import round_to_hundred, summarise_reading


def test_every_class_that_leads_has_a_row_and_the_rest_are_others():
    probabilities = np.full((4, 9), 0.01)
    probabilities[0, 7] = 0.92  # leads after the first letter only
    probabilities[1, 8] = 0.92
    probabilities[2] = [0.36, 0.30, 0.24, 0.06, 0.02, 0.01, 0.01, 0.0, 0.0]
    probabilities[3] = np.nan
    one = summarise_reading("Dam", 5, probabilities)
    assert one.labels == [0, 1, 2, 3, 5, 7, 8, None]
    assert (one.guess, one.truth) == (0, 5)
    assert one.percents[:, 2].tolist() == [36, 30, 24, 6, 1, 0, 0, 3]
    assert one.percents[5].tolist() == [92, 1, 0]
    assert one.percents.sum(axis=0).tolist() == [100] * 3


@pytest.mark.parametrize("classes", [2, 4, 5])
def test_few_classes_have_no_others(classes):
    one = summarise_reading("ab", 1, np.random.default_rng(0).dirichlet(np.ones(classes), 2))
    assert sorted(one.labels) == list(range(classes))
    assert one.percents.sum(axis=0).tolist() == [100, 100]


def test_columns_add_up_to_100_whatever_is_rounded():
    shares = np.random.default_rng(1).dirichlet(np.full(7, 0.3), 50).T
    percents = round_to_hundred(shares)
    assert (percents.sum(axis=0) == 100).all()
    assert np.abs(percents - 100 * shares).max() < 1
    np.testing.assert_array_equal(round_to_hundred(np.full((3, 1), 1 / 3)).ravel(), [34, 33, 33])
