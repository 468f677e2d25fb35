"""Draws results; computes nothing but what a drawing needs."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from keras_dnnts.results import Metric, Result

# Okabe & Ito's colours: distinguishable with every common colour blindness.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
STYLE = {
    "figure.dpi": 150,
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.25,
    "axes.axisbelow": True,
}
PAGE_WIDTH = 6.7  # inches: a page of A4 or Letter between its margins
SIDES = {"train": "training names", "held_out": "held-out names"}


def save_names_figures(result: Result, folder: Path) -> list[Path]:
    """Write the figures of a names run as PNG into ``folder`` and return their paths."""
    folder.mkdir(exist_ok=True)
    paths = [_save(plot_training_loss({_cell(result): result}), folder / "training_loss.png")]
    for side in SIDES:
        if f"confusion_{side}" in result.arrays:
            paths.append(_save(plot_confusion(result, side), folder / f"confusion_{side}.png"))
    return paths


def plot_training_loss(results: Mapping[str, Result], ax: Axes | None = None) -> Axes:
    """Draw the mean loss per chunk of updates of runs by label, each with its range over seeds."""
    ax = _axes(ax, PAGE_WIDTH, 3.4)
    for (label, result), colour in zip(results.items(), _cycle(len(results)), strict=True):
        steps, losses = result.arrays["loss_step"], result.arrays["loss"]
        ax.plot(steps, losses.mean(axis=0), color=colour, label=label, linewidth=1.4)
        if len(losses) > 1:
            ax.fill_between(steps, losses.min(axis=0), losses.max(axis=0), color=colour, alpha=0.2, linewidth=0)
    most_seeds = max(len(result.arrays["loss"]) for result in results.values())
    ax.set_xlabel("updates")
    ax.set_ylabel("mean loss of 1,000 updates (nats)")
    ax.xaxis.set_major_formatter(matplotlib.ticker.StrMethodFormatter("{x:,.0f}"))
    spread = f", mean and range of {most_seeds} seeds" if most_seeds > 1 else ""
    ax.set_title(f"Training loss{spread} · {data_label(next(iter(results.values())))}")
    if len(results) > 1:
        ax.legend(frameon=False)
    return ax


def plot_confusion(result: Result, side: str, ax: Axes | None = None) -> Axes:
    """Draw the row-normalised confusion matrix of ``side`` ("train" or "held_out"), seeds added up."""
    counts = result.arrays[f"confusion_{side}"].sum(axis=0)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    classes = result.dataset["classes"]
    # Room for every name at a readable size, up to where a page ends.
    side_inches = float(np.clip(1.8 + 0.26 * len(classes), 4.0, PAGE_WIDTH))
    ax = _axes(ax, side_inches + 0.5, side_inches)
    image = ax.imshow(shares, vmin=0, vmax=1, cmap="Blues")
    ax.grid(False)
    size = 8 if len(classes) <= 20 else 5
    ax.set_xticks(range(len(classes)), [_short(name) for name in classes], rotation=90, fontsize=size)
    ax.set_yticks(range(len(classes)), [_short(name) for name in classes], fontsize=size)
    if len(classes) <= 20:
        _write_cells(ax, shares)
    ax.set_xlabel("guess")
    ax.set_ylabel("truth")
    accuracy = result.metrics[f"{side}_accuracy_by_class"]
    ax.set_title(
        f"{_cell(result)} on {SIDES[side]}: {_percent(accuracy)} of each language right\n{data_label(result)}",
        fontsize=9,
    )
    ax.figure.colorbar(image, ax=ax, shrink=0.8, label="share of the row")
    return ax


def plot_comparison(results: Mapping[str, Result], metrics: Mapping[str, str], ax: Axes | None = None) -> Axes:
    """Draw accuracies (by metric name and its label) of runs side by side, error bars one sd over seeds."""
    ax = _axes(ax, PAGE_WIDTH, 3.4)
    width = 0.8 / len(metrics)
    for i, ((name, label), colour) in enumerate(zip(metrics.items(), _cycle(len(metrics)), strict=True)):
        present = [(x, result.metrics[name]) for x, result in enumerate(results.values()) if name in result.metrics]
        positions = [x + (i - (len(metrics) - 1) / 2) * width for x, _ in present]
        means = [100 * metric.mean for _, metric in present]
        spreads = [100 * (metric.sd or 0) for _, metric in present]
        bars = ax.bar(positions, means, width * 0.92, yerr=spreads, capsize=3, color=colour, label=label)
        ax.bar_label(bars, fmt="%.1f", fontsize=7, padding=2)
    ax.set_xticks(range(len(results)), list(results))
    ax.set_ylabel("accuracy (%)")
    ax.set_ylim(0, 100)
    ax.grid(axis="x", visible=False)
    ax.legend(frameon=False, fontsize=8, ncols=2, loc="upper center", bbox_to_anchor=(0.5, -0.12))
    ax.set_title(f"Accuracy, mean ± standard deviation over seeds · {data_label(next(iter(results.values())))}")
    return ax


def save_comparison(results: Mapping[str, Result], metrics: Mapping[str, str], path: Path) -> Path:
    """Write one figure of loss curves and accuracies of several runs."""
    with plt.rc_context(STYLE):
        _, (upper, lower) = plt.subplots(2, 1, figsize=(PAGE_WIDTH, 7.2), layout="constrained")
        plot_training_loss(results, upper)
        plot_comparison(results, metrics, lower)
    return _save(lower, path)


def data_label(result: Result) -> str:
    """Say in a title what the run was trained on, plainly where that is not the real data."""
    name = result.dataset["name"]
    stand_in = " (stand-in for the real data)" if result.dataset["stand_in"] else ""
    protocol = ", reference protocol" if result.config["protocol"] == "reference" else ""
    return f"{name}{stand_in}{protocol}"


def _cell(result: Result) -> str:
    return str(result.config["cell"]).upper()


def _percent(metric: Metric) -> str:
    spread = f" ± {100 * metric.sd:.1f}" if metric.sd is not None else ""
    return f"{100 * metric.mean:.1f}{spread} %"


def _short(name: str) -> str:
    return name if len(name) <= 16 else name[:15] + "…"


def _write_cells(ax: Axes, shares: np.ndarray) -> None:
    for (row, column), share in np.ndenumerate(shares):
        if share >= 0.005:
            colour = "white" if share > 0.55 else "black"
            ax.text(column, row, f"{100 * share:.0f}", ha="center", va="center", fontsize=6, color=colour)


def _cycle(count: int) -> list[str]:
    return [COLOURS[i % len(COLOURS)] for i in range(count)]


def _axes(ax: Axes | None, width: float, height: float) -> Axes:
    if ax is not None:
        return ax
    with plt.rc_context(STYLE):
        _, ax = plt.subplots(figsize=(width, height), layout="constrained")
    return ax


def _save(ax: Axes, path: Path) -> Path:
    figure: Any = ax.figure
    assert isinstance(figure, Figure)
    figure.savefig(path, dpi=STYLE["figure.dpi"])
    plt.close(figure)
    return path
