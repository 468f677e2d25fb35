"""How losses and accuracies went while runs were trained."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from keras_dnnts.report.charts import Chart, Series, build_chart
from keras_dnnts.results import Result


def build_curves(results: Mapping[str, Result]) -> list[dict[str, Any]]:
    """Charts of the curves of runs of one experiment, by label."""
    first = next(iter(results.values()))
    if first.experiment == "names":
        return [{"title": "Loss on the training names", "chart": _chart_updates(results)}]
    return [
        {"title": title, "chart": _chart_epochs(results, quantity)}
        for quantity, title in (("loss", "Loss"), ("accuracy", "Accuracy"))
    ]


def _chart_updates(results: Mapping[str, Result]) -> Chart:
    series = [
        Series(label, result.arrays["loss_step"], result.arrays["loss"], i)
        for i, (label, result) in enumerate(results.items())
    ]
    return build_chart(series, "updates", "mean loss of 1,000 updates, nats", lambda value: f"{value:g}")


def _chart_epochs(results: Mapping[str, Result], quantity: str) -> Chart:
    series = []
    for i, (label, result) in enumerate(results.items()):
        for j, (part, name) in enumerate((("train", "training"), ("validation", "validation"))):
            values = result.arrays[f"history_{part}_{quantity}"]
            alone = len(results) == 1
            series.append(
                Series(
                    name if alone else f"{label}, {name}",
                    np.arange(1, values.shape[1] + 1),
                    values,
                    colour=j if alone else i,
                    dashed=not alone and part == "train",
                )
            )
    if quantity == "loss":
        return build_chart(series, "epoch", "mean cross-entropy, nats", lambda value: f"{value:.4g}")
    return build_chart(series, "epoch", "accuracy", lambda value: f"{100 * value:.3g}\N{NO-BREAK SPACE}%")
