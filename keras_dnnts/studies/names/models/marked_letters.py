"""Names inside a model as the baselines read them: both cases of a letter alike, blanks left out, both ends marked."""

from typing import Any

import keras
from keras import ops

from keras_dnnts.studies.names.baselines.letters import NO_SYMBOL, Symbols


@keras.saving.register_keras_serializable("keras_dnnts")
class MarkedLetters(keras.layers.Layer):
    """Writes names as :meth:`keras_dnnts.studies.names.baselines.letters.Symbols.mark` does, with one start mark.

    Args:
        alphabet: the letters that are numbered from 0.

    Call arguments:
        letters: (batch, time) int, whatever they are after a name's length.
        lengths: (batch,) int, each from 1 to time.

    Returns:
        (batch, time + 2) int32 symbols, -1 after the end mark, and (batch,) int32 numbers of symbols.
    """

    def __init__(self, alphabet: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.alphabet = alphabet
        self.symbols = Symbols.of_alphabet(alphabet)

    def call(self, letters: Any, lengths: Any) -> tuple[Any, Any]:
        """Return symbols and their numbers."""
        lengths = ops.cast(lengths, "int32")
        time = ops.shape(letters)[1]
        places = ops.arange(time, dtype="int32")
        within = places < lengths[:, None]
        known = ops.where(within, ops.cast(letters, "int32"), 0)
        blank = ops.take(ops.convert_to_tensor(self.symbols.is_blank.astype("int32")), known)
        solid = ops.cast(within, "int32") * (1 - blank)
        first = ops.min(ops.where(solid > 0, places, lengths[:, None]), axis=1)
        last = ops.max(ops.where(solid > 0, places, first[:, None] - 1), axis=1)
        sizes = last - first + 1
        folded = ops.take(ops.convert_to_tensor(self.symbols.of_letter.astype("int32")), known)
        moved = ops.take_along_axis(
            folded, ops.clip(first[:, None] + ops.arange(time + 2, dtype="int32") - 1, 0, time - 1), axis=1
        )
        place = ops.arange(time + 2, dtype="int32")[None]
        end = sizes[:, None] + 1
        after = ops.where(place == end, self.symbols.end, NO_SYMBOL)
        marked = ops.where(place == 0, self.symbols.start, ops.where(place < end, moved, after))
        return ops.cast(marked, "int32"), sizes + 2

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "alphabet": self.alphabet}


@keras.saving.register_keras_serializable("keras_dnnts")
class UnknownLetters(keras.layers.Layer):
    """In training, makes letters at random one that no name has: a model then learns to do without single letters.

    Args:
        letters: number of letters; their symbols are below it, marks and padding are not.
        unknown: the symbol that takes their place.
        rate: how likely that is.

    Call arguments:
        symbols: (batch, time) int32.

    Returns:
        The same, but for the letters that are made unknown.
    """

    def __init__(self, letters: int, unknown: int, rate: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.letters, self.unknown, self.rate = letters, unknown, rate
        self.seed_generator = keras.random.SeedGenerator()

    def call(self, symbols: Any, training: bool = False) -> Any:
        """Return the symbols."""
        if not training:
            return symbols
        drawn = keras.random.uniform(ops.shape(symbols), seed=self.seed_generator) < self.rate
        is_letter = ops.logical_and(symbols >= 0, symbols < self.letters)
        return ops.where(ops.logical_and(drawn, is_letter), self.unknown, symbols)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """(batch, time)."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "letters": self.letters, "unknown": self.unknown, "rate": self.rate}
