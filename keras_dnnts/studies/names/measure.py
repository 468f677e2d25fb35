"""What is measured of every model of names, network or baseline: log-probabilities in, numbers and examples out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from keras_dnnts.analysis import count_confusions, measure_accuracy, measure_calibration
from keras_dnnts.datasets import NamesDataset
from keras_dnnts.datasets.splits import NamesSplit
from keras_dnnts.studies.names.baselines import fit_baseline
from keras_dnnts.studies.names.baselines.base import Baseline, TrainingNames
from keras_dnnts.studies.names.bound import best_possible
from keras_dnnts.studies.names.decisions import PRIORS, change_prior, prior_of
from keras_dnnts.studies.names.illustrate import show_names
from keras_dnnts.studies.names.illustrations import BESIDE, BESIDE_ON_REQUEST, list_mistakes
from keras_dnnts.studies.names.reliability import BINS, Reliability


@dataclass
class Measured:
    """What was found on every side of a split, as :class:`keras_dnnts.study.SeedOutcome` takes it.

    Attributes:
        metrics: by name.
        confusions: (K, K) int counts by side.
        counts: (K,) distinct names of every class, and how many its accuracy is worth, by name and side; and what
            else every seed has its own array of.
        arrays: the names that are shown.
        details: the mistakes among them as plain values.
    """

    metrics: dict[str, Any] = field(default_factory=dict)
    confusions: dict[str, np.ndarray] = field(default_factory=dict)
    counts: dict[str, np.ndarray] = field(default_factory=dict)
    arrays: dict[str, np.ndarray] = field(default_factory=dict)
    details: dict[str, Any] = field(default_factory=dict)


def measure_sides(
    dataset: NamesDataset,
    split: NamesSplit,
    log_probabilities: np.ndarray,
    trained: np.ndarray,
    beside: Mapping[str, np.ndarray],
) -> Measured:
    """Measure a model on every side of a split.

    Args:
        dataset: all N names.
        split: which of them are on which side.
        log_probabilities: (N, K) float32, the model's.
        trained: (K,) float, how frequent each class was in its training; adds up to 1.
        beside: what :func:`measure_beside` found of the split.
    """
    names = beside["training_names"]
    guesses, classes = log_probabilities.argmax(axis=1), len(dataset.classes)
    found = Measured()
    texts = number_copies(dataset.texts)
    for side, lines in sides(split).items():
        labels, copies = dataset.labels[lines], texts[lines]
        accuracy = measure_accuracy(labels, guesses[lines], classes, copies)
        found.metrics[f"{side}_accuracy_by_class"] = accuracy.by_class
        found.metrics[f"{side}_accuracy"] = accuracy.overall
        found.counts[f"distinct_{side}"] = accuracy.distinct
        found.counts[f"effective_{side}"] = accuracy.effective
        found.confusions[side] = count_confusions(labels, guesses[lines], classes)
        found.metrics |= _measure_decisions(labels, copies, side, log_probabilities[lines], trained, names)
        answers = _answer_distinct(labels, copies, log_probabilities[lines], trained, names)
        found.metrics[f"{side}_calibration_error"] = measure_calibration(*answers).error
        if side == split_part_shown(split)[1]:
            found.counts |= measure_reliability(*answers).to_arrays(f"reliability_{side}")
        found.arrays |= show_names(dataset, lines, log_probabilities, side)
    found.details["mistakes"] = {
        side: list_mistakes(found.arrays, side, dataset.classes, dataset.files) for side in found.confusions
    }
    found.counts |= {"trained_share": trained, **beside}
    return found


def number_copies(texts: Sequence[str]) -> np.ndarray:
    """Numbers (N,) int64 from 0 of texts, the same for equal ones."""
    numbers: dict[str, int] = {}
    return np.array([numbers.setdefault(text, len(numbers)) for text in texts], np.int64)


def _measure_decisions(
    labels: np.ndarray,
    copies: np.ndarray,
    side: str,
    log_probabilities: np.ndarray,
    trained: np.ndarray,
    names: np.ndarray,
) -> dict[str, Any]:
    """Both accuracies of what is answered under each prior."""
    metrics: dict[str, Any] = {}
    for prior in PRIORS:
        answers = change_prior(log_probabilities, trained, prior_of(prior, names))
        accuracy = measure_accuracy(labels, answers.argmax(axis=1), len(names), copies)
        metrics[f"{side}_accuracy_by_class_{prior}"] = accuracy.by_class
        metrics[f"{side}_accuracy_{prior}"] = accuracy.overall
    return metrics


def _answer_distinct(
    labels: np.ndarray, copies: np.ndarray, log_probabilities: np.ndarray, trained: np.ndarray, names: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities (M, K) under the natural prior, and labels (M,), of every distinct name of some lines."""
    natural = change_prior(log_probabilities, trained, prior_of("natural", names))
    first = np.sort(np.unique(copies * len(names) + labels, return_index=True)[1])
    return np.exp(natural[first]), labels[first]


def measure_beside(
    dataset: NamesDataset,
    split: NamesSplit,
    logistic: bool = False,
    fitted: Mapping[str, Baseline] | None = None,
) -> dict[str, np.ndarray]:
    """What baselines score on names of the side that models are judged on, and the best that any answers could.

    Of a baseline, averaged over classes and over all names: under the even prior, then under the natural one. With
    them, ``training_names`` (K,) float64: the distinct training names of each class.

    Args:
        dataset: all names.
        split: which of them are on which side.
        logistic: whether logistic regression is among them, which takes seconds.
        fitted: baselines that are fitted to this split's training names already, by name.
    """
    fitted, names = fitted or {}, TrainingNames.of_lines(dataset, split.train)
    lines, side = split_part_shown(split)
    labels, texts = dataset.labels[lines], [dataset.texts[line] for line in lines]
    arrays = {"training_names": names.counts.astype(np.float64)}
    for name in (*BESIDE, *(BESIDE_ON_REQUEST if logistic else ())):
        model = fitted.get(name) or fit_baseline(name, names)
        said = model.log_probabilities(dataset.letters[lines], dataset.lengths[lines])
        found = []
        for prior in PRIORS:
            guesses = change_prior(said, names.counts, prior_of(prior, names.counts)).argmax(axis=1)
            accuracy = measure_accuracy(labels, guesses, names.classes, copies_of=texts)
            found += [accuracy.by_class[0], accuracy.overall[0]]
        arrays[f"baseline_{name}_{side}"] = np.array(found)
    bound = best_possible(labels, texts, names.classes)
    return arrays | {f"bound_{side}": np.array([bound.by_class, bound.overall])}


def measure_reliability(probabilities: np.ndarray, labels: np.ndarray) -> Reliability:
    """Measure one seed's: probabilities (N, K) and labels (N,) of distinct names, to arrays (B,)."""
    found = measure_calibration(probabilities, labels, bins=BINS)
    count = np.rint(found.weight * len(labels))
    return Reliability(count, found.confidence, found.accuracy)


def sides(split: NamesSplit) -> dict[str, np.ndarray]:
    """The lines of every side that is measured, by its name."""
    judged, side = split_part_shown(split)
    return {"train": split.train, side: judged}


def split_part_shown(split: NamesSplit) -> tuple[np.ndarray, str]:
    """The lines that a model is judged on, and their side: held-out ones where nothing is chosen by them.

    Validation names where there are any, for held-out names are then none of a run's business; of a split without
    either, the training names.
    """
    side = next((side for side in ("validation", "held_out") if len(getattr(split, side))), "train")
    return getattr(split, side), side
