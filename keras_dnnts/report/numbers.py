"""A run in numbers: its metrics beside the reference's, and the share right of each class."""

import math
from typing import Any

from keras_dnnts.report import text
from keras_dnnts.results import Result
from keras_dnnts.results.comparison import METRIC_TITLES, format_metric
from keras_dnnts.studies.reference import reported


def list_measures(result: Result) -> list[dict[str, Any]]:
    """Every metric with its interval and the reference's number; accuracies with their places on a line, per cent."""
    reference = reported(result)
    rows = []
    for name, title in METRIC_TITLES[result.experiment].items():
        if (metric := result.metrics.get(name)) is None:
            continue
        interval, over = text.interval_of(metric)
        is_share, other = "accuracy" in name, reference.get(name)
        rows.append(
            {
                "title": title,
                "value": format_metric(name, metric),
                "interval": text.percent_range(interval) if interval and is_share else None,
                "over": over,
                "reference": None if other is None else text.percent(other) if is_share else f"{other:g}",
                "strip": place_on_line(metric.mean, interval, other, result) if is_share else None,
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
    """The share right of each class, the best first, on every side; None where nothing is known."""
    sides = {side: title for side, title in text.SIDES[result.experiment].items() if result.details["recall"].get(side)}
    if not sides:
        return None
    recall = {side: result.details["recall"][side] for side in sides}
    first = recall[next(iter(sides))]
    order = sorted(first, key=lambda name: -1.0 if first[name] is None else first[name], reverse=True)
    counts = result.dataset["counts"].get("lines") or result.dataset["counts"].get("images") or {}
    return {
        "titles": list(sides.values()),
        "unit": "lines" if result.experiment == "names" else "images",
        "rows": [
            {"name": name, "count": counts.get(name), "shares": [_share(recall[side].get(name)) for side in sides]}
            for name in order
        ],
    }


def _share(value: float | None) -> dict[str, Any] | None:
    return None if value is None or math.isnan(value) else {"text": text.percent(value), "width": 100 * value}
