"""Multinomial naive Bayes on letter n-grams."""

from typing import Self

import numpy as np

from keras_dnnts.studies.names.baselines.arrays import Arrays
from keras_dnnts.studies.names.baselines.base import Baseline, TrainingNames, log_prior
from keras_dnnts.studies.names.baselines.letters import Symbols
from keras_dnnts.studies.names.baselines.majority import read_names
from keras_dnnts.studies.names.baselines.ngram_counts import NgramCounts

LONGEST = 3
ALPHA = 0.03


class NaiveBayesModel(Baseline):
    """Multinomial naive Bayes (McCallum & Nigam 1998) with Lidstone's smoothing.

    A name is read as a start mark, its letters (both cases alike) and an end mark, and counted as the n-grams of 1 to
    3 of these symbols. In a class, an n-gram g has probability ::

        P(g) = (c(g) + alpha) / (sum of c(h) over h + alpha G)

    where c counts in the distinct training names of the class, and the G n-grams h are all that occur in the training
    names of any class. Others in a name are left out. A class is as probable as its share of the distinct training
    names times the product of P(g) over all n-grams g of the name, each as often as it occurs.

    Args:
        ngrams: the n-grams that are counted.
        names: (K,) int64, number of distinct training names of each class.
        counts: (G, K) int64, c.
        alpha: above 0.
    """

    def __init__(self, ngrams: NgramCounts, names: np.ndarray, counts: np.ndarray, alpha: float = ALPHA) -> None:
        self.ngrams, self.names, self.counts, self.alpha = ngrams, names, counts, alpha
        smoothed = counts + alpha
        self._log_probabilities = np.log(smoothed / smoothed.sum(axis=0))

    @classmethod
    def fit(cls, names: TrainingNames) -> Self:
        """Count the n-grams of names."""
        ngrams = NgramCounts.of_names(names.symbols, names.letters, names.lengths, LONGEST)
        of_names = ngrams.count(names.letters, names.lengths)
        is_of_class = np.eye(names.classes)[names.labels]
        return cls(ngrams, names.counts, np.rint(of_names.T @ is_of_class).astype(np.int64))

    @classmethod
    def from_arrays(cls, arrays: Arrays, symbols: Symbols, classes: int) -> Self:
        """Read the counts of n-grams."""
        ngrams = NgramCounts.from_arrays(arrays, symbols, LONGEST)
        return cls(ngrams, read_names(arrays, classes), arrays.counts("counts", ngrams.size, classes))

    def to_arrays(self) -> dict[str, np.ndarray]:
        """The counts of n-grams."""
        return {"names": self.names, "counts": self.counts.astype(np.int32), **self.ngrams.to_arrays()}

    @property
    def parameters(self) -> int:
        """Number of probabilities of n-grams."""
        return self.counts.size

    def logits(self, letters: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        """Log-probabilities of the n-grams and the class together."""
        return self.ngrams.count(letters, lengths) @ self._log_probabilities + log_prior(self.names)
