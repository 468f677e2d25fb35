"""A Markov model of letters for each class, with interpolated Kneser-Ney smoothing."""

from typing import Self

import numpy as np

from keras_dnnts.studies.names.baselines.arrays import Arrays
from keras_dnnts.studies.names.baselines.base import Baseline, TrainingNames, log_prior
from keras_dnnts.studies.names.baselines.letters import NgramIndex, Symbols, cut_ngrams
from keras_dnnts.studies.names.baselines.majority import read_names

ORDER = 5
DISCOUNT = 0.9


class MarkovModel(Baseline):
    """Names of each class as a Markov chain of letters: interpolated Kneser-Ney (Kneser & Ney 1995; Chen & Goodman
    1999) with one fixed discount.

    A name is read as ``order`` - 1 start marks, its letters (both cases alike) and an end mark. In a class, a letter
    or the end mark w comes after the ``order`` - 1 symbols h before it with probability ::

        P(w | h) = max(c(h w) - D, 0) / c(h) + D t(h) / c(h) P(w | h'),    c(h) = sum of c(h v) over v

    where t(h) is the number of distinct v with c(h v) > 0, and h' is h without its first symbol. Where c(h) = 0,
    P(w | h) = P(w | h'). At the longest n-grams, c counts them in the distinct training names of the class; below, c(g)
    is the number of distinct symbols that come before g in the class's n-grams of one symbol more. After the empty h
    stands a uniform distribution over the letters of the alphabet and the end mark. So every P(. | h) sums to 1, no
    name is impossible, and a class of one name has its model like any other.

    A class is as probable as its share of the distinct training names times the product of its P's over the name.

    Args:
        symbols: of the alphabet.
        names: (K,) int64, number of distinct training names of each class.
        ngrams: (G, order) int64, each n-gram of the training names once.
        counts: (G, K) int64, how often the distinct training names of each class hold it.
        discount: D, from 0 to 1.
    """

    def __init__(
        self, symbols: Symbols, names: np.ndarray, ngrams: np.ndarray, counts: np.ndarray, discount: float = DISCOUNT
    ) -> None:
        self.symbols, self.names, self.ngrams, self.counts = symbols, names, ngrams, counts
        self.order, self.discount = ngrams.shape[1], discount
        self._levels: list[_Level] = []  # the shortest n-grams first
        while ngrams.shape[1]:
            level = _Level(ngrams, counts, symbols.count)
            self._levels.insert(0, level)
            ngrams, counts = level.count_continuations()

    @classmethod
    def fit(cls, names: TrainingNames, order: int = ORDER, discount: float = DISCOUNT) -> Self:
        """Count the n-grams of names, of ``order`` symbols."""
        marked, sizes = names.symbols.mark(names.letters, names.lengths, starts=order - 1)
        ngrams, of_name = cut_ngrams(marked, sizes, order)
        index = NgramIndex(ngrams, names.symbols.count)
        cells = index.numbers * names.classes + names.labels[of_name]
        counts = np.bincount(cells, minlength=len(index.ngrams) * names.classes).reshape(-1, names.classes)
        return cls(names.symbols, names.counts, index.ngrams, counts, discount)

    @classmethod
    def from_arrays(cls, arrays: Arrays, symbols: Symbols, classes: int) -> Self:
        """Read the counts of n-grams."""
        ngrams = arrays.counts("ngrams", None, ORDER, below=symbols.count)
        rows = arrays.counts("counted_ngram", None, below=len(ngrams))
        columns = arrays.counts("counted_class", len(rows), below=classes)
        counts = np.zeros((len(ngrams), classes), np.int64)
        counts[rows, columns] = arrays.counts("count", len(rows))
        return cls(symbols, read_names(arrays, classes), ngrams, counts)

    def to_arrays(self) -> dict[str, np.ndarray]:
        """The counts of n-grams that are not 0."""
        rows, columns = np.nonzero(self.counts)
        arrays = {"ngrams": self.ngrams, "counted_ngram": rows, "counted_class": columns}
        arrays["count"] = self.counts[rows, columns]
        return {"names": self.names, **{name: array.astype(np.int32) for name, array in arrays.items()}}

    @property
    def parameters(self) -> int:
        """Number of counts that are not 0."""
        return int(np.count_nonzero(self.counts))

    def logits(self, letters: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        """Log-probabilities of name and class together."""
        return self.log_likelihoods(letters, lengths) + log_prior(self.names)

    def log_likelihoods(self, letters: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        """Return (N, K) float64 log-probabilities of names (N, T) int with lengths (N,) int in each class."""
        marked, sizes = self.symbols.mark(letters, lengths, starts=self.order - 1)
        ngrams, _ = cut_ngrams(marked, sizes, self.order)
        distinct = NgramIndex(ngrams, self.symbols.count)
        logarithms = np.log(self._probabilities(distinct.ngrams))[distinct.numbers]
        ends = np.cumsum(sizes - self.order + 1)
        return np.add.reduceat(logarithms, ends - np.diff(ends, prepend=0), axis=0)

    def _probabilities(self, ngrams: np.ndarray) -> np.ndarray:
        """(M, K) float64 P of the last symbol of (M, order) n-grams after the others."""
        probabilities = np.full((len(ngrams), len(self.names)), 1 / (self.symbols.letters + 1))
        for length, level in enumerate(self._levels, start=1):
            probabilities = level.interpolate(ngrams[:, self.order - length :], probabilities, self.discount)
        return probabilities


class _Level:
    """c, t and c summed of the n-grams of one length.

    Args:
        ngrams: (G, n) int64, distinct.
        counts: (G, K) int64, their c in each class.
        symbols: number of symbols.
    """

    def __init__(self, ngrams: np.ndarray, counts: np.ndarray, symbols: int) -> None:
        self._index = NgramIndex(ngrams, symbols)
        self._symbols = symbols
        order = np.argsort(self._index.numbers)
        contexts = self._index.context_numbers[order]
        # The last rows, of zeros, are of what is not known: its number is -1.
        self._counts = np.concatenate([counts[order], np.zeros((1, counts.shape[1]), np.int64)])
        self._totals = _sum_rows(contexts, counts[order].astype(float), self._index.contexts + 1)
        self._types = _sum_rows(contexts, (counts[order] > 0).astype(float), self._index.contexts + 1)

    def count_continuations(self) -> tuple[np.ndarray, np.ndarray]:
        """The distinct n-grams of one symbol less, and how many symbols come before each in each class."""
        ends = NgramIndex(self._index.ngrams[:, 1:], self._symbols)
        kinds = (self._counts[:-1] > 0).astype(np.int64)
        return ends.ngrams, _sum_rows(ends.numbers, kinds, len(ends.ngrams))

    def interpolate(self, ngrams: np.ndarray, shorter: np.ndarray, discount: float) -> np.ndarray:
        """(M, K) P of the last symbols of (M, n) n-grams from their P after one symbol less."""
        contexts, numbers = self._index.find(ngrams)
        totals = self._totals[contexts]
        known = np.maximum(self._counts[numbers] - discount, 0) + discount * self._types[contexts] * shorter
        return np.where(totals > 0, known / np.maximum(totals, 1), shorter)


def _sum_rows(groups: np.ndarray, rows: np.ndarray, count: int) -> np.ndarray:
    """Return (count, K) sums, in the dtype of ``rows``, of the rows (M, K) of every group; groups (M,) are numbers."""
    # np.add.at takes many times as long, and SciPy's sparse matrices a fifth of a second to import.
    order = np.argsort(groups, kind="stable")
    first = np.flatnonzero(np.diff(groups[order], prepend=-1))
    sums = np.zeros((count, rows.shape[1]), rows.dtype)
    if len(first):
        sums[groups[order[first]]] = np.add.reduceat(rows[order], first, axis=0)
    return sums
