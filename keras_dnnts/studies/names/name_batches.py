"""Batches of names for ``fit``, in an order that is a pure function of seed and epoch."""

from typing import Any

import keras
import numpy as np

from keras_dnnts.backend import COMPILES_STEPS
from keras_dnnts.random_streams import Purpose, random_stream
from keras_dnnts.studies.names.baselines.base import TrainingNames


class NameBatches(keras.utils.PyDataset):
    """Names in batches of one size, in another order every epoch, those of about the same length together.

    What is left over after the last whole batch of an epoch, other names each time, is left out of it, and every batch
    is as long as the longest name: engines that compile do so for every shape they meet. Others get batches that are as
    long as their own longest names.

    Args:
        names: N names.
        batch_size: names a batch; N where that is less.
        seed: of the order.

    Attributes:
        batch_size: names a batch.
    """

    def __init__(self, names: TrainingNames, batch_size: int, seed: int) -> None:
        super().__init__()
        self.batch_size, self.seed = min(batch_size, len(names.labels)), seed
        self._letters = names.letters[:, : names.lengths.max()]
        self._lengths, self._labels = names.lengths, names.labels.astype(np.int32)
        self.start_epoch(0)

    def start_epoch(self, epoch: int) -> None:
        """Turn to an epoch, counted from 0."""
        rng = random_stream(self.seed, Purpose.EXAMPLES, epoch)
        taken = rng.permutation(len(self._labels))[: len(self) * self.batch_size]
        by_length = taken[np.argsort(self._lengths[taken], kind="stable")]
        self._order = rng.permutation(by_length.reshape(len(self), self.batch_size))

    def __len__(self) -> int:
        """Number of batches an epoch."""
        return len(self._labels) // self.batch_size

    def __getitem__(self, index: int) -> tuple[tuple[np.ndarray, np.ndarray], np.ndarray]:
        """Return letters (n, T) int32, lengths (n,) int32 and labels (n,) int32 of a batch of this epoch."""
        chosen = self._order[index]
        lengths = self._lengths[chosen]
        letters = self._letters[chosen] if COMPILES_STEPS else self._letters[chosen, : lengths.max()]
        return (letters, lengths), self._labels[chosen]


class FirstBatch(keras.utils.PyDataset):
    """The first batch alone: one of every shape there is."""

    def __init__(self, batches: NameBatches) -> None:
        super().__init__()
        self._batches = batches

    def __len__(self) -> int:
        """One."""
        return 1

    def __getitem__(self, index: int) -> Any:
        """Return the batch."""
        return self._batches[index]
