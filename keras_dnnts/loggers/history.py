"""The history of a run, by seed."""

import csv
from collections.abc import Sequence
from pathlib import Path

from keras_dnnts.running.run_directory import HISTORY

Points = list[tuple[int, dict[str, float]]]
"""(step, numbers by name): a step is an epoch or the number of updates so far; some lack numbers."""

History = dict[int, Points]
"""By seed."""


def read_history(folder: Path) -> History:
    """Read ``history.csv``: seed, step and numbers, a row a step."""
    history: History = {}
    with (folder / HISTORY).open(newline="", encoding="utf-8") as file:
        rows = csv.reader(file)
        _, _, *names = next(rows)
        for seed, step, *values in rows:
            numbers = {name: float(value) for name, value in zip(names, values, strict=True) if value}
            history.setdefault(int(seed), []).append((int(step), numbers))
    return history


def points_of(columns: Sequence[str], rows: Sequence[Sequence[float | None]]) -> Points:
    """Points of one seed, whose step is the first of the columns."""
    return [
        (
            int(row[0] or 0),
            {name: float(value) for name, value in zip(columns[1:], row[1:], strict=True) if value is not None},
        )
        for row in rows
    ]
