"""A figure for each option of a sweep: accuracy against its value."""

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from keras_dnnts.figures.style import MARKERS, PAGE_WIDTH, colours, new_axes, save_figure, styled, wrap_title
from keras_dnnts.metrics import PER_CENT
from keras_dnnts.results import Metric
from keras_dnnts.results.sweeps import Effect, EffectLine, SweepResult, find_effects, show_value

LOG_FROM = 20  # the largest value over the smallest, from which the axis is logarithmic


def save_sweep_figures(sweep: SweepResult, folder: Path) -> list[Path]:
    """Write a figure for each swept option as PNG and SVG into ``folder`` and return their paths."""
    effects = find_effects(sweep)
    if effects:
        folder.mkdir(parents=True, exist_ok=True)
    return [path for effect in effects for path in _save(sweep, effect, folder)]


@styled
def _save(sweep: SweepResult, effect: Effect, folder: Path) -> list[Path]:
    return save_figure(plot_effect(sweep, effect), folder / effect.option)


@styled
def plot_effect(sweep: SweepResult, effect: Effect, ax: Axes | None = None) -> Axes:
    """Draw a sweep's metric against the values of one option.

    Error bars are one standard deviation over seeds, or a single seed's 95 % interval where there is one.
    """
    ax = ax or new_axes(PAGE_WIDTH, 3.6)
    scale = 100 if sweep.kind.is_share else 1
    for i, (line, colour) in enumerate(zip(effect.lines, colours(len(effect.lines)), strict=True)):
        means = scale * np.array([metric.mean for metric in line.metrics])
        spreads = scale * np.transpose([_spread(metric) for metric in line.metrics])
        style = "-" if line.is_joined else ""
        ax.errorbar(
            _positions(effect, line),
            means,
            yerr=spreads,
            linestyle=style,
            marker=MARKERS[i % len(MARKERS)],
            color=colour,
            capsize=3,
            label=line.label or None,
        )
    _set_values_axis(ax, effect)
    ax.set_ylabel("accuracy (%)" if sweep.kind.is_share else sweep.kind.title)
    if any(line.label for line in effect.lines):
        ax.legend(frameon=False, fontsize=8, ncols=2, loc="upper center", bbox_to_anchor=(0.5, -0.16))
    ax.set_title(wrap_title(_title(sweep, effect)), fontsize=9)
    return ax


def _positions(effect: Effect, line: EffectLine) -> list[float]:
    if effect.is_numeric:
        return [float(value) for value in line.values]
    return [float(effect.values.index(value)) for value in line.values]


def _set_values_axis(ax: Axes, effect: Effect) -> None:
    ax.set_xlabel(effect.option)
    places = [float(value) for value in effect.values] if effect.is_numeric else list(range(len(effect.values)))
    if effect.is_numeric and min(places) > 0 and max(places) / min(places) >= LOG_FROM:
        ax.set_xscale("log")
        ax.xaxis.set_minor_locator(NullLocator())
    if not effect.is_numeric or len(places) <= 8:
        names = {place: show_value(value) for place, value in zip(places, effect.values, strict=True)}
        ax.xaxis.set_major_locator(FixedLocator(places))
        ax.xaxis.set_major_formatter(FuncFormatter(lambda place, _: names.get(place, "")))


def _spread(metric: Metric) -> tuple[float, float]:
    if metric.sd is not None:
        return metric.sd, metric.sd
    if metric.intervals_95 is None:
        return 0.0, 0.0
    low, high = metric.intervals_95[0]
    return max(metric.mean - low, 0), max(high - metric.mean, 0)


def _title(sweep: SweepResult, effect: Effect) -> str:
    several = sweep.seeds > 1
    bars = f"mean ± standard deviation over {sweep.seeds} seeds" if several else f"with 95{PER_CENT} intervals"
    about = f"{sweep.words[0].upper()}{sweep.words[1:]}, by {effect.option}, {bars}"
    stand_in = " (stand-in for the real data)" if sweep.stand_in else ""
    model = f"{sweep.model}, " if sweep.model else ""
    return f"{about}\n{model}data: {sweep.data}{stand_in}"
