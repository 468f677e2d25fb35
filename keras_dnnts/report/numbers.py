"""A run in numbers: its metrics beside the reference's, and the share right of each class."""

import math
from typing import Any

from keras_dnnts.report import text
from keras_dnnts.results import Result
from keras_dnnts.results.comparison import format_metric


def list_measures(result: Result) -> list[dict[str, Any]]:
    """Every metric with its interval and the reference's number; shares with their places on a line, per cent."""
    reference = text.reported(result)
    rows = []
    for kind in result.study.metrics:
        if (metric := result.metrics.get(kind.name)) is None:
            continue
        interval, over = text.interval_of(metric)
        other = reference.get(kind.name)
        rows.append(
            {
                "title": kind.title,
                "value": format_metric(kind, metric),
                "interval": text.percent_range(interval) if interval and kind.is_share else None,
                "over": over,
                "reference": None if other is None else text.reported_number(kind, other),
                "strip": place_on_line(metric.mean, interval, other, result) if kind.is_share else None,
            }
        )
    return rows


def place_on_line(mean: float, interval: Any, reference: float | None, result: Result) -> dict[str, Any]:
    """The places of a share, its interval, the reference's and chance on a line from 0 to 100 per cent."""
    low, high = interval or (mean, mean)
    low, high = max(low, 0.0), min(high, 1.0)
    return {
        "dot": 100 * mean,
        "low": 100 * low,
        "length": 100 * (high - low),
        "reference": None if reference is None else 100 * reference,
        "chance": 100 / len(result.dataset["classes"]),
    }


def list_recall(result: Result) -> dict[str, Any] | None:
    """The share right of each class, the best first, on every part of the data; None where nothing is known."""
    recall = {part: result.details["recall"].get(part) for part in result.study.parts}
    parts = [part for part, shares in recall.items() if shares]
    if not parts:
        return None
    first = recall[parts[0]]
    order = sorted(first, key=lambda name: -1.0 if first[name] is None else first[name], reverse=True)
    unit = result.study.example[1]
    counts = result.dataset["counts"].get(unit) or {}
    return {
        "titles": [result.study.parts[part] for part in parts],
        "unit": unit,
        "rows": [
            {"name": name, "count": counts.get(name), "shares": [_share(recall[part].get(name)) for part in parts]}
            for name in order
        ],
    }


def _share(value: float | None) -> dict[str, Any] | None:
    return None if value is None or math.isnan(value) else {"text": text.percent(value), "width": 100 * value}
