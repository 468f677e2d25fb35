"""What all baselines have in common: distinct names to learn from, log-probabilities in NumPy, plain arrays to keep."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Self

import numpy as np

from keras_dnnts.analysis import log_softmax
from keras_dnnts.datasets import NamesDataset
from keras_dnnts.studies.names.baselines.arrays import Arrays
from keras_dnnts.studies.names.baselines.letters import Symbols

NAMES_A_BATCH = 4096


@dataclass(frozen=True)
class TrainingNames:
    """Distinct names of each class.

    Attributes:
        symbols: of their alphabet.
        letters: (N, T) int letter indices.
        lengths: (N,) int.
        labels: (N,) int64 classes; each of the K has at least one name.
        classes: K.
    """

    symbols: Symbols
    letters: np.ndarray
    lengths: np.ndarray
    labels: np.ndarray
    classes: int

    def __post_init__(self) -> None:
        if not self.counts.all():
            raise ValueError("every class needs at least one name to learn from")

    @classmethod
    def of_lines(cls, dataset: NamesDataset, lines: np.ndarray) -> "TrainingNames":
        """The names on some lines (M,) int; copies within a class count once, whatever their case and blanks around."""
        first: dict[tuple[str, int], int] = {}
        for line, label in zip(lines.tolist(), dataset.labels[lines].tolist(), strict=True):
            first.setdefault((dataset.texts[line].strip().casefold(), label), line)
        kept = np.array(list(first.values()), np.int64)
        symbols = Symbols.of_alphabet(dataset.alphabet)
        labels = dataset.labels[kept].astype(np.int64)
        return cls(symbols, dataset.letters[kept], dataset.lengths[kept], labels, len(dataset.classes))

    @property
    def counts(self) -> np.ndarray:
        """(K,) int64 names of each class."""
        return np.bincount(self.labels, minlength=self.classes)


class Baseline(ABC):
    """A model of names that is fitted in seconds and answers in NumPy.

    Attributes:
        names: (K,) int64, the number of distinct training names of each class. Its shares are the prior that the
            model's log-probabilities hold.
    """

    names: np.ndarray

    @classmethod
    @abstractmethod
    def fit(cls, names: TrainingNames) -> Self:
        """Learn from names. The same names in the same order give the same model, to the last bit."""

    @classmethod
    @abstractmethod
    def from_arrays(cls, arrays: Arrays, symbols: Symbols, classes: int) -> Self:
        """The model that :meth:`to_arrays` wrote down.

        Raises:
            ValueError: the arrays are no such model of this alphabet and number of classes.
        """

    @abstractmethod
    def to_arrays(self) -> dict[str, np.ndarray]:
        """What :meth:`from_arrays` takes."""

    @abstractmethod
    def logits(self, letters: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        """Log-probabilities (N, K) float64 but for a summand that all classes of a name share."""

    @property
    @abstractmethod
    def parameters(self) -> int:
        """How many numbers were learned."""

    def log_probabilities(self, letters: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        """Return (N, K) float32 log-probabilities of the classes of names.

        Args:
            letters: (N, T) int letter indices, whatever they are after a name's length.
            lengths: (N,) int, each from 1 to T.
        """
        batches = range(0, len(letters), NAMES_A_BATCH)
        rows = [self.logits(letters[i : i + NAMES_A_BATCH], lengths[i : i + NAMES_A_BATCH]) for i in batches]
        return log_softmax(np.concatenate([np.empty((0, len(self.names))), *rows])).astype(np.float32)


def log_prior(names: np.ndarray) -> np.ndarray:
    """Return (K,) float64 logarithms of each class's share of (K,) counts."""
    return np.log(names / names.sum())
