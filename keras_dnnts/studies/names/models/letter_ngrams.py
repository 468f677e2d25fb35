"""A linear model of the n-grams of names as a layer: which n-grams count is part of what is saved."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops

MOST_ENTRIES = 2**23  # of the tables together: 32 MiB


@dataclass(frozen=True)
class NgramTables:
    """Numbers for n-grams of symbols: those of a length are found by their prefix and their last symbol.

    Attributes:
        symbols: (S + 1,) int32: of symbol s, at s + 1, its number as n-gram of length 1, from 1; 0 for none.
        longer: for every longer length n, (prefixes + 1, single symbols + 1) int32: of an n-gram, its number among
            those of length n, from 1, at the numbers of its first n - 1 symbols and of its last; 0 for none.
    """

    symbols: np.ndarray
    longer: tuple[np.ndarray, ...]

    @classmethod
    def of_names(cls, marked: np.ndarray, symbols: int, longest: int, least: int) -> "NgramTables":
        """Number the n-grams of 1 to ``longest`` symbols that occur in at least ``least`` names.

        Where the tables would become too large, as with an alphabet of thousands of letters, more names are asked for.

        Args:
            marked: (N, T) int symbols, -1 after the end of a name.
            symbols: S.
        """
        while True:
            tables = cls._of_names(marked, symbols, longest, least)
            if sum(table.size for table in tables.longer) <= MOST_ENTRIES:
                return tables
            least += 1

    @classmethod
    def _of_names(cls, marked: np.ndarray, symbols: int, longest: int, least: int) -> "NgramTables":
        singles = np.zeros(symbols + 1, np.int32)
        kept = _seen_in(marked + 1, marked >= 0, least)
        singles[kept] = np.arange(1, len(kept) + 1)
        first = numbers = singles[marked + 1]
        longer: list[np.ndarray] = []
        prefixes = len(kept)
        for length in range(2, longest + 1):
            numbers, last = numbers[:, : marked.shape[1] - length + 1], first[:, length - 1 :]
            width = singles.max() + 1
            keys = numbers.astype(np.int64) * width + last
            kept = _seen_in(keys, (numbers > 0) & (last > 0), least)
            if (prefixes + 1) * width > MOST_ENTRIES:  # do not fill the memory to find that out
                return cls(singles, (*longer, np.broadcast_to(np.int32(0), (prefixes + 1, width))))
            table = np.zeros((prefixes + 1, width), np.int32)
            table.reshape(-1)[kept] = np.arange(1, len(kept) + 1)
            numbers, prefixes = table.reshape(-1)[keys], len(kept)
            longer.append(table)
        return cls(singles, tuple(longer))

    @property
    def counts(self) -> list[int]:
        """How many n-grams there are of every length."""
        return [int(table.max()) for table in (self.symbols, *self.longer)]


def _seen_in(keys: np.ndarray, valid: np.ndarray, least: int) -> np.ndarray:
    """The sorted keys, of (N, T) with (N, T) bool, that occur in at least ``least`` of the N rows."""
    rows, columns = np.nonzero(valid)
    pairs = np.unique(np.stack([rows, keys[rows, columns]]), axis=1)
    found, times = np.unique(pairs[1], return_counts=True)
    return found[times >= least]


@keras.saving.register_keras_serializable("keras_dnnts")
class NgramWeights(keras.layers.Layer):
    """The sum of a row of weights, at first 0, for every n-gram in a name, as often as it occurs.

    Args:
        classes: K.
        counts: number of n-grams of every length from 1.
        symbols: number of symbols, S.
        rate: share of a name's n-grams that are left out in training, the others counting for more.

    Attributes:
        tables: what numbers the n-grams: none until :meth:`set_tables`.

    Call arguments:
        symbols: (batch, time) int32, below S, -1 after the end of a name; at least as many as the longest n-gram has.

    Returns:
        (batch, K) float32.
    """

    def __init__(self, classes: int, counts: Sequence[int], symbols: int, rate: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.classes, self.counts, self.symbols, self.rate = classes, list(counts), symbols, rate
        self.dropout = keras.layers.Dropout(rate)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create the weights and empty tables."""
        shapes = [(count + 1, self.counts[0] + 1) for count in self.counts[:-1]]
        self.tables = [self._add_table("symbols", (self.symbols + 1,))]
        self.tables += [self._add_table(f"ngrams_{n}", shape) for n, shape in enumerate(shapes, start=2)]
        self.ngram_weights = self.add_weight(
            name="weights", shape=(max(sum(self.counts), 1), self.classes), initializer="zeros"
        )

    def _add_table(self, name: str, shape: tuple[int, ...]) -> Any:
        return self.add_weight(name=name, shape=shape, dtype="int32", initializer="zeros", trainable=False)

    def set_tables(self, tables: NgramTables) -> None:
        """Number the n-grams so."""
        for variable, table in zip(self.tables, (tables.symbols, *tables.longer), strict=True):
            variable.assign(table)

    def call(self, symbols: Any, training: bool = False) -> Any:
        """Return the sums."""
        numbers = self._number(symbols)
        known = self.dropout(ops.cast(numbers >= 0, self.compute_dtype), training=training)
        rows = ops.take(self.ngram_weights, ops.maximum(numbers, 0), axis=0)
        return ops.sum(known[:, :, None] * rows, axis=1)

    def _number(self, symbols: Any) -> Any:
        """(batch, places) int32: the row of the n-gram at every place, the shortest n-grams first; -1 for none."""
        time = ops.shape(symbols)[1]
        first = numbers = ops.take(self.tables[0], symbols + 1)
        found, before = [numbers - 1], self.counts[0]
        for length, table in enumerate(self.tables[1:], start=2):
            keys = numbers[:, : time - length + 1] * (self.counts[0] + 1) + first[:, length - 1 :]
            numbers = ops.take(ops.reshape(table, (-1,)), keys)
            found.append(ops.where(numbers > 0, numbers - 1 + before, -1))
            before += self.counts[length - 1]
        return ops.concatenate(found, axis=1)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """(batch, K)."""
        return input_shape[0], self.classes

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        own = {"classes": self.classes, "counts": self.counts, "symbols": self.symbols, "rate": self.rate}
        return {**super().get_config(), **own}
