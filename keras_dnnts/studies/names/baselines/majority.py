"""The class with the most training names, whatever the name."""

from typing import Self

import numpy as np

from keras_dnnts.studies.names.baselines.arrays import Arrays
from keras_dnnts.studies.names.baselines.base import Baseline, TrainingNames, log_prior
from keras_dnnts.studies.names.baselines.letters import Symbols


class MajorityModel(Baseline):
    """Every class is as probable as its share of the distinct training names; of the largest, the first is answered."""

    def __init__(self, names: np.ndarray) -> None:
        self.names = names

    @classmethod
    def fit(cls, names: TrainingNames) -> Self:
        """Count the names of each class."""
        return cls(names.counts)

    @classmethod
    def from_arrays(cls, arrays: Arrays, symbols: Symbols, classes: int) -> Self:
        """Read the counts."""
        return cls(read_names(arrays, classes))

    def to_arrays(self) -> dict[str, np.ndarray]:
        """The counts."""
        return {"names": self.names}

    def logits(self, letters: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        """Logarithms of the shares."""
        return np.tile(log_prior(self.names), (len(letters), 1))

    @property
    def parameters(self) -> int:
        """Number of shares."""
        return len(self.names)


def read_names(arrays: Arrays, classes: int) -> np.ndarray:
    """Number of training names of each class.

    Raises:
        ValueError: there is none, or a class has no name.
    """
    names = arrays.counts("names", classes)
    if not names.all():
        raise ValueError("a class has no name")
    return names
