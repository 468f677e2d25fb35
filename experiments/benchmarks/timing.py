"""Sides that take turns on one core, and the rows and tables that come of it."""

import json
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Row:
    """One measured figure: a median, and by how much it is quicker than the plain side (median of pairs, extremes)."""

    task: str
    side: str
    engine: str
    median: float
    unit: str
    times_plain: float | None = None
    least: float | None = None
    most: float | None = None


@dataclass(frozen=True)
class Side:
    """What is timed: ``run()`` does ``work`` units of work."""

    run: Callable[[], object]
    work: int = 1


def keep_to_one_core() -> None:
    """Pin this process to one core, so that every engine has as much of the machine as plain PyTorch."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def seconds_of(run: Callable[[], object]) -> float:
    """Seconds of one call."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def take_turns(sides: dict[str, Side], turns: int) -> dict[str, np.ndarray]:
    """Seconds a unit of work of every side in every turn, after one turn, compilation included, that does not count."""
    rounds = [[seconds_of(side.run) / side.work for side in sides.values()] for _ in range(turns + 1)]
    return dict(zip(sides, np.array(rounds[1:]).T, strict=True))


def compare(task: str, engine: str, seconds: dict[str, np.ndarray], plain: str, unit: str, scale: float) -> list[Row]:
    """One row a side; ``scale`` turns seconds into ``unit``."""
    rows = []
    for side, values in seconds.items():
        ratios = seconds[plain] / values
        speed = float(np.median(ratios)), float(ratios.min()), float(ratios.max())
        rows.append(Row(task, side, engine, scale * float(np.median(values)), unit, *speed))
    return rows


def markdown(rows: list[Row], environment: dict[str, Any]) -> str:
    """The table of all rows, under a line on machine and versions."""
    versions = ", ".join(f"{package} {version}" for package, version in environment["versions"].items())
    machine = environment["machine"]
    lines = [
        f"{machine['processor']}, {machine['cores']} cores, {environment['device']}; {versions}",
        "",
        "| task | side | engine | median | times plain | extremes |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        times = "–" if row.times_plain is None else f"{row.times_plain:.2f}"
        extremes = "–" if row.least is None else f"{row.least:.2f} to {row.most:.2f}"
        median = f"{row.median:.3g}" if row.median < 100 else f"{row.median:.0f}"
        lines.append(f"| {row.task} | {row.side} | {row.engine} | {median} {row.unit} | {times} | {extremes} |")
    return "\n".join(lines)


def to_json(rows: list[Row], environment: dict[str, Any]) -> str:
    """Rows and environment as JSON."""
    return json.dumps({"environment": environment, "rows": [asdict(row) for row in rows]}, indent=2) + "\n"
