import itertools

import numpy as np
import pytest

from keras_dnnts.analysis import measure_accuracy
from keras_dnnts.studies.names.bound import best_possible
from keras_dnnts.studies.names.decisions import PRIORS, change_prior, prior_of


def test_another_prior_is_bayes_rule():
    rng = np.random.default_rng(3)
    likelihoods, trained, wanted = rng.random((7, 4)), rng.random(4), rng.random(4)

    def posterior(prior):
        joint = likelihoods * (prior / prior.sum())
        return joint / joint.sum(axis=1, keepdims=True)

    changed = change_prior(np.log(posterior(trained)), trained, wanted)
    np.testing.assert_allclose(np.exp(changed), posterior(wanted), rtol=1e-12)


def test_the_same_prior_changes_nothing_whatever_its_scale():
    log_probabilities = np.log(np.random.default_rng(4).dirichlet(np.ones(5), size=6)).astype(np.float32)
    trained = np.array([3, 1, 4, 1, 5])
    np.testing.assert_allclose(change_prior(log_probabilities, trained, 7 * trained), log_probabilities, atol=1e-6)


def test_priors():
    names = np.array([6, 3, 1])
    assert prior_of("natural", names).tolist() == [0.6, 0.3, 0.1]
    np.testing.assert_allclose(prior_of("even", names), 1 / 3)
    assert PRIORS == ("even", "natural")
    with pytest.raises(ValueError, match="unknown prior 'odd'"):
        prior_of("odd", names)


@pytest.mark.parametrize("seed", range(5))
def test_no_answers_score_more_than_the_bound_and_some_reach_it(seed):
    rng = np.random.default_rng(seed)
    names = [f"name {i}" for i in rng.integers(0, 5, 16)]
    labels = np.concatenate([[0, 1, 2], rng.integers(0, 3, 13)])
    distinct = sorted(set(names))
    scores = []
    for answers in itertools.product(range(3), repeat=len(distinct)):
        guesses = np.array([answers[distinct.index(name)] for name in names])
        accuracy = measure_accuracy(labels, guesses, 3, copies_of=names)
        scores.append((accuracy.by_class[0], accuracy.overall[0]))
    bound = best_possible(labels, names, 3)
    np.testing.assert_allclose([bound.by_class, bound.overall], np.max(scores, axis=0))
