"""``keras-dnnts runs``: the runs in a folder and how far they have come."""

from pathlib import Path

from rich.console import Console
from rich.table import Table

from keras_dnnts.cli.options import spell
from keras_dnnts.errors import UserError
from keras_dnnts.running.overview import FINISHED, RunOverview, find_runs


def list_runs(folder: Path) -> None:
    """Print a table of the runs in a folder and, below it, what to know of those that are not finished.

    Raises:
        UserError: there is no such folder.
    """
    runs = find_runs(folder)
    console = Console()
    if not runs:
        console.print(f"{folder}: holds no runs", highlight=False, markup=False, soft_wrap=True)
        return
    console.print(_tabulate(runs, folder))
    for run in runs:
        if run.state != FINISHED:
            line = f"{run.folder}: {run.state}: {UserError(run.note).spelled(spell)}"
            console.print(line.removesuffix(": "), highlight=False, markup=False, soft_wrap=True)


def _tabulate(runs: list[RunOverview], folder: Path) -> Table:
    table = Table("run", "study", "model", "seeds", "state", "result")
    for column in table.columns[:2]:
        column.overflow = "fold"
    for run in runs:
        place = str(run.folder.relative_to(folder))
        cells = (place if place != "." else str(run.folder), run.study, run.model, run.seeds, run.state)
        table.add_row(*cells, run.headline or "–")
    return table
