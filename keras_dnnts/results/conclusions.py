"""What one may conclude from several runs: differences of accuracies with intervals over seeds."""

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy import stats

from keras_dnnts.results import Metric, Result


@dataclass(frozen=True)
class Difference:
    """How far the metric of one run lies above another's.

    Attributes:
        first, second: labels of the runs.
        value: mean of the first minus mean of the second.
        interval_95: over seeds; None where a run has one seed only.
    """

    first: str
    second: str
    value: float
    interval_95: tuple[float, float] | None

    @property
    def is_shown(self) -> bool:
        """Whether the interval leaves 0 out."""
        return self.interval_95 is not None and not self.interval_95[0] <= 0 <= self.interval_95[1]


def headline_metrics(*results: Result) -> dict[str, str]:
    """Wording by name of the accuracies that all these runs of one study have, the most telling first."""
    kinds = [kind for kind in results[0].study.metrics if kind.headline]
    return {kind.name: kind.headline or "" for kind in kinds if all(kind.name in result.metrics for result in results)}


def interval_over_seeds(metric: Metric) -> tuple[float, float] | None:
    """Student's 95 % interval of the mean over seeds; None for a single seed."""
    count = len(metric.values)
    if metric.sd is None:
        return None
    reach = float(stats.t.ppf(0.975, count - 1)) * metric.sd / math.sqrt(count)
    return metric.mean - reach, metric.mean + reach


def find_pairwise_differences(results: Mapping[str, Result], name: str) -> list[Difference]:
    """Return the differences of a metric between all pairs of runs, the higher run first.

    Intervals are Welch's (1947): the runs' variances over seeds need not be equal. They are of each pair by itself,
    not widened for the number of pairs.
    """
    ranked = sorted(results.items(), key=lambda item: -item[1].metrics[name].mean)
    return [
        Difference(first, second, *_welch(one.metrics[name], other.metrics[name]))
        for (first, one), (second, other) in itertools.combinations(ranked, 2)
    ]


def _welch(first: Metric, second: Metric) -> tuple[float, tuple[float, float] | None]:
    value = first.mean - second.mean
    if first.sd is None or second.sd is None:
        return value, None
    if first.sd == second.sd == 0:
        return value, (value, value)
    interval = stats.ttest_ind(np.array(first.values), np.array(second.values), equal_var=False).confidence_interval(
        0.95
    )
    return value, (float(interval.low), float(interval.high))
