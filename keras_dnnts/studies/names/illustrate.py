"""Picks the single names that a report shows beside its numbers: arrays in, arrays out."""

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from keras_dnnts.analysis import Guesses, late_changes, most_confident_mistakes, surest_examples
from keras_dnnts.datasets import NamesDataset
from keras_dnnts.random_streams import Purpose, random_stream
from keras_dnnts.studies.names.illustrations import NameMistakes, Names, Reading

if TYPE_CHECKING:  # it needs an engine
    from keras_dnnts.studies.names.evaluate import Evaluator

MOST_MISTAKES = 20
MOST_READ = 1000
READ_OF_A_KIND = 3
LONGEST_READ = 16  # letters: what fits beside another name


def show_names(
    dataset: NamesDataset, lines: np.ndarray, log_probabilities: np.ndarray, side: str
) -> dict[str, np.ndarray]:
    """Pick the names of one side that a report shows; copies are shown once.

    Args:
        dataset: all N names.
        lines: the side's, of the N.
        log_probabilities: (N, K) float32.
        side: ``"train"`` or ``"held_out"``.

    Returns:
        The arrays of :class:`NameMistakes` under ``mistake_<side>`` and of :class:`Names` under ``example_<side>``.
    """
    distinct = _distinct(dataset, lines)
    labels, logits = dataset.labels[distinct].astype(np.int64), log_probabilities[distinct]
    mistakes = _names(dataset, distinct, most_confident_mistakes(logits, labels, MOST_MISTAKES))
    examples = _names(dataset, distinct, surest_examples(logits, labels))
    known = set(zip(dataset.texts, dataset.labels.tolist(), strict=True))
    guessed = zip(mistakes["name"].tolist(), mistakes["guess"].tolist(), strict=True)
    also = np.array([pair in known for pair in guessed], bool)
    shown = NameMistakes(**mistakes, also=also).to_arrays(f"mistake_{side}")
    return shown | Names(**examples).to_arrays(f"example_{side}")


def show_reading(evaluator: "Evaluator", dataset: NamesDataset, lines: np.ndarray, side: str) -> dict[str, np.ndarray]:
    """Read distinct names of one side letter by letter, and pick some at random: as many right as wrong if there are.

    Args:
        evaluator: of a trained model.
        dataset: all names.
        lines: the side's.
        side: ``"train"`` or ``"held_out"``.

    Returns:
        The arrays of :class:`Reading` under ``reading_<side>``; ``late_changes`` are those of up to 1,000 names.
    """
    read = random_stream(0, Purpose.READ_NAMES).permutation(_distinct(dataset, lines))[:MOST_READ]
    labels, lengths = dataset.labels[read].astype(np.int64), dataset.lengths[read]
    probabilities = evaluator.read_letter_by_letter(dataset.letters[read, : lengths.max()], lengths)
    guesses = probabilities[np.arange(len(read)), lengths - 1].argmax(axis=1)
    fits = lengths <= LONGEST_READ
    right, wrong = (
        _take_across(np.flatnonzero(chosen & (fits if (chosen & fits).any() else True)), labels, READ_OF_A_KIND)
        for chosen in (guesses == labels, guesses != labels)
    )
    shown = np.concatenate([right, wrong])
    reading = Reading(
        name=np.array([dataset.texts[line] for line in read[shown]], np.str_),
        truth=labels[shown],
        probability=probabilities[shown, : lengths[shown].max()],
        late_changes=late_changes(probabilities, lengths),
        line=dataset.line_numbers[read[shown]].astype(np.int64),
    )
    return reading.to_arrays(f"reading_{side}")


def _distinct(dataset: NamesDataset, lines: np.ndarray) -> np.ndarray:
    """The first line of every name in every language, in order."""
    first = {(dataset.labels[line], dataset.texts[line]): line for line in lines[::-1].tolist()}
    return np.array(sorted(first.values()), np.int64)


def _names(dataset: NamesDataset, distinct: np.ndarray, picked: Guesses) -> dict[str, np.ndarray]:
    shown = distinct[picked.indices]
    return {
        "name": np.array([dataset.texts[line] for line in shown], np.str_),
        "truth": dataset.labels[shown].astype(np.int64),
        "guess": picked.guesses,
        "confidence": picked.confidences,
        "line": dataset.line_numbers[shown].astype(np.int64),
    }


def _take_across(candidates: np.ndarray, labels: np.ndarray, most: int) -> np.ndarray:
    """Up to ``most`` of the candidates in their order, no label twice before every label is there."""
    turns, times = [], Counter[int]()
    for label in labels[candidates].tolist():
        turns.append(times[label])
        times[label] += 1
    return candidates[np.argsort(turns, kind="stable")[:most]]
