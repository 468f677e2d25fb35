"""Networks that are trained in batches: a convolution or a GRU in both directions, beside weights of letter n-grams.

All read names as the baselines do, and their outputs hold the frequencies of the classes among the training names: what
the weights learn is what the letters say beyond that.
"""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_dnnts.backend.initializers import InitialWeights
from keras_dnnts.studies.names.baselines.base import TrainingNames, log_prior
from keras_dnnts.studies.names.config import BATCHED_SIZES
from keras_dnnts.studies.names.models.char_rnn import OneHot
from keras_dnnts.studies.names.models.letter_ngrams import NgramTables, NgramWeights
from keras_dnnts.studies.names.models.marked_letters import MarkedLetters, UnknownLetters
from keras_dnnts.studies.names.models.over_time import Backwards, MaxOverTime
from keras_dnnts.studies.names.models.recurrent import LastOutput, Recurrent

LEAST_NAMES = 2  # that share an n-gram which counts
UNKNOWN_RATE, CHANNEL_RATE, FEATURE_RATE, NGRAM_RATE = 0.1, 0.1, 0.3, 0.2


@keras.saving.register_keras_serializable("keras_dnnts")
class LogProbabilities(keras.layers.Layer):
    """Turns logits of a network, and of n-grams if there are any, both (batch, K), to log-probabilities under a prior.

    Args:
        log_prior: of K classes, the logarithm of each one's frequency, which is not learned.
    """

    def __init__(self, log_prior: list[float], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.log_prior = list(log_prior)

    def call(self, logits: Any, of_ngrams: Any = None) -> Any:
        """Return (batch, K)."""
        prior = ops.convert_to_tensor(np.array(self.log_prior, np.float32))
        return ops.log_softmax((logits if of_ngrams is None else logits + of_ngrams) + prior, axis=-1)

    def compute_output_shape(
        self, logits_shape: tuple[int | None, ...], of_ngrams_shape: tuple[int | None, ...] | None = None
    ) -> tuple[int | None, ...]:
        """(batch, K)."""
        return logits_shape

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "log_prior": self.log_prior}


Features = Callable[[Any, Any, InitialWeights], Any]


def build_char_cnn(names: TrainingNames, alphabet: str, seed: int = 0, ngrams: int = 3) -> keras.Model:
    """Build a network of convolutions over the letters, as wide as 1 to 4 of them, beside weights of letter n-grams.

    Each filter's largest output over the name is a feature (Kim 2014, https://arxiv.org/abs/1408.5882).

    Args:
        names: the training names: they give the n-grams and the frequencies of the classes.
        alphabet: their letters.
        seed: of the initial weights, the same on every engine.
        ngrams: letters of the longest n-grams that have weights; 0 is none.

    Returns:
        A functional model of ``letters`` (batch, time) int32 and ``lengths`` (batch,) int32 to log-probabilities
        (batch, K) float32.
    """
    return _build(names, alphabet, seed, ngrams, _convolve, "char_cnn")


def build_bi_gru(names: TrainingNames, alphabet: str, seed: int = 0, ngrams: int = 3) -> keras.Model:
    """Build a network of one GRU in either direction, beside weights of letter n-grams.

    Its features are both last states and the largest of each state over the name. Arguments and result are those of
    :func:`build_char_cnn`.
    """
    return _build(names, alphabet, seed, ngrams, _recur, "bi_gru")


BUILDERS = {"char-cnn": build_char_cnn, "bi-gru": build_bi_gru}


def _build(
    names: TrainingNames, alphabet: str, seed: int, ngrams: int, features_of: Features, name: str
) -> keras.Model:
    symbols, weights = names.symbols, InitialWeights(seed)
    letters = keras.Input((None,), dtype="int32", name="letters")
    lengths = keras.Input((), dtype="int32", name="lengths")
    marked, sizes = MarkedLetters(alphabet, name="marked_letters")(letters, lengths)
    read = UnknownLetters(symbols.letters, symbols.count, UNKNOWN_RATE, name="unknown_letters")(marked)
    features = features_of(_embed(read, symbols.count + 1, weights), sizes, weights)
    features = keras.layers.Dropout(FEATURE_RATE, name="dropout")(features)
    logits = keras.layers.Dense(
        names.classes,
        kernel_initializer=weights.torch_default(features.shape[-1]),
        bias_initializer=weights.torch_default(features.shape[-1]),
        name="head",
    )(features)
    to_log_probabilities = LogProbabilities(log_prior(names.counts).tolist(), name="log_probabilities")
    outputs = to_log_probabilities(logits, *([_weigh_ngrams(names, read, ngrams)] if ngrams else []))
    return keras.Model(inputs=[letters, lengths], outputs=outputs, name=name)


def _embed(symbols: Any, count: int, weights: InitialWeights) -> Any:
    """Vectors (batch, time, E) of symbols, 0 for padding."""
    # A product with one-hot rows: an embedding's gradient on TensorFlow is no tensor.
    embedded = keras.layers.Dense(
        BATCHED_SIZES.embedding, use_bias=False, kernel_initializer=weights.normal(1.0), name="embedding"
    )(OneHot(count, name="one_hot")(symbols))
    return keras.layers.SpatialDropout1D(CHANNEL_RATE, name="channel_dropout")(embedded)


def _weigh_ngrams(names: TrainingNames, symbols: Any, longest: int) -> Any:
    marked, _ = names.symbols.mark(names.letters, names.lengths, starts=1)
    tables = NgramTables.of_names(marked, names.symbols.count + 1, longest, LEAST_NAMES)
    layer = NgramWeights(names.classes, tables.counts, names.symbols.count + 1, NGRAM_RATE, name="ngrams")
    weighed = layer(symbols)
    layer.set_tables(tables)
    return weighed


def _convolve(embedded: Any, sizes: Any, weights: InitialWeights) -> Any:
    features = []
    for width in BATCHED_SIZES.widths:
        padded = keras.layers.ZeroPadding1D((0, width - 1), name=f"padding_{width}")(embedded)
        fan_in = width * BATCHED_SIZES.embedding
        maps = keras.layers.Conv1D(
            BATCHED_SIZES.filters,
            width,
            activation="relu",
            kernel_initializer=weights.torch_default(fan_in),
            bias_initializer=weights.torch_default(fan_in),
            name=f"convolution_{width}",
        )(padded)
        features.append(MaxOverTime(name=f"maximum_{width}")(maps, sizes))
    return keras.layers.Concatenate(name="features")(features)


def _recur(embedded: Any, sizes: Any, weights: InitialWeights) -> Any:
    features = []
    backwards = Backwards(name="backwards")(embedded, sizes)
    for direction, inputs in (("forward", embedded), ("backward", backwards)):
        states = Recurrent("gru", BATCHED_SIZES.units, seed=weights.seed_layer(), name=f"gru_{direction}")(inputs)
        features += [LastOutput(name=f"last_{direction}")(states, sizes)]
        features += [MaxOverTime(name=f"maximum_{direction}")(states, sizes)]
    return keras.layers.Concatenate(name="features")(features)
