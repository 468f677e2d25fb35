"""How often a name holds each of the n-grams that a model knows."""

from collections.abc import Sequence
from typing import Self

import numpy as np
from scipy import sparse

from keras_dnnts.studies.names.baselines.arrays import Arrays
from keras_dnnts.studies.names.baselines.letters import NgramIndex, Symbols, cut_ngrams


class NgramCounts:
    """The vocabulary of a bag of n-grams: of names between one start mark and one end mark, which count as symbols.

    Args:
        symbols: of the alphabet.
        ngrams: (G, n) int64 for every length n that counts.
    """

    def __init__(self, symbols: Symbols, ngrams: Sequence[np.ndarray]) -> None:
        self.symbols = symbols
        self._indices = [NgramIndex(of_length, symbols.count) for of_length in ngrams]

    @classmethod
    def of_names(cls, symbols: Symbols, letters: np.ndarray, lengths: np.ndarray, longest: int) -> Self:
        """All n-grams of 1 to ``longest`` symbols in names (N, T) int with lengths (N,) int."""
        marked, sizes = symbols.mark(letters, lengths, starts=1)
        return cls(symbols, [cut_ngrams(marked, sizes, length)[0] for length in range(1, longest + 1)])

    @classmethod
    def from_arrays(cls, arrays: Arrays, symbols: Symbols, longest: int) -> Self:
        """What :meth:`to_arrays` wrote down.

        Raises:
            ValueError: it did not.
        """
        lengths = range(1, longest + 1)
        return cls(symbols, [arrays.counts(f"ngrams_{n}", None, n, below=symbols.count) for n in lengths])

    def to_arrays(self) -> dict[str, np.ndarray]:
        """The distinct n-grams of each length."""
        return {f"ngrams_{n}": index.ngrams.astype(np.int32) for n, index in enumerate(self._indices, start=1)}

    @property
    def size(self) -> int:
        """Number of distinct n-grams, G."""
        return sum(len(index.ngrams) for index in self._indices)

    def count(self, letters: np.ndarray, lengths: np.ndarray) -> sparse.csr_array:
        """Count (N, G) float64, the shortest n-grams first, in names (N, T) int with lengths (N,) int."""
        marked, sizes = self.symbols.mark(letters, lengths, starts=1)
        rows, columns, before = [], [], 0
        for length, index in enumerate(self._indices, start=1):
            ngrams, of_name = cut_ngrams(marked, sizes, length)
            _, numbers = index.find(ngrams)
            rows.append(of_name[numbers >= 0])
            columns.append(numbers[numbers >= 0] + before)
            before += len(index.ngrams)
        places = tuple(np.concatenate(numbers).astype(np.int32) for numbers in (rows, columns))
        return sparse.coo_array((np.ones(len(places[0])), places), shape=(len(letters), before)).tocsr()
