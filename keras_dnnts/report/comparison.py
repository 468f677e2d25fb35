"""What the page of several runs says, conclusions first."""

import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.parse import quote

from keras_dnnts.metrics import MetricKind
from keras_dnnts.report import confusion, heat, numbers, reproduction, text
from keras_dnnts.report.run import EXAMPLES_BYTES
from keras_dnnts.report.sections import MOST_BYTES, TRIAL_BYTES
from keras_dnnts.results import Result
from keras_dnnts.results.baselines import Baseline, find_baseline
from keras_dnnts.results.comparison import find_differences, format_metric
from keras_dnnts.results.conclusions import Difference, are_comparable, find_pairwise_differences, headline_metrics
from keras_dnnts.results.findings import (
    describe_interval,
    describe_method,
    shorten_label,
    state_difference,
    state_failure,
    state_ranking,
)
from keras_dnnts.running.run_directory import REPORT


def describe_comparison(
    results: Mapping[str, Result], folders: Mapping[str, Path] = MappingProxyType({}), out: Path | None = None
) -> dict[str, Any]:
    """Everything the template of several runs, by label, writes down.

    Args:
        results: the runs.
        folders: of those whose models may be tried.
        out: the folder of the page, which links from there to the runs' own.
    """
    runs = list(results.values())
    study = runs[0].study
    groups = [_compare_by(results, name, what) for name, what in headline_metrics(*runs).items()]
    trainings = dict.fromkeys(study.describe_training(result.config) for result in runs)
    return {
        "title": f"{len(runs)} runs side by side" if len(runs) > 1 else "One run",
        "finding": state_ranking(results),
        "kicker": study.question,
        "warnings": find_differences(results),
        "groups": groups,
        "methods": list(dict.fromkeys(filter(None, (group["method"] for group in groups)))),
        "trainings": list(filter(None, trainings)),
        "runs": [
            _describe(label, result) | {"link": _link(folders.get(label), out)} for label, result in results.items()
        ],
        "trial": study.try_out(folders, TRIAL_BYTES) if folders else None,
        "measures": _tabulate(results),
        "curves": list(study.curves(results)),
        "recall": _tabulate_recall(results),
        "details": [
            _show_details(label, result, f"run{i}", len(runs)) for i, (label, result) in enumerate(results.items())
        ],
        "reproductions": [
            {"label": label, **reproduction.describe_reproduction(result)} for label, result in results.items()
        ],
    }


def _show_details(label: str, result: Result, identity: str, runs: int) -> dict[str, Any]:
    """The most telling confusion matrix of one of several runs, and its study's own sections."""
    confusions = confusion.build_confusions(result, identity, EXAMPLES_BYTES // runs)
    return {
        "label": label,
        "confusion": confusions[0] if confusions else None,
        "sections": list(result.study.comparison_sections(result, identity, MOST_BYTES // runs)),
    }


def _compare_by(results: Mapping[str, Result], name: str, what: str) -> dict[str, Any]:
    kind = next(iter(results.values())).study.kind(name)
    comparable = are_comparable(*results.values())
    differences = find_pairwise_differences(results, name) if comparable else []
    ranking = (state_ranking(results, name) or "").partition(": ")[2]  # the heading above says of what
    return {
        "what": what + ("" if kind is None else kind.weighting),
        "ranking_said": ranking[0].upper() + ranking[1:] if ranking.startswith("no run") else ranking,
        "differences": [describe_difference(difference) for difference in differences],
        "method": describe_method(differences),
        "reach": _reach(differences),
        "ranking": _rank(results, name),
        "baseline": _common_baseline(results, name),
    }


def describe_difference(difference: Difference) -> dict[str, Any]:
    """A difference in words, and the places of its interval."""
    interval, words = difference.interval_95, state_difference(difference)
    return {
        "words": words if words.startswith(shorten_label(difference.first)) else words[0].upper() + words[1:],
        "value": difference.value,
        "low": None if interval is None else max(interval[0], -1.0),
        "high": None if interval is None else min(interval[1], 1.0),
        "interval": describe_interval(difference),
        "is_shown": difference.is_shown,
    }


def _common_baseline(results: Mapping[str, Result], name: str) -> str | None:
    """What always giving the same answer scores, where that is the same for all runs."""
    found = {numbers.describe_baseline(_baseline(result, name)) for result in results.values()}
    return found.pop() if len(found) == 1 else None


def _baseline(result: Result, name: str) -> Baseline | None:
    kind = result.study.kind(name)
    return None if kind is None else find_baseline(result, kind)


def _reach(differences: list[Difference]) -> float:
    """How far to either side the differences' axis reaches."""
    ends = [abs(bound) for one in differences for bound in (one.value, *(one.interval_95 or ()))]
    return min(max([*ends, 0.01]) * 1.08, 1.0)


def _rank(results: Mapping[str, Result], name: str) -> list[dict[str, Any]]:
    ranked = sorted(results.items(), key=lambda item: -item[1].metrics[name].mean)
    rows = []
    for label, result in ranked:
        metric = result.metrics[name]
        interval, over = text.interval_of(metric)
        rows.append(
            {
                "label": label,
                "value": text.percent(metric.mean),
                "interval": text.percent_range(interval) if interval else None,
                "over": over,
                "strip": numbers.place_on_line(
                    metric.mean, interval, text.reported(result).get(name), _baseline(result, name)
                ),
            }
        )
    return rows


def _link(folder: Path | None, out: Path | None) -> str | None:
    """The address of a run's page, seen from another folder; None where there is none."""
    if folder is None or out is None or not (folder / REPORT).is_file():
        return None
    try:
        path = os.path.relpath((folder / REPORT).resolve(), out.resolve())
    except ValueError:  # on another drive
        return None
    return quote(os.fsencode(Path(path).as_posix()))


def _describe(label: str, result: Result) -> dict[str, Any]:
    return {
        "label": label,
        "model": result.model_name,
        "data": text.describe_data(result),
        "data_warning": text.warn_about_data(result),
        "use": result.study.use(result.config),
        "seeds": text.count_seeds(result),
        "changes": text.list_changes(result),
        "failure": state_failure(result),
    }


def _tabulate(results: Mapping[str, Result]) -> list[dict[str, Any]]:
    rows = [{"title": "parameters", "values": [f"{r.details['parameters']:,}" for r in results.values()]}]
    for kind in next(iter(results.values())).study.metrics:
        metrics = [result.metrics.get(kind.name) for result in results.values()]
        if any(metrics):
            rows.append({"title": kind.title, "values": [format_metric(kind, metric) for metric in metrics]})
        others = [text.reported(result).get(kind.name) for result in results.values()]
        if any(metrics) and any(other is not None for other in others):
            shown = [_show_reference(kind, other) for other in others]
            rows.append({"title": f"{kind.title}, reported by the reference", "values": shown})
    return rows


def _show_reference(kind: MetricKind, other: float | None) -> str:
    return "–" if other is None else text.reported_number(kind, other)


def _tabulate_recall(results: Mapping[str, Result]) -> dict[str, Any] | None:
    """The share right of each class of every run, as steps of colour; None where classes differ."""
    runs = list(results.values())
    classes = runs[0].dataset["classes"]
    parts = [part for part in runs[0].study.parts if all(run.details["recall"].get(part) for run in runs)]
    if not parts or any(run.dataset["classes"] != classes for run in runs):
        return None
    recall = [run.details["recall"][parts[0]] for run in runs]
    means = {name: sum(one.get(name) or 0.0 for one in recall) for name in classes}
    return {
        "title": runs[0].study.parts[parts[0]],
        "rows": [
            {"name": name, "cells": [_cell(one.get(name)) for one in recall]}
            for name in sorted(classes, key=lambda name: -means[name])
        ],
    }


def _cell(value: float | None) -> dict[str, Any]:
    return {"text": "–", "level": 0} if value is None else {"text": text.percent(value), "level": heat.level(value)}
