"""Names as the baselines read them: letters of either case alike, blanks at the ends left out, both ends marked."""

from dataclasses import dataclass

import numpy as np

NO_SYMBOL = -1


@dataclass(frozen=True)
class Symbols:
    """Numbers for the letters of an alphabet, the same for both cases of a letter.

    Attributes:
        of_letter: (A,) int64, the symbol of each letter of the alphabet.
        is_blank: (A,) bool, whether a letter is a blank.
        letters: number of distinct symbols; their numbers are 0 to ``letters`` - 1.
    """

    of_letter: np.ndarray
    is_blank: np.ndarray
    letters: int

    @classmethod
    def of_alphabet(cls, alphabet: str) -> "Symbols":
        """Number the letters of an alphabet."""
        folded = [letter.casefold() for letter in alphabet]
        numbers = {letter: number for number, letter in enumerate(sorted(set(folded)))}
        return cls(
            np.array([numbers[letter] for letter in folded], np.int64),
            np.array([letter.isspace() for letter in alphabet], bool),
            len(numbers),
        )

    @property
    def end(self) -> int:
        """The symbol that marks the end of a name."""
        return self.letters

    @property
    def start(self) -> int:
        """The symbol that marks its start."""
        return self.letters + 1

    @property
    def count(self) -> int:
        """Number of symbols, marks included."""
        return self.letters + 2

    def mark(self, letters: np.ndarray, lengths: np.ndarray, starts: int) -> tuple[np.ndarray, np.ndarray]:
        """Write names as symbols between marks.

        Args:
            letters: (N, T) int indices into the alphabet, whatever they are after a name's length.
            lengths: (N,) int.
            starts: number of start marks.

        Returns:
            (N, starts + T + 1) int64 symbols, ``NO_SYMBOL`` after the end mark, and (N,) int64 numbers of symbols.
        """
        places = np.arange(letters.shape[1])
        within = places < lengths[:, None]
        known = np.where(within, letters, 0)
        solid = within & ~self.is_blank[known]
        first = solid.argmax(axis=1)
        last = np.where(solid.any(axis=1), letters.shape[1] - 1 - solid[:, ::-1].argmax(axis=1), first - 1)
        sizes = last - first + 1
        moved = np.minimum(first[:, None] + places, letters.shape[1] - 1)
        marked = np.full((len(letters), starts + letters.shape[1] + 1), NO_SYMBOL, np.int64)
        marked[:, :starts] = self.start
        marked[:, starts:-1] = np.where(
            places < sizes[:, None], self.of_letter[np.take_along_axis(known, moved, axis=1)], NO_SYMBOL
        )
        marked[np.arange(len(letters)), starts + sizes] = self.end
        return marked, starts + sizes + 1


def cut_ngrams(marked: np.ndarray, sizes: np.ndarray, length: int) -> tuple[np.ndarray, np.ndarray]:
    """Every ``length`` neighbouring symbols of marked names, as :meth:`Symbols.mark` returns them.

    Returns:
        (M, length) int64 n-grams, names one after the other, and (M,) int64 the name of each.
    """
    if length > marked.shape[1]:
        return np.empty((0, length), np.int64), np.empty(0, np.int64)
    windows = np.lib.stride_tricks.sliding_window_view(marked, length, axis=1)
    names, places = np.nonzero(np.arange(windows.shape[1]) + length <= sizes[:, None])
    return windows[names, places], names


class NgramIndex:
    """Numbers for distinct n-grams of one length, in the order in which they sort, and for their prefixes.

    Args:
        ngrams: (M, n) int64 symbols from 0; copies are numbered once.
        symbols: number of symbols.

    Attributes:
        ngrams: (G, n) int64, each n-gram once, sorted.
        numbers: (M,) int64, the number of each that was given.
        context_numbers: (M,) int64, the number of its first n - 1 symbols.
        contexts: number of distinct prefixes of n - 1 symbols.
    """

    def __init__(self, ngrams: np.ndarray, symbols: int) -> None:
        self._symbols = symbols
        self._keys: list[np.ndarray] = []
        numbers, contexts = np.zeros(len(ngrams), np.int64), 1
        for column in ngrams.T:
            self.context_numbers, self.contexts = numbers, contexts
            # One letter more at a time: no number grows beyond 64 bits, however large the alphabet.
            keys, numbers = np.unique(numbers * symbols + column, return_inverse=True)
            contexts = len(keys)
            self._keys.append(keys)
        self.numbers = numbers
        first = np.zeros(contexts, np.int64)
        first[numbers[::-1]] = np.arange(len(ngrams))[::-1]
        self.ngrams = ngrams[first]

    def find(self, ngrams: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Numbers of the contexts and of (M, n) n-grams themselves, each (M,) int64, -1 for what is not known."""
        numbers = np.zeros(len(ngrams), np.int64)
        for keys, column in zip(self._keys, ngrams.T, strict=True):
            contexts, wanted = numbers, numbers * self._symbols + column
            places = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
            numbers = np.where((contexts >= 0) & (keys[places] == wanted), places, -1)
        return contexts, numbers
