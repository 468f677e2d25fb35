"""What several runs allow one to conclude: differences of accuracies with intervals over seeds."""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from keras_dnnts.results import Metric, Result

ALPHA = 0.05
ROUNDING = 1e-12


@dataclass(frozen=True)
class Difference:
    """How far the metric of one run lies above another's.

    Attributes:
        first, second: labels of the runs; the first is not below the second.
        value: mean of the first minus mean of the second, over the paired seeds where there are any.
        interval_95: over seeds, widened where several pairs are compared; None where seeds do not tell how far the
            difference would vary.
        p_value: of the hypothesis that there is no difference, adjusted by Holm's method; None as the interval.
        seeds: number of seeds of the run that has fewer.
        paired_seeds: number of seeds that both runs have with the same split; 0 where they are not paired.
        overlap: examples judged on over examples trained on, by which the variance was raised; 0 where it was not.
        spread: a standard error, or None.
        freedom: its degrees of freedom.
    """

    first: str
    second: str
    value: float
    interval_95: tuple[float, float] | None = None
    p_value: float | None = None
    seeds: int = 1
    paired_seeds: int = 0
    overlap: float = 0.0
    spread: float | None = None
    freedom: float = 0.0

    @property
    def is_shown(self) -> bool:
        """Whether the interval leaves 0 out."""
        return self.interval_95 is not None and not self.interval_95[0] <= 0 <= self.interval_95[1]


def headline_metrics(*results: Result) -> dict[str, str]:
    """Wording by name of the accuracies that all these runs of one study have, the most telling first."""
    kinds = [kind for kind in results[0].study.metrics if all(kind.name in result.metrics for result in results)]
    instead = {kind.judged_instead_of: kind for kind in kinds if kind.judged_instead_of}
    judged = [instead.get(kind.name, kind) for kind in kinds if not kind.judged_instead_of]
    return {kind.name: kind.headline for kind in judged if kind.headline}


def interval_over_seeds(metric: Metric) -> tuple[float, float] | None:
    """Student's 95 % interval of the mean over seeds; None for a single seed."""
    count = len(metric.values)
    if metric.sd is None:
        return None
    reach = _t_quantile(count - 1, 1 - ALPHA / 2) * metric.sd / math.sqrt(count)
    return metric.mean - reach, metric.mean + reach


def are_comparable(*results: Result) -> bool:
    """Whether runs had the same data and used them in the same way, so that their accuracies mean the same."""
    return len({(run.dataset["content_hash"], run.study.use(run.config)) for run in results}) == 1


def find_pairwise_differences(results: Mapping[str, Result], name: str, part: str | None = None) -> list[Difference]:
    """Return the differences of a metric between all pairs of runs, the higher run first.

    ``part`` is what counts call the part of the data that the metric is measured on; None is the most telling part.

    Where two runs share at least two seeds with the same split, differences are paired by seed. Seeds draw their
    training parts from the same data, which overlap, so that seeds vary less than new data would: the variance is
    corrected by Nadeau & Bengio's (2003) 1/n + examples judged on / examples trained on. Unpaired runs have Welch's
    (1947) interval, with the same correction.

    With more than one pair, p-values are Holm's (1979), and intervals are of the level at which his method judges their
    pair, so that an interval leaves out 0 where, and only where, the difference is shown.
    """
    ranked = sorted(results.items(), key=lambda item: -item[1].metrics[name].mean)
    return _adjust([_subtract(one, other, name, part) for one, other in itertools.combinations(ranked, 2)])


def _subtract(first: tuple[str, Result], second: tuple[str, Result], name: str, part: str | None) -> Difference:
    (label, one), (other_label, other) = first, second
    overlap = max(_overlap(one, part), _overlap(other, part))
    seeds = _common_seeds(one, other)
    values, other_values = one.metrics[name].values, other.metrics[name].values
    if len(seeds) < 2:
        return _subtract_unpaired(label, other_label, values, other_values, overlap)
    starts = one.config["seed"], other.config["seed"]
    paired = np.array([values[seed - starts[0]] - other_values[seed - starts[1]] for seed in seeds])
    value = float(paired.mean())
    if value < 0:  # over the common seeds only, the other run may be ahead
        label, other_label, paired, value = other_label, label, -paired, -value
    difference = Difference(label, other_label, value, seeds=len(seeds), paired_seeds=len(seeds), overlap=overlap)
    spread = float(paired.std(ddof=1)) * math.sqrt(1 / len(seeds) + overlap)
    return _with_spread(difference, spread, len(seeds) - 1)


def _subtract_unpaired(
    label: str, other_label: str, values: Sequence[float], other_values: Sequence[float], overlap: float
) -> Difference:
    value = float(np.mean(values) - np.mean(other_values))
    counts = len(values), len(other_values)
    difference = Difference(label, other_label, value, seeds=min(counts))
    if min(counts) < 2:
        return difference
    parts = [float(np.var(one, ddof=1)) * (1 / len(one) + overlap) for one in (values, other_values)]
    squares = sum(part**2 / (n - 1) for part, n in zip(parts, counts, strict=True))
    freedom = sum(parts) ** 2 / squares if squares else 1.0
    return _with_spread(replace(difference, overlap=overlap), math.sqrt(sum(parts)), freedom)


def _with_spread(difference: Difference, spread: float, freedom: float) -> Difference:
    """Differences that are all the same do not tell how far they would vary, unless there is none."""
    unknown = spread < ROUNDING < abs(difference.value)
    return difference if unknown else replace(difference, spread=spread, freedom=freedom)


def _common_seeds(one: Result, other: Result) -> list[int]:
    """The seeds that two runs share with the same split of the same data."""
    if not are_comparable(one, other):
        return []
    own, others = (range(run.config["seed"], run.config["seed"] + run.config["seeds"]) for run in (one, other))
    return [seed for seed in own if seed in others and _part_sizes(one, seed) == _part_sizes(other, seed)]


def _part_sizes(result: Result, seed: int) -> dict[str, int]:
    """The number of examples in every part of the data as a seed splits them, by name."""
    place = seed - result.config["seed"]
    sizes = {name: count[place] if isinstance(count, list) else count for name, count in _counts(result).items()}
    return {name: size for name, size in sizes.items() if isinstance(size, int)}


def _counts(result: Result) -> dict[str, Any]:
    """The counts of examples, of lists only those with an entry a seed."""
    seeds = result.config["seeds"]
    counts = result.dataset["counts"].items()
    return {name: count for name, count in counts if not isinstance(count, list) or len(count) == seeds}


def _overlap(result: Result, part: str | None) -> float:
    """Examples judged on over examples trained on; 0 where no part is kept from training."""
    sizes = _part_sizes(result, result.config["seed"])
    parts = result.parts if part is None else [part]
    judged = [sizes[one] for one in parts if one != "train" and one in sizes]
    return judged[0] / sizes["train"] if judged and sizes.get("train") else 0.0


def _adjust(differences: list[Difference]) -> list[Difference]:
    """Add intervals and p-values, by Holm's method over all differences whose spread is known."""
    known = [i for i, one in enumerate(differences) if one.spread is not None]
    raw = {i: _p_value(differences[i]) for i in known}
    adjusted = list(differences)
    level, highest, failed = ALPHA, 0.0, False
    for rank, i in enumerate(sorted(known, key=raw.__getitem__)):
        rest = len(known) - rank
        level = level if failed else ALPHA / rest
        failed = failed or raw[i] > level
        highest = max(highest, min(1.0, raw[i] * rest))
        one = differences[i]
        reach = _t_quantile(one.freedom, 1 - level / 2) * (one.spread or 0.0)
        adjusted[i] = replace(one, interval_95=(one.value - reach, one.value + reach), p_value=highest)
    return adjusted


def _t_quantile(freedom: float, share: float) -> float:
    """Below it is this share of Student's t distribution."""
    # Not stats, which takes a second to import; special takes a fifth, and runs of one seed need neither.
    from scipy import special

    return float(special.stdtrit(freedom, share))


def _p_value(difference: Difference) -> float:
    if not difference.spread:
        return 1.0
    from scipy import special

    return float(2 * special.stdtr(difference.freedom, -abs(difference.value) / difference.spread))
