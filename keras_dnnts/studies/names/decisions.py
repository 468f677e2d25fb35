"""What is answered once the probabilities are known: it depends on how frequent the classes are held to be.

A model gives log P(class | name) under the class frequencies that it was trained with. Another prior replaces these by
Bayes' rule. With equal frequencies (``"even"``) the most probable class serves the accuracy averaged over classes,
with those of the data (``"natural"``) the share of all names that are answered correctly.
"""

import numpy as np

from keras_dnnts.analysis import log_softmax

PRIORS = ("even", "natural")


def change_prior(log_probabilities: np.ndarray, trained: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Return (N, K) float64 log-probabilities under another prior.

    Args:
        log_probabilities: (N, K) float, under the prior of training.
        trained: (K,) float, how frequent each class was in training, on any scale; above 0.
        wanted: (K,) float, how frequent it is to be, on any scale; above 0.

    >>> import numpy as np
    >>> even = np.log([[0.5, 0.5]])
    >>> np.exp(change_prior(even, trained=np.array([1, 1]), wanted=np.array([3, 1]))).round(2).tolist()
    [[0.75, 0.25]]
    """
    return log_softmax(log_probabilities.astype(np.float64) + np.log(wanted / trained))


def prior_of(kind: str, names: np.ndarray) -> np.ndarray:
    """Return (K,) float64 class frequencies of one of ``PRIORS``, from the distinct training names (K,) of each class.

    >>> import numpy as np
    >>> prior_of("natural", np.array([3, 1])).tolist(), prior_of("even", np.array([3, 1])).tolist()
    ([0.75, 0.25], [0.5, 0.5])
    """
    if kind not in PRIORS:
        raise ValueError(f"unknown prior {kind!r}: use one of {', '.join(PRIORS)}")
    return names / names.sum() if kind == "natural" else np.full(len(names), 1 / len(names))
