"""What the page of a sweep says: the choice first."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from keras_dnnts.report import text
from keras_dnnts.report.charts import Series, build_chart
from keras_dnnts.report.page import render
from keras_dnnts.results.comparison import format_metric
from keras_dnnts.results.sweeps import (
    FINISHED,
    ConditionResult,
    Effect,
    SweepResult,
    find_effects,
    interval_of_condition,
    rank,
    show_value,
    tabulate_sweep,
)
from keras_dnnts.running.run_directory import REPORT
from keras_dnnts.whole_files import write_whole_text


def write_sweep_report(sweep: SweepResult, folder: Path, plan: str) -> Path:
    """Write the page of a sweep into its folder and return its path; ``plan`` is the sweep's file.

    Raises:
        OSError: the page cannot be written.
    """
    path = folder / REPORT
    write_whole_text(path, render("sweep.html.jinja", describe_sweep(sweep, plan)))
    return path


def describe_sweep(sweep: SweepResult, plan: str) -> dict[str, Any]:
    """Everything the template of a sweep writes down."""
    header, rows = tabulate_sweep(sweep)
    return {
        "title": f"{len(sweep.conditions)} conditions of {', '.join(sweep.options)}",
        "finding": sweep.conclusions[0],
        "kicker": sweep.study.question,
        "conclusions": sweep.conclusions[1:],
        "method": sweep.method,
        "about": _describe(sweep),
        "honesty": _state_honesty(sweep),
        "words": sweep.words,
        "ranking": [_rank(one, sweep) for one in rank(sweep)],
        "problems": sweep.problems,
        "charts": [_draw(sweep, effect) for effect in find_effects(sweep)],
        "header": header,
        "rows": rows,
        "plan": plan,
    }


def _describe(sweep: SweepResult) -> str:
    seeds = f"{sweep.seeds} seeds" if sweep.seeds > 1 else "1 seed"
    model = f"{sweep.model} on " if sweep.model else "on "
    stand_in = ", which stands in for the real data" if sweep.stand_in else ""
    said = f"{model}{sweep.data or 'the data'}{stand_in}, {seeds} of each condition"
    return f"{said[0].upper()}{said[1:]}."


def _state_honesty(sweep: SweepResult) -> str:
    if not sweep.final_kinds:
        return ""
    if sweep.shows_all_final:
        return (
            "The numbers on the final part of the data were asked for of every condition. Whoever chooses by them has "
            "no data left that had no part in the choice: the chosen condition’s number is then too good."
        )
    return "Conditions were compared on validation data; only the chosen one was judged on the final part of the data."


def _rank(condition: ConditionResult, sweep: SweepResult) -> dict[str, Any]:
    row: dict[str, Any] = {
        "label": condition.label,
        "folder": condition.folder,
        "final_folder": condition.final_folder if condition.final_folder != condition.folder else "",
        "chosen": condition.label == sweep.chosen,
    }
    if condition.state != FINISHED:
        return row | {"value": condition.state, "interval": None, "strip": None}
    metric, interval = condition.metrics[sweep.metric], interval_of_condition(condition, sweep.metric)
    return row | {
        "value": format_metric(sweep.kind, metric),
        "interval": text.percent_range(interval) if interval and sweep.kind.is_share else None,
        "strip": _strip(metric.mean, interval) if sweep.kind.is_share else None,
    }


def _strip(mean: float, interval: tuple[float, float] | None) -> Mapping[str, float | None]:
    low, high = interval or (mean, mean)
    low, high = max(low, 0.0), min(high, 1.0)
    return {"dot": 100 * mean, "low": 100 * low, "length": 100 * (high - low), "reference": None, "baseline": None}


def _draw(sweep: SweepResult, effect: Effect) -> dict[str, Any]:
    """A chart with the values spaced evenly, whatever they are."""
    series = []
    for i, line in enumerate(effect.lines):
        places = np.array([effect.values.index(value) for value in line.values], float)
        values = np.array([metric.values for metric in line.metrics]).T
        series.append(Series(line.label or sweep.words, places, values, i, dashed=not line.is_joined, marked=True))
    share = sweep.kind.is_share
    chart = build_chart(
        series,
        f"{effect.option} (values spaced evenly)",
        sweep.kind.title,
        (lambda value: text.percent(value)) if share else (lambda value: f"{value:g}"),
        from_zero=False,
        format_x=lambda place: show_value(effect.values[round(place)]),
    )
    return {"title": effect.option, "chart": chart}
