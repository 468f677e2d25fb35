"""The page of a run that has not finished, from its config and the progress that it saved."""

import datetime
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from keras_dnnts.config import load_config
from keras_dnnts.metrics import percent
from keras_dnnts.registry import find_study
from keras_dnnts.report.charts import Series, build_chart
from keras_dnnts.report.page import render
from keras_dnnts.results.unfinished import CONFIG, resume_command
from keras_dnnts.running.live import RUNNING, SECONDS, Progress, Rows
from keras_dnnts.running.run_directory import REPORT
from keras_dnnts.study import Study
from keras_dnnts.whole_files import write_whole_text

LATE_SECONDS = 60  # without news, several times the time between two pages
LAST = ("learning_rate", "seconds")  # columns that tell least of how the run goes
MARK = '<meta name="description" content="A run of keras-dnnts that has not finished">'  # of no other page
HEAD_BYTES = 2000  # in which that stands


def write_live_page(folder: Path, progress: Progress | None = None) -> Path:
    """Write the page of the unfinished run in a folder, from its progress, by default the saved one; return its path.

    Raises:
        UserError: the folder holds no config.
        OSError: there is no record of progress, or the page cannot be written.
        ValueError: the record is damaged.
    """
    path = folder / REPORT
    page = describe_live(progress or Progress.load(folder), folder)
    write_whole_text(path, render("live.html.jinja", page))
    return path


def has_report(folder: Path) -> bool:
    """Whether a folder has the page of a finished run, and not that of an unfinished one."""
    path = folder / REPORT
    return path.is_file() and not _is_live(path)


def remove_live_page(folder: Path) -> None:
    """Remove the page of an unfinished run, where the run has ended and no other page took its place."""
    path = folder / REPORT
    if path.is_file() and _is_live(path):
        path.unlink()


def _is_live(path: Path) -> bool:
    with path.open("rb") as file:
        return MARK.encode() in file.read(HEAD_BYTES)


def describe_live(progress: Progress, folder: Path) -> dict[str, Any]:
    """Everything that the template of an unfinished run writes down."""
    config = load_config(folder / CONFIG)
    study = find_study(config.experiment).for_data(progress.dataset)
    running = progress.state == RUNNING
    share = progress.done / progress.total if progress.total else 0.0
    as_of = datetime.datetime.fromtimestamp(progress.written).astimezone()
    return {
        "title": f"{study.model_title(config.to_dict())} on {progress.dataset['name']}",
        "kicker": study.question,
        "mark": MARK,
        "running": running,
        "heading": "In training" if running else "Stopped before its end",
        "refresh_seconds": round(SECONDS),
        "late_seconds": LATE_SECONDS,
        "written": round(progress.written, 1),
        "as_of": f"{as_of:%Y-%m-%d %H:%M:%S} {as_of.tzname()}",
        "as_of_iso": as_of.isoformat(timespec="seconds"),
        "done": f"{progress.done:,}",
        "total": f"{progress.total:,}",
        "unit": progress.unit,
        "per_cent": 100 * min(share, 1.0),
        "share": percent(share, 0),
        "note": progress.note,
        "resume": resume_command(folder, config),
        "charts": _chart_columns(study, progress.columns, progress.rows),
    }


def _chart_columns(study: Study, columns: Sequence[str], rows: Mapping[int, Rows]) -> list[dict[str, Any]]:
    """A chart of every column that has values, by the first; rates and times come last."""
    charts = []
    for place, name in sorted(enumerate(columns[1:], start=1), key=lambda column: column[1] in LAST):
        steps, values = _curve(rows, place)
        if len(steps):
            title = name.replace("_", " ").replace("train ", "training ")
            kind = study.kind(name)
            form = percent if kind is not None and kind.is_share else "{:,.4g}".format
            series = Series(title, steps, values, colour=0)
            charts.append({"title": title.capitalize(), "chart": build_chart([series], columns[0], title, form)})
    return charts


def _curve(rows: Mapping[int, Rows], place: int) -> tuple[np.ndarray, np.ndarray]:
    """(N,) steps at which some seed has a finite number, and (seeds, N) numbers, NaN where a seed has none."""
    by_seed = [{row[0]: row[place] for row in of_seed if _is_finite(row[place])} for of_seed in rows.values()]
    steps = sorted({step for points in by_seed for step in points if step is not None})
    values = [[points.get(step, np.nan) for step in steps] for points in by_seed]
    return np.array(steps, float), np.array(values, float).reshape(len(by_seed), len(steps))


def _is_finite(value: float | None) -> bool:
    return value is not None and bool(np.isfinite(value))
