"""Names read letter by letter, as page and figure show them: which classes, and their shares in whole per cent."""

from dataclasses import dataclass

import numpy as np

AT_THE_END = 4  # classes shown for being the most probable ones after the last letter


@dataclass(frozen=True)
class ReadName:
    """What a model believes after every letter of a name.

    Attributes:
        name: its T letters.
        truth, guess: indices of classes.
        labels: indices of the R classes that are shown, the most probable at the end first; None last for all others.
        percents: (R, T) int64, whose columns add up to 100.
    """

    name: str
    truth: int
    guess: int
    labels: list[int | None]
    percents: np.ndarray


def summarise_reading(name: str, truth: int, probabilities: np.ndarray) -> ReadName:
    """Choose the right class, every class that leads after any letter, and the most probable ones at the end.

    Args:
        name: T letters.
        truth: index of its class.
        probabilities: (at least T, K) after every letter.
    """
    known = probabilities[: len(name)]
    ranked = np.argsort(-known[-1], kind="stable").tolist()
    chosen = {truth, *known.argmax(axis=1).tolist(), *ranked[:AT_THE_END]}
    if len(ranked) == len(chosen) + 1:  # one other is no others
        chosen = set(ranked)
    shown = [label for label in ranked if label in chosen]
    shares, labels = known[:, shown].T.astype(np.float64), list[int | None](shown)
    if len(shown) < len(ranked):
        labels.append(None)
        shares = np.vstack([shares, np.maximum(1 - shares.sum(axis=0), 0)])
    return ReadName(name, truth, ranked[0], labels, round_to_hundred(shares))


def round_to_hundred(shares: np.ndarray) -> np.ndarray:
    """Round shares (R, T) to whole per cent so that every column adds up to 100, by largest remainders."""
    exact = 100 * shares / shares.sum(axis=0)
    percents = np.floor(exact).astype(np.int64)
    rank = np.argsort(np.argsort(percents - exact, axis=0, kind="stable"), axis=0)  # the largest remainder is 0
    return percents + (rank < 100 - percents.sum(axis=0))
