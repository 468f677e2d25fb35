"""What is printed of finished runs: the summary of one, the comparison of several, where a page is."""

import contextlib
import logging
import webbrowser
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from keras_dnnts.cli.options import spell
from keras_dnnts.errors import UserError, option_name
from keras_dnnts.metrics import PER_CENT
from keras_dnnts.report import write_comparison, write_report
from keras_dnnts.results import Result
from keras_dnnts.results.comparison import (
    TABLE,
    find_differences,
    format_metric,
    label_folders,
    load_runs,
    save_tables,
    tabulate,
)
from keras_dnnts.results.conclusions import (
    Difference,
    are_comparable,
    find_pairwise_differences,
    headline_metrics,
)
from keras_dnnts.results.findings import count_skipped, describe_method, state_conclusions, state_failure
from keras_dnnts.running.run_directory import next_free_directory

logger = logging.getLogger("keras_dnnts")
LONGEST_NUMBER = 14  # letters of a mean ± standard deviation


def print_summary(result: Result, folder: Path) -> None:
    """Print the headline numbers of a run and where its files are."""
    config, data = result.config, result.dataset
    stand_in = ", standing in for the real data" if data["stand_in"] else ""
    seeds = f"{config['seeds']} seeds" if config["seeds"] > 1 else f"seed {config['seed']}"
    use = result.study.use(config)
    title = f"{result.model_name} on {data['name']}{stand_in}, {f'{use}, ' if use else ''}{seeds}"
    table = Table(show_header=False)
    table.add_column("metric")
    table.add_column("value", justify="right")
    single = config["seeds"] == 1
    for name, kind in result.measured.items():
        metric, interval = result.metrics[name], ""
        if single and metric.intervals_95:
            low, high = metric.intervals_95[0]
            interval = f"  (95{PER_CENT}: {100 * low:.1f} to {100 * high:.1f})"
        table.add_row(kind.title, format_metric(kind, metric) + interval)
    console = Console()
    console.print(title, highlight=False, markup=False, soft_wrap=True)
    console.print(table)
    if failure := state_failure(result):
        console.print(
            f"Warning: the run failed to learn: {result.model_name} is {failure}",
            highlight=False,
            markup=False,
            soft_wrap=True,
        )
    if skipped := count_skipped(result):
        console.print(f"Left out: {skipped}", highlight=False)
    for line in result.study.summary(result):
        console.print(UserError(line).spelled(spell), highlight=False, markup=False)
    console.print(f"Report, results, model and figures: {folder}", highlight=False, markup=False, soft_wrap=True)


def redraw_report(folder: Path, out: Path | None, show: bool = False) -> None:
    """Write the page of a finished run anew, print where it is and, where ``show`` says so, open it in a browser.

    Raises:
        UserError: the folder holds no finished run, or the page cannot be written.
    """
    try:
        path = write_report(folder, out)
    except OSError as error:
        raise UserError(f"{out or folder}: the report cannot be written: {error.strerror}") from error
    print(f"Report: {path}")
    if show and not webbrowser.open(path.resolve().as_uri()):
        logger.warning("no browser was found: open %s by hand", path)


def compare_runs(folders: Sequence[Path], out: Path | None, html: bool = False, details: bool = False) -> None:
    """Print one table of finished runs, and write it with a figure and, where ``html`` says so, a page.

    What is written has all metrics; what is printed, only with ``details``.

    Raises:
        UserError: a folder holds no finished run, the runs are of different kinds, or ``out`` cannot be written.
    """
    results = load_runs(folders)
    folder = out or next_free_directory("compare")
    header, rows = tabulate(results, details)
    left_out = len(tabulate(results)[1]) - len(rows)
    table = Table(header[0])
    for label in header[1:]:
        table.add_column(label, justify="right", overflow="fold", min_width=LONGEST_NUMBER)
    for row in rows:
        table.add_row(*row)
    console, errors = Console(), Console(stderr=True)
    # Before anything is printed: a folder that cannot be written is then the only line.
    with _writable(folder):
        folder.mkdir(parents=True, exist_ok=True)
        save_tables(results, folder)
    for warning in find_differences(results):
        errors.print(f"keras-dnnts: warning: {warning}", highlight=False, markup=False, soft_wrap=True)
    console.print(table)
    if left_out:
        more = f"Further rows ({left_out}) are in {folder / TABLE}; {spell('all')} prints them"
        console.print(more, highlight=False, markup=False, soft_wrap=True)
    from keras_dnnts.figures.comparison import save_comparison

    with _writable(folder):
        save_comparison(results, folder / "comparison.png")
        if html:
            print(f"Report: {write_comparison(results, folder, label_folders(folders))}")
    console.print(f"Table and figure: {folder}", highlight=False, markup=False, soft_wrap=True)
    for line in state_conclusions(results):
        console.print(line, highlight=False, markup=False, soft_wrap=True)
    if note := describe_method(_all_differences(results)):
        console.print(note, highlight=False, markup=False)


def _all_differences(results: Mapping[str, Result]) -> list[Difference]:
    """The differences that the conclusions are about, of the most telling metric."""
    metrics = headline_metrics(*results.values())
    if len(results) < 2 or not metrics or not are_comparable(*results.values()):
        return []
    return find_pairwise_differences(results, next(iter(metrics)))


@contextlib.contextmanager
def _writable(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UserError(f"{option_name('out')} {folder}: cannot be written: {error.strerror}") from error
