"""Figures of the names study. Nothing is computed here but what a drawing needs."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter, StrMethodFormatter

from keras_dnnts.figures.confusion import confusion_figures, plot_part_confusion
from keras_dnnts.figures.style import PAGE_WIDTH, colours, data_label, new_axes, set_value_axis, styled, wrap_title
from keras_dnnts.metrics import PER_CENT
from keras_dnnts.results import Result
from keras_dnnts.studies.names.findings import SAMPLED_Y_LABEL, X_LABEL, Y_LABEL, title_loss, title_sampled
from keras_dnnts.studies.names.reading_figure import plot_reading
from keras_dnnts.studies.names.reliability import find_reliability
from keras_dnnts.studies.names.reliability_figure import plot_reliability
from keras_dnnts.studies.names.sampled import STEP, find_sampled

AXES_WIDTH = 84  # letters of a title's size that fit over a figure as wide as a page


def names_figures(result: Result) -> dict[str, Callable[[], Axes]]:
    """What draws each figure of a names run, by name."""
    figures: dict[str, Callable[[], Axes]] = {}
    if "loss" in result.arrays:
        figures["training_loss"] = lambda: plot_training_loss({result.model_name: result})
    if find_sampled(result):
        figures["accuracy_during_training"] = partial(plot_sampled, result)
    figures |= confusion_figures(result)
    if find_reliability(result):
        figures["reliability"] = partial(plot_reliability, result)
    read = [part for part in result.study.parts if len(result.arrays.get(f"reading_{part}_name", ()))]
    if read:
        figures["reading"] = partial(plot_reading, result, read[0])
    return figures


def plot_names_confusion(result: Result, side: str) -> Axes:
    """Draw the confusion matrix of one side, ``"train"`` or ``"held_out"``, all seeds together.

    >>> from keras_dnnts import load_result, plot_names_confusion
    >>> plot_names_confusion(load_result("runs/gru"), "held_out").get_xlabel()
    'guess'
    """
    return plot_part_confusion(result, side)


@styled
def plot_training_loss(results: Mapping[str, Result], ax: Axes | None = None) -> Axes:
    """Draw the mean loss per chunk of updates, or epoch, of runs by label, each with its range over seeds.

    >>> from keras_dnnts import load_result, plot_training_loss
    >>> plot_training_loss({"GRU": load_result("runs/gru")}).get_xlabel()
    'training names seen'
    """
    ax = ax or new_axes(PAGE_WIDTH, 3.4)
    for (label, result), colour in zip(results.items(), colours(len(results)), strict=True):
        _plot_mean_and_range(ax, result.arrays["loss_step"], result.arrays["loss"], color=colour, label=label)
    seeds = {len(result.arrays["loss"]) for result in results.values()}
    ax.set_xlabel(X_LABEL)
    ax.set_ylabel(Y_LABEL)
    set_value_axis(ax, [result.arrays["loss"] for result in results.values()])
    ax.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    count = f"{max(seeds)} " if len(seeds) == 1 else ""
    spread = f"mean and range of {count}seeds" if max(seeds) > 1 else ""
    ax.set_title(_join_title(title_loss(results), spread, data_label(*results.values())), fontsize=9)
    if len(results) > 1:
        ax.legend(frameon=False)
    return ax


@styled
def plot_sampled(result: Result, ax: Axes | None = None) -> Axes:
    """Draw how well samples of names were classified during training, mean and range over seeds."""
    ax = ax or new_axes(PAGE_WIDTH, 3.4)
    steps, sampled = result.arrays[STEP], find_sampled(result)
    for (part, values), colour in zip(sampled.items(), colours(len(sampled)), strict=True):
        line = "--" if part == "train" else "-"
        known = np.isfinite(values).any(axis=0)  # nothing is, of what an earlier version trained
        _plot_mean_and_range(ax, steps[known], values[:, known], line, color=colour, label=result.parts[part])
    ax.set_xlabel(X_LABEL)
    ax.set_ylabel(SAMPLED_Y_LABEL)
    set_value_axis(ax, [*sampled.values()])
    ax.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=0, symbol=PER_CENT))
    seeds = result.config["seeds"]
    spread = f"mean and range of {seeds} seeds" if seeds > 1 else ""
    ax.set_title(_join_title(title_sampled({result.model_name: result}), spread, data_label(result)), fontsize=9)
    ax.legend(frameon=False)
    return ax


def _plot_mean_and_range(ax: Axes, steps: np.ndarray, values: np.ndarray, line: str = "-", **look: Any) -> None:
    """Draw values (seeds, steps), of which some seeds may lack some."""
    marker = "." if len(steps) < 20 else None
    ax.plot(steps, np.nanmean(values, axis=0), line, linewidth=1.4, marker=marker, **look)
    if len(values) > 1:
        low, high = np.nanmin(values, axis=0), np.nanmax(values, axis=0)
        ax.fill_between(steps, low, high, color=look["color"], alpha=0.2, linewidth=0)


def _join_title(finding: str, spread: str, data: str) -> str:
    """In one line where that is not wider than the axes, or else what the data are in a second one."""
    shown = ", ".join(filter(None, [finding, spread]))
    line = f"{shown} · {data}"
    return line if len(line) <= AXES_WIDTH else wrap_title(f"{shown}\n{data}", AXES_WIDTH)
