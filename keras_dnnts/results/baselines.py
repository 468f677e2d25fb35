"""What a run must beat to have learned anything: always giving the same answer."""

import math
from dataclasses import dataclass

import numpy as np

from keras_dnnts.metrics import MetricKind
from keras_dnnts.results import Metric, Result

ROUNDING = 1e-9
CLEARLY_ABOVE = 1.1


@dataclass(frozen=True)
class Baseline:
    """The best share that needs no model; guessing uniformly is never better than answering the largest class.

    Attributes:
        share: what always answering ``label`` scores.
        label: the largest class.
    """

    share: float
    label: str


def find_baseline(result: Result, kind: MetricKind) -> Baseline | None:
    """The share that always answering the largest class scores by a metric; None where it is not a share or unknown."""
    counts = _count_examples(result, kind) if kind.is_share else None
    if counts is None or not counts.sum():
        return None
    totals = counts.sum(axis=1, keepdims=True)
    known = counts[totals[:, 0] > 0]
    shares = known / known.sum(axis=1, keepdims=True)
    largest = int(shares.mean(axis=0).argmax())
    share = (1 / (known > 0).sum(axis=1)).mean() if kind.over_classes else shares[:, largest].mean()
    return Baseline(float(share), result.dataset["classes"][largest])


def is_no_better(result: Result, kind: MetricKind) -> bool:
    """Whether every seed's value of an accuracy may be that of always giving one answer, or is below it."""
    metric, baseline = result.metrics[kind.name], find_baseline(result, kind)
    return baseline is not None and all(low <= baseline.share + ROUNDING for low in _lower_ends(metric))


def find_rise_of_loss(result: Result) -> tuple[float, float] | None:
    """From where to where the training loss rose, mean over seeds; None where it did not rise in every seed.

    It rose where its last value is above its first, or clearly above ln K, where a model that knows nothing begins:
    the first value may be the mean of many updates that had already gone wrong.
    """
    losses = result.arrays.get(result.study.training_loss or "")
    if losses is None:
        return None
    rows = [row[~np.isnan(row)] for row in losses]
    untrained = math.log(len(result.dataset["classes"]))
    if all(len(row) > 1 and row[-1] > row[0] for row in rows):
        start = min(untrained, float(np.mean([row[0] for row in rows])))
    elif all(len(row) and row[-1] > CLEARLY_ABOVE * untrained for row in rows):
        start = untrained
    else:
        return None
    return start, float(np.mean([row[-1] for row in rows]))


def _lower_ends(metric: Metric) -> list[float]:
    return list(metric.values) if metric.intervals_95 is None else [low for low, _ in metric.intervals_95]


def _count_examples(result: Result, kind: MetricKind) -> np.ndarray | None:
    """(seeds, K) examples of each class that a metric is about; of the whole data where that part was not kept."""
    part = next((part for part in result.study.parts if part in kind.name), None)
    if part is not None and f"confusion_{part}" in result.arrays:
        rows = result.arrays[f"confusion_{part}"].sum(axis=2)
        return rows if kind.over_classes else result.arrays.get(f"distinct_{part}", rows)
    counts = result.dataset["counts"].get(result.study.example[1])
    return np.array([[counts.get(name, 0) for name in result.dataset["classes"]]]) if counts else None
