import numpy as np

from keras_dnnts.analysis import CALIBRATION_BINS, measure_calibration


def plain_error(probabilities, labels, weights, bins):
    """The definition, bin by bin."""
    total, error = sum(weights), 0.0
    for number in range(bins):
        rows = [i for i, row in enumerate(probabilities) if number / bins < max(row) <= (number + 1) / bins]
        if rows:
            weight = sum(weights[i] for i in rows)
            confidence = sum(weights[i] * max(probabilities[i]) for i in rows) / weight
            accuracy = sum(weights[i] * (np.argmax(probabilities[i]) == labels[i]) for i in rows) / weight
            error += weight / total * abs(accuracy - confidence)
    return error


def test_error_is_the_plain_one():
    rng = np.random.default_rng(0)
    for bins in (1, 4, CALIBRATION_BINS):
        probabilities, labels = rng.dirichlet([0.3, 0.5, 1], size=200), rng.integers(0, 3, 200)
        weights = rng.random(200)
        found = measure_calibration(probabilities, labels, weights, bins)
        assert np.isclose(found.error, plain_error(probabilities, labels, weights, bins))
        alike = measure_calibration(probabilities, labels, bins=bins)
        assert np.isclose(alike.error, plain_error(probabilities, labels, np.ones(200), bins))
        gaps = np.nan_to_num(np.abs(found.accuracy - found.confidence))
        assert np.isclose((found.weight * gaps).sum(), found.error)
        assert np.isclose(found.weight.sum(), 1)


def test_ends_of_bins():
    probabilities = np.array([[1.0, 0.0], [0.5, 0.5], [0.75, 0.25]])
    found = measure_calibration(probabilities, np.array([0, 1, 1]), bins=4)
    assert found.weight.tolist() == [0, 1 / 3, 1 / 3, 1 / 3]
    assert np.isnan(found.confidence[0]) and found.confidence[1:].tolist() == [0.5, 0.75, 1]
    assert found.accuracy[1:].tolist() == [0, 0, 1]


def test_a_model_that_knows_how_unsure_it_is_has_no_error():
    probabilities = np.tile([0.8, 0.2], (5, 1))
    assert np.isclose(measure_calibration(probabilities, np.array([0, 0, 1, 0, 0])).error, 0)
