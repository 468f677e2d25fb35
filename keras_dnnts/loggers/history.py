"""The saved history of a run, by seed."""

import csv
from pathlib import Path

from keras_dnnts.running.run_directory import HISTORY

History = dict[int, list[tuple[int, dict[str, float]]]]
"""Of each seed, (step, numbers by name): a step is an epoch or the number of updates so far; some lack numbers."""


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
