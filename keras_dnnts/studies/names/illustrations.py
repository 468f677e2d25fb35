"""The single names that results keep to be shown beside their numbers."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Annotated, Any

import numpy as np

from keras_dnnts.datasets import file_of
from keras_dnnts.results.records import ArrayRecord, items_axis


@dataclass(frozen=True)
class Names(ArrayRecord):
    """Names with what a model guessed.

    Attributes:
        name: (M,) str.
        truth, guess: (M,) int64 indices of classes.
        confidence: (M,) float64 probabilities the model gave its guesses.
        line: (M,) int64, where they stand in their category's file, from 1; None in older results.
    """

    name: Annotated[np.ndarray, "text items"]
    truth: Annotated[np.ndarray, "class items"]
    guess: Annotated[np.ndarray, "class items"]
    confidence: Annotated[np.ndarray, "finite items"]
    line: Annotated[np.ndarray | None, "count items"] = None


@dataclass(frozen=True)
class NameMistakes(Names):
    """Wrong guesses, the surest first.

    Attributes:
        also: (M,) bool, whether the name occurs in the guessed class too.
    """

    also: Annotated[np.ndarray, "flag items"] = field(kw_only=True)


@dataclass(frozen=True)
class Reading(ArrayRecord):
    """Names read letter by letter, those the model gets right first.

    Attributes:
        name: (M,) str.
        truth: (M,) int64 indices of classes.
        probability: (M, T, K) float32 after every letter, NaN from a name's end on.
        late_changes: (T,) float64: of many names, the share whose guess still changed within their last t + 1 letters;
            None in some results.
        line: (M,) int64, where they stand in their category's file, from 1; None in older results.
    """

    name: Annotated[np.ndarray, "text items"]
    truth: Annotated[np.ndarray, "class items"]
    probability: Annotated[np.ndarray, "float items letters_ classes"]
    late_changes: Annotated[np.ndarray | None, "finite ."] = None
    line: Annotated[np.ndarray | None, "count items"] = None


def list_places(
    lines: np.ndarray | None, truth: np.ndarray, classes: Sequence[str], files: Mapping[str, str]
) -> list[str | None]:
    """The file and the line of names, such as ``"Greek.txt, line 17"``; None for each where results do not say."""
    if lines is None:
        return [None] * len(truth)
    pairs = zip(lines.tolist(), truth.tolist(), strict=True)
    return [f"{file_of(classes[label], files)}, line {line}" for line, label in pairs]


def list_mistakes(
    arrays: Mapping[str, np.ndarray], part: str, classes: Sequence[str], files: Mapping[str, str] = MappingProxyType({})
) -> list[dict[str, Any]]:
    """The mistakes of a part of the data as plain values, with the file and the line of each."""
    mistakes = NameMistakes.require(arrays, f"mistake_{part}")
    assert mistakes.line is not None
    columns = (mistakes.name, mistakes.truth, mistakes.guess, mistakes.confidence, mistakes.line)
    return [
        {
            "name": name,
            "truth": classes[truth],
            "guess": classes[guess],
            "confidence": confidence,
            "file": file_of(classes[truth], files),
            "line": line,
        }
        for name, truth, guess, confidence, line in zip(*(column.tolist() for column in columns), strict=True)
    ]


def illustration_axes(parts: Iterable[str]) -> dict[str, str]:
    """What illustrates the named parts of the data, for :class:`keras_dnnts.study.ResultFormat`."""
    axes: dict[str, str] = {}
    for part in parts:
        axes |= NameMistakes.axes(f"mistake_{part}") | Names.axes(f"example_{part}") | Reading.axes(f"reading_{part}")
    return axes


def count_axes(parts: Iterable[str]) -> dict[str, str]:
    """Distinct names of each language in the named parts, and how many of them its accuracy is worth."""
    return {f"{what}_{part}": "finite seeds classes" for part in parts for what in ("distinct", "effective")}


def prior_axes() -> dict[str, str]:
    """How frequent each language was in training, and its number of distinct training names."""
    return {"trained_share": "finite seeds classes", "training_names": "finite seeds classes"}


BESIDE, BESIDE_ON_REQUEST = ("majority", "markov"), ("ngram-logistic",)


def beside_axes(parts: Iterable[str]) -> dict[str, str]:
    """What baselines score on a run's own splits, and the best that any answers could."""
    axes: dict[str, str] = {}
    for part in parts:
        axes |= {f"baseline_{name}_{part}": "finite seeds 4" for name in (*BESIDE, *BESIDE_ON_REQUEST)}
        axes[f"bound_{part}"] = "finite seeds 2"
    return axes


def axes_that_may_be_empty(parts: Iterable[str]) -> frozenset[str]:
    """Axes without an entry where a model makes no mistake."""
    return frozenset(items_axis(f"mistake_{part}") for part in parts)
