"""One figure of several runs."""

import math
import textwrap
from collections.abc import Mapping
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from keras_dnnts.figures.style import PAGE_WIDTH, colours, data_label, new_axes, save_figure, styled
from keras_dnnts.metrics import PER_CENT
from keras_dnnts.results import Metric, Result
from keras_dnnts.results.conclusions import headline_metrics
from keras_dnnts.results.findings import shorten_label, state_ranking

MOST_LETTERS = 84  # of a line of the title


@styled
def save_comparison(results: Mapping[str, Result], path: Path) -> list[Path]:
    """Write one figure of several runs of one study, as ``path`` with the endings .png and .svg.

    It shows the study's curves, where it has some, above all shares that were measured.
    """
    study = next(iter(results.values())).study
    judged = [study.kind(name) for name in headline_metrics(*results.values())]
    replaced = {kind.judged_instead_of for kind in judged if kind}
    kinds = filter(None, dict.fromkeys([*judged, *(kind for kind in study.metrics if not kind.detail)]))
    shares = {
        kind.name: kind.title
        for kind in kinds
        if kind.is_share
        and kind.name not in replaced
        and any(kind.name in result.metrics for result in results.values())
    }
    trained = {label: result for label, result in results.items() if study.trains(result.config)}
    if study.plot_curves is None or not trained:
        return save_figure(plot_comparison(results, shares), path)
    _, (upper, lower) = plt.subplots(2, 1, figsize=(PAGE_WIDTH, 7.2), layout="constrained")
    study.plot_curves(trained, upper)
    plot_comparison(results, shares, lower)
    return save_figure(lower, path)


@styled
def plot_comparison(results: Mapping[str, Result], metrics: Mapping[str, str], ax: Axes | None = None) -> Axes:
    """Draw accuracies (by metric name and its label) of runs side by side.

    Error bars are one standard deviation over seeds, or a single seed's 95 % interval.

    >>> from keras_dnnts import load_result, plot_comparison
    >>> runs = {"GRU": load_result("runs/gru"), "again": load_result("runs/gru")}
    >>> plot_comparison(runs, {"held_out_accuracy_by_class": "held-out names"}).get_ylabel()
    'accuracy (%)'
    """
    ax = ax or new_axes(PAGE_WIDTH, 3.4)
    width = 0.8 / len(metrics)
    for i, ((name, label), colour) in enumerate(zip(metrics.items(), colours(len(metrics)), strict=True)):
        present = [(x, result.metrics[name]) for x, result in enumerate(results.values()) if name in result.metrics]
        positions = [x + (i - (len(metrics) - 1) / 2) * width for x, _ in present]
        means = [100 * metric.mean for _, metric in present]
        spreads = np.transpose([_spread(metric) for _, metric in present])
        bars = ax.bar(positions, means, width * 0.92, yerr=100 * spreads, capsize=3, color=colour, label=label)
        ax.bar_label(bars, fmt="%.1f", fontsize=7, padding=2)
    labels = [textwrap.fill(shorten_label(label), max(6, MOST_LETTERS // len(results) - 2)) for label in results]
    ax.set_xticks(range(len(results)), labels)
    ax.set_ylabel("accuracy (%)")
    ax.set_ylim(0, 108)  # room for the number over a full bar
    ax.set_yticks(range(0, 101, 20))
    ax.grid(axis="x", visible=False)
    ax.legend(frameon=False, fontsize=8, ncols=2, loc="upper center", bbox_to_anchor=(0.5, -0.12))
    ranked = [state_ranking(results, name) for name in headline_metrics(*results.values())] if results else []
    lines = [*ranked, _title(results), data_label(*results.values())]
    wrapped = [_wrap(line) for line in filter(None, lines)]
    ax.set_title("\n".join(wrapped), fontsize=9)
    return ax


def _wrap(line: str) -> str:
    """Break a line of the title, where it is too long, into lines of much the same length."""
    lines = textwrap.wrap(line, MOST_LETTERS)
    widths = range(-(-len(line) // max(len(lines), 1)), MOST_LETTERS)
    even = (wrapped for width in widths if len(wrapped := textwrap.wrap(line, width)) == len(lines))
    return "\n".join(next(even, lines))


def _spread(metric: Metric) -> tuple[float, float]:
    """How far the error bar reaches below and above the mean; NaN where nothing is known."""
    if metric.sd is not None:
        return metric.sd, metric.sd
    if metric.intervals_95 is None:
        return math.nan, math.nan
    low, high = metric.intervals_95[0]
    return max(metric.mean - low, 0), max(high - metric.mean, 0)  # saved ends may be off by rounding


def _title(results: Mapping[str, Result]) -> str:
    several = {result.config["seeds"] > 1 for result in results.values()}
    if several == {True}:
        return "Accuracy, mean ± standard deviation over seeds"
    if several == {False}:
        return f"Accuracy with 95{PER_CENT} intervals"
    return f"Accuracy ± standard deviation over seeds (95{PER_CENT} interval where there is one seed)"
