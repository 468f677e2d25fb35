"""Line charts for the page: curves to SVG paths and ticks in per cent of the plot, so that text stays text."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

MOST_POINTS = 300
WIDTH, HEIGHT = 1000, 400


@dataclass(frozen=True)
class Series:
    """One curve.

    Attributes:
        label: what the legend calls it.
        x: (N,) positions.
        values: (seeds, N), NaN where a seed has no value.
        colour: number of the colour.
        dashed: whether the line is.
    """

    label: str
    x: np.ndarray
    values: np.ndarray
    colour: int
    dashed: bool = False


@dataclass(frozen=True)
class Line:
    """A drawn curve: SVG paths of its mean and of its range over seeds, empty for one seed."""

    label: str
    path: str
    band: str
    colour: int
    dashed: bool


@dataclass(frozen=True)
class Chart:
    """A line chart; ticks are (per cent of the way, text)."""

    lines: list[Line]
    x_ticks: list[tuple[float, str]]
    y_ticks: list[tuple[float, str]]
    x_label: str
    y_label: str
    summary: str


def build_chart(
    series: Sequence[Series], x_label: str, y_label: str, format_y: Callable[[float], str], from_zero: bool = True
) -> Chart:
    """Lay out curves; the summary tells their first and last values to those who do not see them."""
    thinned = [_thin(one) for one in series]
    x_low, x_high = min(one.x[0] for one in thinned), max(one.x[-1] for one in thinned)
    lowest = min(float(np.nanmin(one.values)) for one in thinned)
    highest = max(float(np.nanmax(one.values)) for one in thinned)
    low = min(0.0, lowest) if from_zero else lowest
    y_values = ticks(low, highest, 5)
    y_low, y_high = min(low, y_values[0]), max(highest, y_values[-1])
    place = _Place(x_low, x_high or 1, y_low, y_high)
    x_values = [value for value in ticks(x_low, x_high, 6) if x_low <= value <= x_high and value == int(value)]
    return Chart(
        lines=[_draw(one, place) for one in thinned],
        x_ticks=[(100 * place.across(value), f"{value:,.0f}") for value in x_values or [x_low]],
        y_ticks=[(100 * place.up(value), format_y(value)) for value in y_values if y_low <= value <= y_high],
        x_label=x_label,
        y_label=y_label,
        summary=f"{y_label} by {x_label}. " + " ".join(_summarise(one, format_y) for one in series),
    )


def ticks(low: float, high: float, count: int) -> list[float]:
    """About ``count`` round numbers that reach from at most ``low`` to at least ``high``."""
    span = (high - low) or abs(high) or 1.0
    step = 10.0 ** math.floor(math.log10(span / count))
    step *= next(factor for factor in (1, 2, 2.5, 5, 10) if span / (step * factor) <= count)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(i * step, 12) for i in range(first, last + 1)]


@dataclass(frozen=True)
class _Place:
    x_low: float
    x_high: float
    y_low: float
    y_high: float

    def across(self, x: float) -> float:
        return (x - self.x_low) / ((self.x_high - self.x_low) or 1)

    def up(self, y: float) -> float:
        return (y - self.y_low) / (self.y_high - self.y_low)

    def point(self, x: float, y: float) -> str:
        return f"{WIDTH * self.across(x):.1f} {HEIGHT * (1 - self.up(y)):.1f}"


def _thin(series: Series) -> Series:
    """Means of neighbours where there are more points than pixels."""
    size = -(-len(series.x) // MOST_POINTS)
    if size == 1:
        return series
    whole = len(series.x) // size * size
    values = series.values[:, :whole].reshape(len(series.values), -1, size).mean(axis=2)
    x = series.x[:whole].reshape(-1, size)[:, -1]
    return Series(series.label, x, values, series.colour, series.dashed)


def _draw(series: Series, place: _Place) -> Line:
    known = ~np.isnan(series.values).all(axis=0)
    x, values = series.x[known].tolist(), series.values[:, known]
    means = np.nanmean(values, axis=0).tolist()
    path = "M" + "L".join(map(place.point, x, means))
    if len(x) == 1:
        path += "h0"  # a dot, by its round cap
    band = ""
    if len(values) > 1:
        low, high = np.nanmin(values, axis=0).tolist(), np.nanmax(values, axis=0).tolist()
        band = "M" + "L".join([*map(place.point, x, high), *map(place.point, x[::-1], low[::-1])]) + "Z"
    return Line(series.label, path, band, series.colour, series.dashed)


def _summarise(series: Series, format_y: Callable[[float], str]) -> str:
    means = np.nanmean(series.values, axis=0)
    first, last = format_y(float(means[0])), format_y(float(means[-1]))
    return f"{series.label}: from {first} at {series.x[0]:,.0f} to {last} at {series.x[-1]:,.0f}."
