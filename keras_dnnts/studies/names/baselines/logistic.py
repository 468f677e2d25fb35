"""Logistic regression on counts of letter n-grams."""

from typing import Self

import numpy as np
from threadpoolctl import threadpool_limits

from keras_dnnts.studies.names.baselines.arrays import Arrays
from keras_dnnts.studies.names.baselines.base import Baseline, TrainingNames
from keras_dnnts.studies.names.baselines.letters import Symbols
from keras_dnnts.studies.names.baselines.majority import read_names
from keras_dnnts.studies.names.baselines.ngram_counts import NgramCounts

LONGEST = 4
C = 0.3
TOLERANCE = 3e-4  # scikit-learn's: the largest change of a weight in an iteration, relative to the largest weight
MOST_ITERATIONS = 1000


class NgramLogisticModel(Baseline):
    """Multinomial logistic regression (scikit-learn's) on how often a name holds each n-gram.

    A name is read as a start mark, its letters (both cases alike) and an end mark, and counted as the n-grams of 1 to
    4 of these symbols that occur in the training names. Each mark occurs once in every name: its weights are the
    bias. Of the distinct training names x with classes y, the weights W minimise ::

        C * sum of -log softmax(x W)[y] + |W|^2 / 2.

    Args:
        ngrams: the n-grams that are counted.
        names: (K,) int64, number of distinct training names of each class.
        weights: (G, K) float32.
    """

    def __init__(self, ngrams: NgramCounts, names: np.ndarray, weights: np.ndarray) -> None:
        self.ngrams, self.names, self.weights = ngrams, names, weights

    @classmethod
    def fit(cls, names: TrainingNames) -> Self:
        """Find the weights."""
        # It takes a second to import: not for a model that was fitted before.
        from sklearn.linear_model import LogisticRegression

        ngrams = NgramCounts.of_names(names.symbols, names.letters, names.lengths, LONGEST)
        counts = ngrams.count(names.letters, names.lengths)
        # Of two classes, scikit-learn fits the difference of their weights alone, penalised twice as much.
        pair = names.classes == 2
        # Stochastic average gradients need a third of the time that L-BFGS and Newton's method do on these counts.
        regression = LogisticRegression(
            C=2 * C if pair else C,
            fit_intercept=False,
            solver="sag",
            tol=TOLERANCE,
            max_iter=MOST_ITERATIONS,
            random_state=0,
        )
        with threadpool_limits(1, user_api="blas"):  # the order of sums must not depend on the machine's cores
            regression.fit(counts.astype(np.float32), names.labels)
        weights = regression.coef_.T
        return cls(ngrams, names.counts, np.hstack([-weights, weights]) / 2 if pair else weights)

    @classmethod
    def from_arrays(cls, arrays: Arrays, symbols: Symbols, classes: int) -> Self:
        """Read the weights."""
        ngrams = NgramCounts.from_arrays(arrays, symbols, LONGEST)
        return cls(ngrams, read_names(arrays, classes), arrays.numbers("weights", ngrams.size, classes))

    def to_arrays(self) -> dict[str, np.ndarray]:
        """The weights."""
        return {"names": self.names, "weights": self.weights, **self.ngrams.to_arrays()}

    @property
    def parameters(self) -> int:
        """Number of weights."""
        return self.weights.size

    def logits(self, letters: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        """Weighted counts of n-grams."""
        return self.ngrams.count(letters, lengths) @ self.weights.astype(np.float64)
