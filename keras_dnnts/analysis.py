"""What a trained model does, as numbers: arrays in, arrays out."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

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
    """Count (K, K) int64: row = true class, column = guess, from labels and guesses (N,) int."""
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
    """Return the ``most`` largest off-diagonal cells of (K, K) counts as fractions of their rows, largest first."""
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


def predict_log_probabilities(model: Any, letters: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Return (N, K) float32 log-probabilities of names (N, T) int32 with lengths (N,) int32, in large batches."""
    return model.predict((letters, lengths), batch_size=2048, verbose=0)


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
    return np.maximum(centre - spread, 0), np.minimum(centre + spread, 1)
