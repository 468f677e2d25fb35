"""What is measured of every model of names, network or baseline: log-probabilities in, numbers and examples out."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from keras_dnnts.analysis import count_confusions, measure_accuracy
from keras_dnnts.datasets import NamesDataset
from keras_dnnts.datasets.splits import NamesSplit
from keras_dnnts.studies.names.illustrate import show_names
from keras_dnnts.studies.names.illustrations import list_mistakes


@dataclass
class Measured:
    """What was found on every side of a split, as :class:`keras_dnnts.study.SeedOutcome` takes it.

    Attributes:
        metrics: by name.
        confusions: (K, K) int counts by side.
        counts: (K,) distinct names of every class, and how many its accuracy is worth, by name and side.
        arrays: the names that are shown.
        details: the mistakes among them as plain values.
    """

    metrics: dict[str, Any] = field(default_factory=dict)
    confusions: dict[str, np.ndarray] = field(default_factory=dict)
    counts: dict[str, np.ndarray] = field(default_factory=dict)
    arrays: dict[str, np.ndarray] = field(default_factory=dict)
    details: dict[str, Any] = field(default_factory=dict)


def measure_sides(dataset: NamesDataset, split: NamesSplit, log_probabilities: np.ndarray) -> Measured:
    """Measure a model on every side of a split.

    Args:
        dataset: all N names.
        split: which of them are on which side.
        log_probabilities: (N, K) float32, the model's.
    """
    guesses, classes = log_probabilities.argmax(axis=1), len(dataset.classes)
    found = Measured()
    for side, lines in sides(split).items():
        labels, names = dataset.labels[lines], [dataset.texts[line] for line in lines]
        accuracy = measure_accuracy(labels, guesses[lines], classes, copies_of=names)
        found.metrics[f"{side}_accuracy_by_class"] = accuracy.by_class
        found.metrics[f"{side}_accuracy"] = accuracy.overall
        found.counts[f"distinct_{side}"] = accuracy.distinct
        found.counts[f"effective_{side}"] = accuracy.effective
        found.confusions[side] = count_confusions(labels, guesses[lines], classes)
        found.arrays |= show_names(dataset, lines, log_probabilities, side)
    found.details["mistakes"] = {side: list_mistakes(found.arrays, side, dataset.classes) for side in found.confusions}
    return found


def sides(split: NamesSplit) -> dict[str, np.ndarray]:
    """The lines of every side that has some, by its name."""
    return {side: lines for side in ("train", "held_out") if len(lines := getattr(split, side))}


def split_part_shown(split: NamesSplit) -> tuple[np.ndarray, str]:
    """The lines that a model is shown reading and their side: held-out ones where there are any."""
    side = "held_out" if len(split.held_out) else "train"
    return getattr(split, side), side
