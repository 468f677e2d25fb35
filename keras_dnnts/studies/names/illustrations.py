"""The single names that results keep to be shown beside their numbers."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated

import numpy as np

from keras_dnnts.results.records import ArrayRecord, items_axis


@dataclass(frozen=True)
class Names(ArrayRecord):
    """Names with what a model guessed.

    Attributes:
        name: (M,) str.
        truth, guess: (M,) int64 indices of classes.
        confidence: (M,) float64 probabilities the model gave its guesses.
    """

    name: Annotated[np.ndarray, "text items"]
    truth: Annotated[np.ndarray, "class items"]
    guess: Annotated[np.ndarray, "class items"]
    confidence: Annotated[np.ndarray, "finite items"]


@dataclass(frozen=True)
class NameMistakes(Names):
    """Wrong guesses, the surest first.

    Attributes:
        also: (M,) bool, whether the name occurs in the guessed class too.
    """

    also: Annotated[np.ndarray, "flag items"]


@dataclass(frozen=True)
class Reading(ArrayRecord):
    """Names read letter by letter, those the model gets right first.

    Attributes:
        name: (M,) str.
        truth: (M,) int64 indices of classes.
        probability: (M, T, K) float32 after every letter, NaN from a name's end on.
        late_changes: (T,) float64: of many names, the share whose guess still changed within their last t + 1 letters;
            None in some results.
    """

    name: Annotated[np.ndarray, "text items"]
    truth: Annotated[np.ndarray, "class items"]
    probability: Annotated[np.ndarray, "float items letters_ classes"]
    late_changes: Annotated[np.ndarray | None, "finite ."] = None


def illustration_axes(parts: Iterable[str]) -> dict[str, str]:
    """What illustrates the named parts of the data, for :class:`keras_dnnts.study.ResultFormat`."""
    axes: dict[str, str] = {}
    for part in parts:
        axes |= NameMistakes.axes(f"mistake_{part}") | Names.axes(f"example_{part}") | Reading.axes(f"reading_{part}")
    return axes


def count_axes(parts: Iterable[str]) -> dict[str, str]:
    """Distinct names of each language in the named parts, and how many of them its accuracy is worth."""
    return {f"{what}_{part}": "finite seeds classes" for part in parts for what in ("distinct", "effective")}


def axes_that_may_be_empty(parts: Iterable[str]) -> frozenset[str]:
    """Axes without an entry where a model makes no mistake."""
    return frozenset(items_axis(f"mistake_{part}") for part in parts)
