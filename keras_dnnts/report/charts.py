"""Line charts for the page: curves to SVG paths and ticks in per cent of the plot, so that text stays text."""

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from keras_dnnts.results.axes import choose_axis, ticks

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
        marked: whether its points are marked, where they are few.
    """

    label: str
    x: np.ndarray
    values: np.ndarray
    colour: int
    dashed: bool = False
    marked: bool = False


@dataclass(frozen=True)
class Line:
    """A drawn curve: SVG paths of its mean, of its range over seeds, empty for one seed, and of its marks.

    ``points`` are (per cent of the way across, per cent of the way up, position and mean in words).
    """

    label: str
    path: str
    band: str
    colour: int
    dashed: bool
    marks: str = ""
    points: Sequence[tuple[float, float, str, str]] = ()


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
    series: Sequence[Series],
    x_label: str,
    y_label: str,
    format_y: Callable[[float], str],
    from_zero: bool = True,
    format_x: Callable[[float], str] = "{:,.0f}".format,
) -> Chart:
    """Lay out curves; the summary tells their first and last values to those who do not see them."""
    thinned = [_thin(one) for one in series]
    x_low, x_high = min(one.x[0] for one in thinned), max(one.x[-1] for one in thinned)
    axis = choose_axis([one.values for one in series], from_zero)
    place = _Place(x_low, x_high or 1, axis.low, axis.high)
    x_values = [value for value in ticks(x_low, x_high, 6) if x_low <= value <= x_high and value == int(value)]
    return Chart(
        lines=[_draw(one, place, format_x, format_y) for one in thinned],
        x_ticks=[(100 * place.across(value), format_x(value)) for value in x_values or [x_low]],
        y_ticks=[(100 * place.up(value), format_y(value)) for value in axis.ticks],
        x_label=x_label,
        y_label=y_label,
        summary=f"{y_label} by {x_label}. " + " ".join(_summarise(one, format_x, format_y) for one in series),
    )


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
    return dataclasses.replace(series, x=x, values=values)


def _draw(series: Series, place: _Place, format_x: Callable[[float], str], format_y: Callable[[float], str]) -> Line:
    x, values = _finite(series)
    if not len(x):
        return Line(series.label, "", "", series.colour, series.dashed)
    points, means = x.tolist(), np.nanmean(values, axis=0).tolist()
    path = "M" + "L".join(map(place.point, points, means))
    if len(points) == 1:
        path += "h0"  # a dot, by its round cap
    band = ""
    if len(values) > 1:
        low, high = np.nanmin(values, axis=0).tolist(), np.nanmax(values, axis=0).tolist()
        band = "M" + "L".join([*map(place.point, points, high), *map(place.point, points[::-1], low[::-1])]) + "Z"
    marks = f"{path.replace('L', 'h0M')}h0" if series.marked else ""
    said = [
        (round(100 * place.across(at), 2), round(100 * place.up(mean), 2), format_x(at), format_y(mean))
        for at, mean in zip(points, means, strict=True)
    ]
    return Line(series.label, path, band, series.colour, series.dashed, marks, said)


def _finite(series: Series) -> tuple[np.ndarray, np.ndarray]:
    """Positions where some seed has a finite value, and the values there, NaN for those that are not finite."""
    values = np.where(np.isfinite(series.values), series.values, np.nan)
    known = ~np.isnan(values).all(axis=0)
    return series.x[known], values[:, known]


def _summarise(series: Series, format_x: Callable[[float], str], format_y: Callable[[float], str]) -> str:
    x, values = _finite(series)
    if not len(x):
        return f"{series.label}: no finite value."
    means = np.nanmean(values, axis=0)
    first, last = format_y(float(means[0])), format_y(float(means[-1]))
    return f"{series.label}: from {first} at {format_x(x[0])} to {last} at {format_x(x[-1])}."
