"""The range of a chart's value axis and its ticks, on the page and in the figures alike."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

MOST_TICKS = 5


@dataclass(frozen=True)
class Axis:
    """A value axis.

    Attributes:
        low, high: its ends; high is above low.
        ticks: round numbers from one to the other.
    """

    low: float
    high: float
    ticks: list[float]


def choose_axis(values: Sequence[np.ndarray], from_zero: bool = True) -> Axis:
    """The axis that holds all finite values of some arrays, and 0 where ``from_zero`` says so."""
    finite = np.concatenate([np.ravel(one)[np.isfinite(np.ravel(one))] for one in values]) if values else np.zeros(0)
    lowest, highest = (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 1.0)
    low = min(0.0, lowest) if from_zero else lowest
    if highest - low <= 1e-9 * max(abs(low), abs(highest)):  # all values are the same
        highest = low + (abs(low) or 1.0)
    found = ticks(low, highest, MOST_TICKS)
    return Axis(min(low, found[0]), max(highest, found[-1]), found)


def ticks(low: float, high: float, count: int) -> list[float]:
    """About ``count`` round numbers that reach from at most ``low`` to at least ``high``."""
    span = (high - low) or abs(high) or 1.0
    step = 10.0 ** math.floor(math.log10(span / count))
    step *= next(factor for factor in (1, 2, 2.5, 5, 10) if span / (step * factor) <= count)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(i * step, 12) for i in range(first, last + 1)]
