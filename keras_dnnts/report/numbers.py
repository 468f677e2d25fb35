"""A run in numbers: its metrics beside the reference's, and how well each class is told."""

import math
from typing import Any

import numpy as np

from keras_dnnts.analysis import ClassScores, score_classes, wilson_interval
from keras_dnnts.report import text
from keras_dnnts.results import Result
from keras_dnnts.results.baselines import Baseline, find_baseline
from keras_dnnts.results.comparison import format_metric


def list_measures(result: Result) -> list[dict[str, Any]]:
    """Every metric with its interval and the reference's number; shares with their places on a line, per cent."""
    reference = text.reported(result)
    rows = []
    for kind in result.study.metrics:
        if kind.detail or (metric := result.metrics.get(kind.name)) is None:
            continue
        interval, over = text.interval_of(metric)
        other, baseline = reference.get(kind.name), find_baseline(result, kind)
        rows.append(
            {
                "title": kind.title,
                "value": format_metric(kind, metric),
                "interval": text.percent_range(interval) if interval and kind.is_share else None,
                "over": over,
                "reference": None if other is None else text.reported_number(kind, other),
                "strip": place_on_line(metric.mean, interval, other, baseline) if kind.is_share else None,
                "baseline": describe_baseline(baseline),
            }
        )
    return rows


def describe_baseline(baseline: Baseline | None) -> str | None:
    """What always giving the same answer scores, in words."""
    return None if baseline is None else f"always answering {baseline.label}: {text.percent(baseline.share)}"


def place_on_line(
    mean: float, interval: Any, reference: float | None, baseline: Baseline | None
) -> dict[str, float | None]:
    """The places of a share, its interval, the reference's and the baseline on a line from 0 to 100 per cent."""
    low, high = interval or (mean, mean)
    low, high = max(low, 0.0), min(high, 1.0)
    return {
        "dot": 100 * mean,
        "low": 100 * low,
        "length": 100 * (high - low),
        "reference": None if reference is None else 100 * reference,
        "baseline": None if baseline is None else 100 * baseline.share,
    }


def list_classes(result: Result) -> dict[str, Any] | None:
    """Scores of each class on the most telling part of the data, and the share right on the others.

    The best recall comes first; None where nothing is known.
    """
    parts = [part for part in result.parts if f"confusion_{part}" in result.arrays]
    if not parts:
        return None
    scores = {part: score_classes(result.arrays[f"confusion_{part}"]) for part in parts}
    first = scores[parts[0]]
    intervals = _class_intervals(result, parts[0], first)
    classes = result.dataset["classes"]
    return {
        "title": result.parts[parts[0]],
        "unit": result.study.example[1],
        "others": [result.parts[part] for part in parts[1:]],
        "seeds": result.config["seeds"],
        "has_copies": result.study.has_copies,
        "has_intervals": any(intervals),
        "rows": [
            {
                "name": classes[i],
                "count": f"{first.examples[i]:,.0f}",
                "recall": _share(first.recall[i]),
                "interval": intervals[i],
                "precision": _share(first.precision[i]),
                "f1": _share(first.f1[i]),
                "others": [_share(scores[part].recall[i]) for part in parts[1:]],
            }
            for i in np.argsort(-np.nan_to_num(first.recall, nan=-1.0), kind="stable").tolist()
        ],
    }


def _class_intervals(result: Result, part: str, scores: ClassScores) -> list[str | None]:
    """Wilson's intervals of recall, from as many examples as one seed has."""
    effective = result.arrays.get(f"effective_{part}")
    if effective is None and result.study.has_copies:
        return [None] * len(scores.recall)
    counts = scores.examples if effective is None else effective.mean(axis=0)
    known = ~np.isnan(scores.recall) & (counts > 0)
    low, high = wilson_interval(scores.recall[known], counts[known])
    found = dict(zip(np.flatnonzero(known).tolist(), zip(low.tolist(), high.tolist(), strict=True), strict=True))
    return [text.percent_range(found[i], "\N{EN DASH}") if i in found else None for i in range(len(scores.recall))]


def _share(value: float) -> dict[str, Any] | None:
    return None if math.isnan(value) else {"text": text.percent(value), "width": 100 * value}
