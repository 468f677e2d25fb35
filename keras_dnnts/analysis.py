"""What a trained model does, as numbers: arrays in, arrays out."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

EXAMPLES_A_CELL = 6
MOST_EXAMPLES = 600
Z_95 = 1.959963984540054  # below it are 97.5 % of a normal distribution; SciPy takes a fifth of a second to import


@dataclass(frozen=True)
class Accuracy:
    """Fractions of right guesses with 95 % intervals.

    Attributes:
        by_class: mean recall over classes, every class weighted equally, and its interval.
        overall: fraction of distinct examples right, every one weighted equally, and its interval.
        recall: (K,) fraction right of each class, copies counted; NaN for a class without examples.
        distinct: (K,) number of distinct examples of each class.
        effective: (K,) effective number of distinct examples of each class, 0 for a class without examples.
    """

    by_class: tuple[float, tuple[float, float]]
    overall: tuple[float, tuple[float, float]]
    recall: np.ndarray
    distinct: np.ndarray
    effective: np.ndarray


@dataclass(frozen=True)
class ClassScores:
    """How well each of K classes is told from the others; the mean over seeds, of those where it is defined.

    Attributes:
        examples: (K,) examples of the class; a whole number for one seed.
        recall: (K,) share of its examples that are guessed right; NaN without examples.
        precision: (K,) share of the guesses of it that are right; NaN where it is never guessed.
        f1: (K,) harmonic mean of both, 0 where it is never guessed; NaN without examples.
    """

    examples: np.ndarray
    recall: np.ndarray
    precision: np.ndarray
    f1: np.ndarray


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


def measure_accuracy(
    labels: np.ndarray, guesses: np.ndarray, classes: int, copies_of: Sequence[Any] | np.ndarray
) -> Accuracy:
    """Measure accuracy by class and overall.

    By class, every line counts: this is what drawing a class, then one of its lines at random, measures in the long
    run. Overall, copies count once.

    Intervals are Wilson's (1927); that of the mean over classes recovers variances from the classes' own intervals
    (Zou & Donner 2008). Copies are not independent evidence, so each class has Kish's effective number of
    distinct examples, (sum of copies)^2 / sum of copies^2.

    Args:
        labels: (N,) int true classes.
        guesses: (N,) int.
        classes: K.
        copies_of: N hashable keys, or an array (N,) of int from 0, which is faster; examples of one class with equal
            keys are copies of one another.

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
    effective = np.zeros(classes)
    effective[seen] = lines[seen] ** 2 / squares[seen]
    recall = np.full(classes, np.nan)
    recall[seen] = np.bincount(labels, right, classes)[seen] / lines[seen]
    low, high = wilson_interval(recall[seen], effective[seen])
    mean = recall[seen].mean()
    below = np.sqrt(((recall[seen] - low) ** 2).sum()) / len(low)
    above = np.sqrt(((high - recall[seen]) ** 2).sum()) / len(high)
    by_class = float(mean), (float(mean - below), float(mean + above))
    distinct = np.bincount(labels[first], minlength=classes)
    return Accuracy(by_class, _fraction_with_interval(right[first]), recall, distinct, effective)


def score_classes(confusions: np.ndarray) -> ClassScores:
    """Score each class from confusion counts (seeds, K, K), row = truth, column = guess."""
    right = confusions.diagonal(axis1=1, axis2=2).astype(float)
    examples, guessed = confusions.sum(axis=2), confusions.sum(axis=1)
    return ClassScores(
        examples=examples.mean(axis=0),
        recall=_mean_defined(right, examples, examples > 0),
        precision=_mean_defined(right, guessed, guessed > 0),
        f1=_mean_defined(2 * right, examples + guessed, examples > 0),
    )


def _mean_defined(numerators: np.ndarray, denominators: np.ndarray, defined: np.ndarray) -> np.ndarray:
    """(K,) mean over seeds of fractions (seeds, K) where they are defined, NaN where they never are."""
    fractions = np.where(defined, numerators / np.maximum(denominators, 1), 0.0).sum(axis=0)
    times = defined.sum(axis=0)
    return np.where(times > 0, fractions / np.maximum(times, 1), np.nan)


def most_frequent_confusions(counts: np.ndarray, names: Sequence[str], most: int = 10) -> list[dict[str, Any]]:
    """Return the ``most`` largest off-diagonal cells of (K, K) counts with their fractions of their rows.

    The largest count comes first; of equal ones, the larger fraction.

    >>> import numpy as np
    >>> from keras_dnnts import most_frequent_confusions
    >>> most_frequent_confusions(np.array([[3, 1], [0, 5]]), ["cat", "dog"])
    [{'truth': 'cat', 'guess': 'dog', 'count': 1, 'fraction': 0.25}]
    """
    fractions = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    wrong = np.array(counts)
    np.fill_diagonal(wrong, 0)
    order = np.lexsort((-fractions.ravel(), -wrong.ravel()))[:most]
    cells = [np.unravel_index(cell, counts.shape) for cell in order]
    return [
        {
            "truth": names[row],
            "guess": names[column],
            "count": int(wrong[row, column]),
            "fraction": float(fractions[row, column]),
        }
        for row, column in cells
        if wrong[row, column] > 0
    ]


def wilson_interval(fraction: Any, count: Any) -> tuple[Any, Any]:
    """Wilson's (1927) 95 % interval of fractions, each of ``count`` examples, which may be an effective number."""
    centre = (fraction + Z_95**2 / (2 * count)) / (1 + Z_95**2 / count)
    spread = np.sqrt(fraction * (1 - fraction) / count + (Z_95 / (2 * count)) ** 2) * Z_95 / (1 + Z_95**2 / count)
    # A fraction of 0 or 1 is an end of its interval, but for rounding.
    return np.clip(centre - spread, 0, fraction), np.clip(centre + spread, fraction, 1)


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
    log_probabilities = log_softmax(logits.astype(np.float64))
    return float(-log_probabilities[np.arange(len(labels)), labels].mean())


def softmax(logits: np.ndarray) -> np.ndarray:
    """Return probabilities of (..., K) logits."""
    shares = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return shares / shares.sum(axis=-1, keepdims=True)


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """Return log-probabilities of (..., K) logits."""
    logits = logits - logits.max(axis=-1, keepdims=True)
    return logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))


CALIBRATION_BINS = 15


@dataclass(frozen=True)
class Calibration:
    """How far a model's confidences are from its accuracies, in bins of equal width from 0 to 1.

    Attributes:
        error: the expected calibration error, from 0 to 1.
        weight: (B,) float64, the share of the examples in each bin.
        confidence: (B,) float64, their mean confidence; NaN in an empty bin.
        accuracy: (B,) float64, the share answered correctly; NaN in an empty bin.
    """

    error: float
    weight: np.ndarray
    confidence: np.ndarray
    accuracy: np.ndarray


def measure_calibration(
    probabilities: np.ndarray, labels: np.ndarray, weights: np.ndarray | None = None, bins: int = CALIBRATION_BINS
) -> Calibration:
    """Measure the expected calibration error (Guo et al. 2017), and what a reliability diagram shows.

    An example's confidence is its largest probability; a bin holds the confidences above its lower end and up to its
    upper one. The error is the mean distance of the bins' accuracies from their confidences, bins weighted by their
    examples.

    Args:
        probabilities: (N, K) float; rows sum to 1.
        labels: (N,) int true classes.
        weights: (N,) float from 0, how much each example counts; None for all alike.
        bins: B.

    >>> import numpy as np
    >>> from keras_dnnts.analysis import measure_calibration
    >>> sure, unsure = [0.9, 0.1], [0.4, 0.6]
    >>> calibration = measure_calibration(np.array([sure, sure, unsure]), np.array([0, 1, 1]))
    >>> round(calibration.error, 3)  # (2 * |0.5 - 0.9| + |1 - 0.6|) / 3
    0.4
    """
    weights = np.ones(len(labels)) if weights is None else weights / weights.mean()
    confidences, right = probabilities.max(axis=1).astype(np.float64), probabilities.argmax(axis=1) == labels
    bin_of = np.clip(np.ceil(confidences * bins).astype(np.int64) - 1, 0, bins - 1)
    weight, confidence, accuracy = (
        np.bincount(bin_of, weights * values, bins) for values in (np.ones(len(labels)), confidences, right)
    )
    error = float(np.abs(accuracy - confidence).sum() / weight.sum())
    filled = np.where(weight > 0, weight, np.nan)
    return Calibration(error, weight / weight.sum(), confidence / filled, accuracy / filled)


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
    """Find the ``most`` most confident mistakes in logits (N, K) with labels (N,) int, the most confident first.

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


def _guess(logits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    probabilities = softmax(logits.astype(np.float64))
    return probabilities.argmax(axis=1), probabilities.max(axis=1)


def _number_pairs(labels: np.ndarray, copies_of: Sequence[Any] | np.ndarray) -> np.ndarray:
    if isinstance(copies_of, np.ndarray):
        return labels.astype(np.int64) * (int(copies_of.max(initial=0)) + 1) + copies_of
    numbers: dict[Any, int] = {}
    pairs = zip(labels.tolist(), copies_of, strict=True)
    return np.array([numbers.setdefault(pair, len(numbers)) for pair in pairs])


def _fraction_with_interval(right: np.ndarray) -> tuple[float, tuple[float, float]]:
    fraction = right.mean()
    low, high = wilson_interval(fraction, len(right))
    return float(fraction), (float(low), float(high))
