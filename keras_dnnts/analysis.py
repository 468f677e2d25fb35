"""What a trained model does, as numbers: arrays in, arrays out."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from scipy import special, stats

from keras_dnnts.models import HEAD, PENULTIMATE, RECURRENT
from keras_dnnts.random_streams import Purpose, derive_seed

NEIGHBOURS = 10
NAMES_A_BATCH = 256  # whose gates stay in the caches
PERPLEXITY = 30.0
EXAMPLES_A_CELL = 6
MOST_EXAMPLES = 600
Z_95 = float(stats.norm.ppf(0.975))


@dataclass(frozen=True)
class Accuracy:
    """Fractions of right guesses with 95 % intervals.

    Attributes:
        by_class: mean recall over classes, every class weighted equally, and its interval.
        overall: fraction of distinct examples right, every one weighted equally, and its interval.
        recall: (K,) fraction right of each class, copies counted; NaN for a class without examples.
    """

    by_class: tuple[float, tuple[float, float]]
    overall: tuple[float, tuple[float, float]]
    recall: np.ndarray


def count_confusions(labels: np.ndarray, guesses: np.ndarray, classes: int) -> np.ndarray:
    """Count (K, K) int64: row = true class, column = guess, from labels and guesses (N,) int.

    >>> import numpy as np
    >>> from keras_dnnts import count_confusions
    >>> count_confusions(np.array([0, 0, 1]), np.array([0, 1, 1]), classes=2).tolist()
    [[1, 1], [0, 1]]
    """
    counts = np.zeros((classes, classes), np.int64)
    np.add.at(counts, (labels, guesses), 1)
    return counts


def measure_accuracy(labels: np.ndarray, guesses: np.ndarray, classes: int, copies_of: Sequence[Any]) -> Accuracy:
    """Measure accuracy by class and overall.

    By class, every line counts: this is what drawing a class, then one of its lines at random, measures in the long
    run. Overall, copies count once.

    Intervals are Wilson's (1927); that of the mean over classes recovers variances from the classes' own intervals
    (Zou & Donner 2008). Copies are no independent evidence, so a class counts there with Kish's effective number of
    distinct examples, (sum of copies)^2 / sum of copies^2.

    Args:
        labels: (N,) int true classes.
        guesses: (N,) int.
        classes: K.
        copies_of: N hashable keys; examples of one class with equal keys are copies of one another.

    >>> import numpy as np
    >>> from keras_dnnts import measure_accuracy
    >>> labels, guesses = np.array([0, 0, 0, 1]), np.array([0, 0, 1, 1])
    >>> accuracy = measure_accuracy(labels, guesses, classes=2, copies_of=["Lee", "Lee", "Kim", "Ito"])
    >>> round(accuracy.by_class[0], 2), round(accuracy.overall[0], 2)
    (0.83, 0.67)
    """
    right = labels == guesses
    _, first, copies = np.unique(_number_pairs(labels, copies_of), return_index=True, return_counts=True)
    lines = np.bincount(labels, minlength=classes)
    squares = np.bincount(labels[first], copies.astype(float) ** 2, classes)
    seen = lines > 0
    effective = lines[seen] ** 2 / squares[seen]
    recall = np.full(classes, np.nan)
    recall[seen] = np.bincount(labels, right, classes)[seen] / lines[seen]
    low, high = _wilson(recall[seen], effective)
    mean = recall[seen].mean()
    below = np.sqrt(((recall[seen] - low) ** 2).sum()) / len(low)
    above = np.sqrt(((high - recall[seen]) ** 2).sum()) / len(high)
    by_class = float(mean), (float(mean - below), float(mean + above))
    return Accuracy(by_class, _fraction_with_interval(right[first]), recall)


def most_frequent_confusions(counts: np.ndarray, names: Sequence[str], most: int = 10) -> list[dict[str, Any]]:
    """Return the ``most`` largest off-diagonal cells of (K, K) counts as fractions of their rows, largest first.

    >>> import numpy as np
    >>> from keras_dnnts import most_frequent_confusions
    >>> most_frequent_confusions(np.array([[3, 1], [0, 5]]), ["cat", "dog"])
    [{'truth': 'cat', 'guess': 'dog', 'fraction': 0.25}]
    """
    totals = np.maximum(counts.sum(axis=1, keepdims=True), 1)
    fractions = counts / totals
    np.fill_diagonal(fractions, 0)
    order = np.argsort(-fractions, axis=None, kind="stable")[:most]
    cells = [np.unravel_index(cell, counts.shape) for cell in order]
    return [
        {"truth": names[row], "guess": names[column], "fraction": float(fractions[row, column])}
        for row, column in cells
        if fractions[row, column] > 0
    ]


def predict(model: Any, batches: Any) -> np.ndarray:
    """Return a model's outputs (N, D) float32 for :class:`keras_dnnts.studies.cifar.image_batches.ImageBatches` of N images."""
    return np.asarray(model.predict(batches, verbose=0), np.float32)


def build_feature_extractor(model: keras.Model) -> keras.Model:
    """Build a model that shares the weights of a network and returns what its last layer gets, (N, D).

    >>> from keras_dnnts import build_alexnet, build_feature_extractor
    >>> build_feature_extractor(build_alexnet(image_size=64, width=0.05)).output_shape
    (None, 205)
    """
    return keras.Model(model.inputs, model.get_layer(PENULTIMATE).output)


def predict_log_probabilities(model: Any, letters: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Return (N, K) float32 log-probabilities of names (N, T) int32 with lengths (N,) int32, in large batches.

    Most names are short: those of at most half the padded length go without the other half.

    >>> import numpy as np
    >>> from keras_dnnts import build_char_rnn, predict_log_probabilities
    >>> letters, lengths = np.zeros((5, 7), "int32"), np.full(5, 7, "int32")
    >>> predict_log_probabilities(build_char_rnn("rnn", classes=3), letters, lengths).shape
    (5, 3)
    """
    short = letters.shape[1] // 2
    groups = {short: np.flatnonzero(lengths <= short), letters.shape[1]: np.flatnonzero(lengths > short)}
    log_probabilities = np.empty((len(letters), model.output_shape[-1]), np.float32)
    for length, rows in groups.items():
        if len(rows):
            batch = min(NAMES_A_BATCH, len(rows))
            # Some names twice, so that no batch is smaller: engines that compile do so for every shape they meet.
            filled = np.resize(rows, -(-len(rows) // batch) * batch)
            outputs = model.predict((letters[filled, :length], lengths[filled]), batch_size=batch, verbose=0)
            log_probabilities[rows] = outputs[: len(rows)]
    return log_probabilities


def read_letter_by_letter(model: keras.Model, letters: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Return what a model of :func:`keras_dnnts.models.build_char_rnn` believes after every letter of names.

    Args:
        model: the model.
        letters: (N, T) int32 letter indices.
        lengths: (N,) int32.

    Returns:
        (N, T, K) float32 probabilities: ``[i, t]`` is what the model would say were letter t the last of name i; NaN
        from a name's end on.

    >>> import numpy as np
    >>> from keras_dnnts import build_char_rnn, read_letter_by_letter
    >>> letters, lengths = np.array([[1, 2, 3], [4, 5, 57]], "int32"), np.array([3, 2], "int32")
    >>> probabilities = read_letter_by_letter(build_char_rnn("gru", classes=4), letters, lengths)
    >>> probabilities.shape, bool(np.isnan(probabilities[1, 2]).all())
    ((2, 3, 4), True)
    """
    logits = model.get_layer(HEAD)(model.get_layer(RECURRENT).output)
    reader = keras.Model(model.inputs[0], logits)
    probabilities = special.softmax(np.asarray(reader.predict(letters, batch_size=2048, verbose=0)), axis=-1)
    probabilities[np.arange(letters.shape[1]) >= lengths[:, None]] = np.nan
    return probabilities


def late_changes(probabilities: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Return (T,) float64: the share of names whose guess still changed within their last t + 1 letters.

    The first letter of a name counts as a change, from no guess to one.

    Args:
        probabilities: (N, T, K) float of :func:`read_letter_by_letter`.
        lengths: (N,) int.

    >>> import numpy as np
    >>> from keras_dnnts import late_changes
    >>> guessed = np.array([[0, 0, 1], [1, 1, 1]])  # the first name's last letter changes the guess
    >>> late_changes(np.eye(2)[guessed], np.array([3, 3])).tolist()
    [0.5, 0.5, 1.0]
    """
    guesses = np.nan_to_num(probabilities, nan=-1.0).argmax(axis=2)
    final = guesses[np.arange(len(lengths)), lengths - 1]
    steps = np.arange(probabilities.shape[1])
    other = (guesses != final[:, None]) & (steps < lengths[:, None])
    unchanged_letters = lengths - 1 - np.where(other, steps, -1).max(axis=1)
    return (unchanged_letters[:, None] <= steps + 1).mean(axis=0)


def mean_cross_entropy(logits: np.ndarray, labels: np.ndarray) -> float:
    """Return the mean cross-entropy in nats of logits (N, K) float32 with labels (N,) int.

    >>> import numpy as np
    >>> from keras_dnnts import mean_cross_entropy
    >>> round(mean_cross_entropy(np.zeros((3, 10), "float32"), np.array([0, 4, 9])), 4)  # ln 10
    2.3026
    """
    log_probabilities = special.log_softmax(logits.astype(np.float64), axis=1)
    return float(-log_probabilities[np.arange(len(labels)), labels].mean())


@dataclass(frozen=True)
class Guesses:
    """Some of N examples with what a model guessed, in an order of their own.

    Attributes:
        indices: (M,) int64, which of the N.
        guesses: (M,) int64 guessed classes.
        confidences: (M,) float64 probabilities the model gave its guesses.
    """

    indices: np.ndarray
    guesses: np.ndarray
    confidences: np.ndarray


def most_confident_mistakes(logits: np.ndarray, labels: np.ndarray, most: int = 12) -> Guesses:
    """Find the ``most`` mistakes the model was surest of, in logits (N, K) with labels (N,) int, the surest first.

    >>> import numpy as np
    >>> from keras_dnnts import most_confident_mistakes
    >>> logits, labels = np.array([[1.0, 0.0], [0.0, 2.0], [0.0, 3.0]]), np.array([0, 0, 0])
    >>> most_confident_mistakes(logits, labels).indices.tolist()
    [2, 1]
    """
    guesses, confidences = _guess(logits)
    wrong = np.flatnonzero(guesses != labels)
    chosen = wrong[np.argsort(-confidences[wrong], kind="stable")[:most]]
    return Guesses(chosen, guesses[chosen], confidences[chosen])


def surest_examples(
    logits: np.ndarray, labels: np.ndarray, most_a_cell: int = EXAMPLES_A_CELL, most: int = MOST_EXAMPLES
) -> Guesses:
    """Find the examples the model was surest of in every cell of the confusion matrix, the diagonal included.

    Where they are too many, every cell gets its first example before any gets a second.

    Args:
        logits: (N, K) float; log-probabilities are logits too.
        labels: (N,) int true classes.
        most_a_cell: examples of one cell.
        most: examples in all.
    """
    guesses, confidences = _guess(logits)
    cells = labels.astype(np.int64) * logits.shape[1] + guesses
    by_cell = np.lexsort((-confidences, cells))
    sizes = np.unique(cells, return_counts=True)[1]
    starts = np.repeat(np.cumsum(sizes) - sizes, sizes)
    rank = np.empty(len(cells), np.int64)
    rank[by_cell] = np.arange(len(cells)) - starts
    order = np.lexsort((-confidences, rank))
    chosen = order[rank[order] < most_a_cell][:most]
    return Guesses(chosen, guesses[chosen], confidences[chosen])


def compute_activations(
    model: keras.Model, layers: Sequence[str], images: Any, channels: int = 8
) -> dict[str, np.ndarray]:
    """Return the first channels of layers' outputs by name, each (N, h, w, channels) float32.

    Args:
        model: a functional model with these layers.
        layers: their names.
        images: (N, S, S, 3) float32, as the model takes them.
        channels: number of channels; a layer with fewer gives all.

    >>> import numpy as np
    >>> from keras_dnnts import build_alexnet, compute_activations
    >>> images = np.zeros((2, 64, 64, 3), "float32")
    >>> compute_activations(build_alexnet(image_size=64, width=0.2), ["conv1"], images)["conv1"].shape
    (2, 15, 15, 8)
    """
    outputs = {name: model.get_layer(name).output for name in layers}
    activations = keras.Model(model.inputs, outputs).predict_on_batch(images)
    return {name: np.asarray(maps[..., :channels], np.float32) for name, maps in activations.items()}


def embed(features: np.ndarray, seed: int) -> np.ndarray:
    """Place features (N, D) float32 on a plane by t-SNE (https://jmlr.org/papers/v9/vandermaaten08a.html).

    Returns:
        (N, 2) float32.

    >>> import numpy as np
    >>> from keras_dnnts import embed
    >>> embed(np.random.default_rng(0).normal(size=(20, 5)), seed=0).shape
    (20, 2)
    """
    from sklearn.manifold import TSNE  # takes over a second to import

    perplexity = min(PERPLEXITY, (len(features) - 1) / 3)
    state = derive_seed(seed, Purpose.EMBEDDING)
    return TSNE(init="pca", perplexity=perplexity, random_state=state).fit_transform(features.astype(np.float32))


def neighbour_accuracy(points: np.ndarray, labels: np.ndarray) -> float:
    """Return the fraction of points (N, D) whose label (N,) int most of the 10 nearest others have; a tie goes to the
    lower label.

    >>> import numpy as np
    >>> from keras_dnnts import neighbour_accuracy
    >>> labels = np.repeat([0, 1], 20)
    >>> neighbour_accuracy(np.random.default_rng(0).normal(size=(40, 2)) + 9 * labels[:, None], labels)
    1.0
    """
    from sklearn.neighbors import NearestNeighbors

    count = min(NEIGHBOURS, len(points) - 1)
    neighbours = NearestNeighbors(n_neighbors=count).fit(points).kneighbors(return_distance=False)
    votes = stats.mode(labels[neighbours], axis=1).mode
    return float((votes == labels).mean())


def _guess(logits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    probabilities = special.softmax(logits.astype(np.float64), axis=1)
    return probabilities.argmax(axis=1), probabilities.max(axis=1)


def _number_pairs(labels: np.ndarray, copies_of: Sequence[Any]) -> np.ndarray:
    numbers: dict[Any, int] = {}
    pairs = zip(labels.tolist(), copies_of, strict=True)
    return np.array([numbers.setdefault(pair, len(numbers)) for pair in pairs])


def _fraction_with_interval(right: np.ndarray) -> tuple[float, tuple[float, float]]:
    fraction = right.mean()
    low, high = _wilson(fraction, len(right))
    return float(fraction), (float(low), float(high))


def _wilson(fraction: Any, count: Any) -> tuple[Any, Any]:
    centre = (fraction + Z_95**2 / (2 * count)) / (1 + Z_95**2 / count)
    spread = np.sqrt(fraction * (1 - fraction) / count + (Z_95 / (2 * count)) ** 2) * Z_95 / (1 + Z_95**2 / count)
    # A fraction of 0 or 1 is an end of its interval, but for rounding.
    return np.clip(centre - spread, 0, fraction), np.clip(centre + spread, fraction, 1)
