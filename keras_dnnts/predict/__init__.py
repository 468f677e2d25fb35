"""What a finished run's model says of a person's own names or images."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

STDIN = "-"
"""The input that stands for the lines of standard input."""


@dataclass(frozen=True)
class Prediction:
    """What the model says of one input.

    Attributes:
        input: a name as it was given, or an image's path.
        guesses: classes with their probabilities, the most probable first; empty where there is a problem.
        read_as: the part of a name that the model read; None for an image.
        ignored: the letters of a name that it could not read; empty for an image.
        problem: why there are no guesses, or None.
    """

    input: str
    guesses: tuple[tuple[str, float], ...]
    read_as: str | None = None
    ignored: tuple[str, ...] = ()
    problem: str | None = None


def most_probable(
    log_probabilities: np.ndarray, classes: Sequence[str], top: int
) -> list[tuple[tuple[str, float], ...]]:
    """Return each row's ``top`` most probable classes with their probabilities, the most probable first.

    Args:
        log_probabilities: (N, K) float32. Of classes as probable, the first of them counts as more probable.
        classes: K names.
        top: at most K count.
    """
    order = np.argsort(-log_probabilities, axis=1, kind="stable")[:, :top]
    probabilities = np.exp(np.take_along_axis(log_probabilities, order, axis=1).astype(np.float64))
    return [
        tuple((classes[label], probability) for label, probability in zip(labels, row, strict=True))
        for labels, row in zip(order.tolist(), probabilities.round(7).tolist(), strict=True)
    ]
