"""What a sweep found: its conditions side by side, the one that was chosen, and what may be concluded."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from keras_dnnts.metrics import MetricKind
from keras_dnnts.registry import find_study
from keras_dnnts.results import Metric, Result
from keras_dnnts.results.comparison import format_metric
from keras_dnnts.results.conclusions import (
    are_comparable,
    find_pairwise_differences,
    headline_metrics,
    interval_over_seeds,
)
from keras_dnnts.results.findings import describe_interval, describe_method
from keras_dnnts.study import Study
from keras_dnnts.whole_files import write_whole_text

SWEEP_FORMAT_VERSION = 1
FINISHED, FAILED = "finished", "failed"
MOST_COMPARED = 40  # conditions: of more, pairs are too many to be told apart
MOST_LINES = 6  # of a figure
MOST_NAMED = 3  # conditions in a sentence


@dataclass(frozen=True)
class ConditionResult:
    """A condition and what its run found.

    Attributes:
        label: its values, as tables name it.
        values: the swept options' values by name.
        folder: of its run, relative to the sweep's.
        state: ``finished`` or ``failed``.
        problem: why it failed; empty otherwise.
        metrics: what may be shown before a choice; empty where it failed.
        final_folder: of its run that was judged on the final part of the data; empty where there is none.
        final: what that found; empty where there is none, or it is kept back.
    """

    label: str
    values: dict[str, Any]
    folder: str
    state: str
    problem: str = ""
    metrics: dict[str, Metric] = field(default_factory=dict)
    final_folder: str = ""
    final: dict[str, Metric] = field(default_factory=dict)


@dataclass(frozen=True)
class SweepResult:
    """What a sweep found.

    Attributes:
        experiment: the study's name.
        model: as titles write it; empty where models differ.
        data: the name of the data.
        stand_in: whether they stand in for other data that were out of reach.
        options: those that were swept.
        seeds: of every condition.
        metric: the one by which conditions are ranked.
        words: what it is in a sentence.
        conditions: in the order of the sweep.
        chosen: label of the best condition, or None where none finished.
        shows_all_final: whether the final part's numbers are shown of every condition, and not of the chosen one alone.
        conclusions: in sentences, the choice first.
        method: how intervals were computed; empty where there are none.
    """

    experiment: str
    model: str
    data: str
    stand_in: bool
    options: tuple[str, ...]
    seeds: int
    metric: str
    words: str
    conditions: tuple[ConditionResult, ...]
    chosen: str | None
    shows_all_final: bool
    conclusions: tuple[str, ...]
    method: str

    @property
    def study(self) -> Study:
        """The study it is of."""
        return find_study(self.experiment)

    @property
    def kind(self) -> MetricKind:
        """The metric by which conditions are ranked."""
        return _kind(self.study, self.metric)

    @property
    def finished(self) -> list[ConditionResult]:
        """The conditions whose runs finished."""
        return [one for one in self.conditions if one.state == FINISHED]

    @property
    def problems(self) -> dict[str, str]:
        """What went wrong, by condition."""
        return {one.label: one.problem for one in self.conditions if one.problem}

    @property
    def best(self) -> ConditionResult | None:
        """The condition that was chosen."""
        return next((one for one in self.conditions if one.label == self.chosen), None)

    @property
    def final_kinds(self) -> list[MetricKind]:
        """The metrics of the final part that are shown of some condition."""
        return [
            kind
            for kind in self.study.metrics
            if kind.headline and any(kind.name in condition.final for condition in self.conditions)
        ]

    def save(self, path: Path) -> None:
        """Write it as JSON."""
        plain = {"format_version": SWEEP_FORMAT_VERSION, "kind": "sweep", **asdict(self)}
        plain["conditions"] = [_condition_to_dict(one) for one in self.conditions]
        write_whole_text(path, json.dumps(plain, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def _condition_to_dict(condition: ConditionResult) -> dict[str, Any]:
    metrics = {
        name: {key: metric.to_dict() for key, metric in getattr(condition, name).items()}
        for name in ("metrics", "final")
    }
    return {**asdict(condition), **metrics}


def label_of(values: Mapping[str, Any]) -> str:
    """The values of swept options, as tables name a condition.

    >>> label_of({"learning_rate": 0.02, "model": "gru"})
    'learning_rate=0.02, model=gru'
    """
    return ", ".join(f"{name}={show_value(value)}" for name, value in values.items())


def show_value(value: Any) -> str:
    """A swept option's value in a table."""
    if isinstance(value, list | tuple):
        return "+".join(map(str, value)) or "none"
    return str(value).lower() if isinstance(value, bool) else str(value)


def choose(results: Mapping[str, Result], metric: str) -> str | None:
    """The label of the best of some runs by a metric, of equal ones the first; None where there is none."""
    if not results:
        return None
    kind = _kind(next(iter(results.values())).study, metric)
    sign = -1 if kind.higher_is_better is False else 1
    return max(results, key=lambda label: sign * results[label].metrics[metric].mean)


def shown_metrics(result: Result, kept_back: Iterable[str]) -> dict[str, Metric]:
    """A run's metrics without those that are kept back."""
    return {name: metric for name, metric in result.metrics.items() if name not in set(kept_back)}


def final_metrics(result: Result) -> dict[str, Metric]:
    """The metrics by which a run is judged on the final part of the data, the most telling one."""
    part = next(iter(result.parts), None)
    kinds = [_kind(result.study, name) for name in headline_metrics(result)]
    return {kind.name: result.metrics[kind.name] for kind in kinds if kind.part in (None, part)}


def state_final(result: Result) -> str:
    """Say what a chosen condition scores on the part of the data that was kept back from the choice."""
    said = []
    for name, metric in final_metrics(result).items():
        kind = _kind(result.study, name)
        said.append(f"{kind.format(metric.mean, metric.sd)} {kind.headline}{kind.weighting}")
    return f"On data that had no part in the choice: {'; '.join(said)}"


def conclude(results: Mapping[str, Result], metric: str, words: str, part: str) -> tuple[list[str], str]:
    """What may be concluded of finished conditions by label: sentences, and how intervals were computed.

    All pairs are compared, since the best of many is chosen by looking at all.
    """
    best = choose(results, metric)
    if best is None:
        return ["No condition finished, so none is chosen."], ""
    kind, found = _kind(results[best].study, metric), results[best].metrics[metric]
    lines = [f"Chosen: {best}, {kind.format(found.mean, found.sd)} {words}"]
    if len(results) < 2:
        return lines, ""
    if len(results[best].metrics[metric].values) < 2:
        return [*lines, "One seed allows no conclusion about differences: repeat with several seeds"], ""
    if len(results) > MOST_COMPARED:
        return [
            *lines,
            f"More than {MOST_COMPARED} conditions: repeat the best few with more seeds to compare them",
        ], ""
    if not are_comparable(*results.values()):
        return [*lines, "Conditions used different data, so that no difference is claimed"], ""
    differences = find_pairwise_differences(results, metric, part)
    of_best = [one for one in differences if best in (one.first, one.second)]
    ahead = [one for one in of_best if one.first == best and one.is_shown]
    lines.append(_say_ahead(len(ahead), len(of_best)))
    if ahead and (interval := describe_interval(ahead[0])):
        lines[-1] += f" (of {ahead[0].second}: {interval})"
    unclear = [one.second if one.first == best else one.first for one in of_best if one not in ahead]
    if unclear and ahead:
        lines[-1] += f"; no difference is shown to {_name_some(unclear)}"
    return lines, describe_method(differences) or ""


def _say_ahead(ahead: int, others: int) -> str:
    if ahead == 0:
        return "It is not shown to be ahead of any other condition"
    if ahead == others:
        return "It is ahead of all others" if others > 1 else "It is ahead of the other"
    return f"It is ahead of {ahead} of the {others} others"


def _name_some(labels: Sequence[str]) -> str:
    rest = len(labels) - MOST_NAMED
    return "; ".join(labels[:MOST_NAMED]) + (f" and {rest} more" if rest > 0 else "")


def tabulate_sweep(sweep: SweepResult, is_short: bool = False) -> tuple[list[str], list[list[str]]]:
    """The header, and a row a condition: the swept options' values, then metrics as mean ± sd; the best first.

    ``is_short`` leaves out what conditions are not ranked by, for a terminal.
    """
    of_conditions = [] if is_short else [kind for kind in sweep.study.metrics if _is_shown(kind, sweep)]
    kinds = [sweep.kind, *(kind for kind in of_conditions if kind.name != sweep.metric)]
    header = [*sweep.options, *(kind.title for kind in kinds), *(kind.title for kind in sweep.final_kinds)]
    rows = []
    for one in rank(sweep):
        values = [show_value(one.values[name]) if name in one.values else "–" for name in sweep.options]
        if one.state == FINISHED:
            values += [format_metric(kind, one.metrics.get(kind.name)) for kind in kinds]
        else:
            values += [one.state, *[""] * (len(kinds) - 1)]
        rows.append(values + [format_metric(kind, one.final.get(kind.name)) for kind in sweep.final_kinds])
    return header, rows


def rank(sweep: SweepResult) -> list[ConditionResult]:
    """The conditions, the best first and those that failed last."""
    sign = 1 if sweep.kind.higher_is_better is False else -1
    means = {one.label: sign * one.metrics[sweep.metric].mean for one in sweep.finished}
    return sorted(sweep.conditions, key=lambda one: (one.label not in means, means.get(one.label, 0.0)))


def interval_of_condition(condition: ConditionResult, metric: str) -> tuple[float, float] | None:
    """The 95 % interval of a condition's metric over seeds, or of its one seed."""
    found = condition.metrics[metric]
    return interval_over_seeds(found) or (found.intervals_95[0] if found.intervals_95 else None)


@dataclass(frozen=True)
class EffectLine:
    """Conditions that differ in one option only, in the order of its values.

    Attributes:
        label: the other options' values; empty where there are none.
        values: of the option.
        metrics: at each.
        is_joined: whether the points may be joined: where values have an order and all other options are the same.
    """

    label: str
    values: tuple[Any, ...]
    metrics: tuple[Metric, ...]
    is_joined: bool


@dataclass(frozen=True)
class Effect:
    """How the metric goes with one option.

    Attributes:
        option: its name.
        values: all that were tried, numbers in their order.
        lines: conditions with the same other options, or all and the best at each value where lines are too many.
    """

    option: str
    values: tuple[Any, ...]
    lines: tuple[EffectLine, ...]

    @property
    def is_numeric(self) -> bool:
        """Whether values are numbers."""
        return all(isinstance(value, int | float) and not isinstance(value, bool) for value in self.values)


def find_effects(sweep: SweepResult) -> list[Effect]:
    """How the metric goes with each option that took several values."""
    effects = [_find_effect(sweep, option) for option in sweep.options]
    return [effect for effect in effects if len(effect.values) > 1]


def _find_effect(sweep: SweepResult, option: str) -> Effect:
    tried: list[Any] = []
    for condition in sweep.finished:
        if condition.values[option] not in tried:
            tried.append(condition.values[option])
    if all(isinstance(value, int | float) for value in tried):  # truth values too
        tried.sort()
    groups: dict[str, list[ConditionResult]] = {}
    for condition in sweep.finished:
        others = {name: value for name, value in condition.values.items() if name != option}
        groups.setdefault(label_of(others), []).append(condition)
    is_ordered = all(isinstance(value, int | float) and not isinstance(value, bool) for value in tried)
    lines = [_line(label, group, option, tried, sweep.metric, is_ordered) for label, group in groups.items()]
    if len(lines) > MOST_LINES:
        lines = _all_and_best(sweep, option, tried)
    return Effect(option, tuple(tried), tuple(lines))


def _line(
    label: str, conditions: Sequence[ConditionResult], option: str, tried: list[Any], metric: str, joined: bool
) -> EffectLine:
    ordered = sorted(conditions, key=lambda one: tried.index(one.values[option]))
    values, metrics = [one.values[option] for one in ordered], [one.metrics[metric] for one in ordered]
    return EffectLine(label, tuple(values), tuple(metrics), joined)


def _all_and_best(sweep: SweepResult, option: str, tried: list[Any]) -> list[EffectLine]:
    every = _line("every condition", sweep.finished, option, tried, sweep.metric, False)
    best: dict[int, ConditionResult] = {}
    for condition in rank(sweep)[: len(sweep.finished)]:
        best.setdefault(tried.index(condition.values[option]), condition)
    if len(best) == len(sweep.finished):  # numbers that were drawn: every value is there once
        return [every]
    return [every, _line("the best at each value", list(best.values()), option, tried, sweep.metric, True)]


def _is_shown(kind: MetricKind, sweep: SweepResult) -> bool:
    """Whether the table of conditions has a column for a metric: what is optimised, and how long it took."""
    there = any(kind.name in condition.metrics for condition in sweep.conditions)
    return there and not kind.detail and (kind.is_share or kind.unit in ("nats", "seconds"))


def _kind(study: Study, metric: str) -> MetricKind:
    kind = study.kind(metric)
    assert kind is not None, f"{study.name} has no metric {metric}"
    return kind
