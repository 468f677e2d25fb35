"""What the commands do between their options and the experiment: choose the folder, run, print a summary."""

import contextlib
import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from keras_dnnts.cli.options import spell
from keras_dnnts.config import Config
from keras_dnnts.errors import UserError, option_name
from keras_dnnts.loggers import log_result
from keras_dnnts.own_models import check_code, is_own_model
from keras_dnnts.registry import all_studies, find_study
from keras_dnnts.report import write_comparison, write_report, write_report_or_warn
from keras_dnnts.results import Result, load_result
from keras_dnnts.results.comparison import find_differences, format_metric, load_runs, save_tables, tabulate
from keras_dnnts.results.conclusions import (
    Difference,
    are_comparable,
    find_pairwise_differences,
    headline_metrics,
)
from keras_dnnts.results.findings import count_skipped, describe_method, state_conclusions, state_failure
from keras_dnnts.running.interruption import Interrupted, Interruption, exit_interrupted, interruptible
from keras_dnnts.running.run import run_study
from keras_dnnts.running.run_directory import FIGURES, RunDirectory, next_free_directory
from keras_dnnts.running.runtime import explain_engine_failure

logger = logging.getLogger("keras_dnnts")


def run_and_summarise(config: Config, out: Path | None, overwrite: bool, quiet: bool, log: Sequence[str] = ()) -> None:
    """Run an experiment, draw its figures, print what it found and log it to the loggers named.

    Raises:
        UserError: something in what the user gave cannot be used.
    """
    directory = RunDirectory.new(out, f"{config.experiment}-{_file_name(config.model)}", overwrite)
    _keep_out_of_data(config, directory.path)
    _run_to_the_end(config, directory, quiet, log)


def _file_name(model: str) -> str:
    """A model as part of a folder's name: of a person's own, the function's."""
    return model.rpartition(":")[2]


def _keep_out_of_data(config: Config, out: Path) -> None:
    """Where every folder is a class, a run would become one."""
    if not find_study(config.experiment).folders_are_classes:
        return
    if config.data_dir and out.resolve().is_relative_to(Path(config.data_dir).resolve()):
        data_dir = f"{option_name('data_dir')} {config.data_dir}"
        raise UserError(f"{option_name('out')} {out}: lies in {data_dir}; name a folder elsewhere")


def resume_and_summarise(
    path: Path, experiment: str, given: Mapping[str, Any], quiet: bool, log: Sequence[str] = ()
) -> None:
    """Go on with an interrupted run, as :func:`run_and_summarise` would have.

    Args:
        path: the run directory.
        experiment: the one whose command was called.
        given: the options that were given by hand, by name.
        quiet: no progress.
        log: loggers, by name.

    Raises:
        UserError: there is no such run, or an option would change its results.
    """
    directory = RunDirectory.resumed(path)
    config = directory.config()
    resume = f"{option_name('resume')} {path}"
    if config.experiment != experiment:
        raise UserError(f"{resume}: use keras-dnnts {config.experiment}, whose run it is")
    asked = type(config).from_dict({**_values(config), **given}, where=resume)
    own = is_own_model(config.model)
    for name, about in config.options().items():
        was, value = getattr(config, name), getattr(asked, name)
        may_move = own and name == config.model_option  # then its content counts
        if name in given and about.results_depend and value != was and not may_move:
            advice = "leave the option out, or start a new run"
            raise UserError(f"{resume}: was started with {option_name(name)} {was}, not with {value}: {advice}")
    if own:
        check_code(config, given.get(config.model_option), path)
    _run_to_the_end(asked, directory, quiet, log)


def _values(config: Config) -> dict[str, Any]:
    """The values of a config's fields."""
    return {name: value for name, value in config.to_dict().items() if name in config.options()}


def _run_to_the_end(config: Config, directory: RunDirectory, quiet: bool, log: Sequence[str]) -> None:
    with interruptible(lambda: directory.resume_command) as interruption:
        result = _run_unless_finished(config, directory, None if quiet else Console(), interruption)
        draw_figures(result, directory.path)
        write_report_or_warn(directory.path)
    print_summary(result, directory.path)
    log_result(result, directory.path, log)


def _run_unless_finished(
    config: Config, directory: RunDirectory, console: Console | None, interruption: Interruption
) -> Result:
    if directory.resumes and directory.is_finished:
        directory.tidy()
        print(f"{directory.path}: is finished; nothing is left to train")
        return load_result(directory.path)
    try:
        return run_study(config, directory, console, interruption)
    except Interrupted:
        exit_interrupted(directory.resume_command)
    except OSError as error:
        raise _stopped_by(f"{directory.path}: {error.strerror or error}", directory) from error
    except Exception as error:
        if problem := explain_engine_failure(error):
            raise _stopped_by(problem, directory) from error
        raise


def _stopped_by(problem: str, directory: RunDirectory) -> UserError:
    return UserError("; ".join(filter(None, [problem, directory.resume_command])))


def draw_figures(result: Result, folder: Path) -> None:
    """Write the figures of a run that has saved its results; one that fails costs a warning and only itself."""
    # Matplotlib takes a second to import: only once there is something to draw.
    from keras_dnnts.figures import save_figures

    try:
        save_figures(result, folder / FIGURES)
    except OSError as error:
        logger.warning("%s: figures cannot be written: %s", folder / FIGURES, error.strerror or error)


def print_summary(result: Result, folder: Path) -> None:
    """Print the headline numbers of a run and where its files are."""
    config, data = result.config, result.dataset
    stand_in = ", standing in for the real data" if data["stand_in"] else ""
    seeds = f"{config['seeds']} seeds" if config["seeds"] > 1 else f"seed {config['seed']}"
    use = result.study.use(config)
    title = f"{result.model_name} on {data['name']}{stand_in}, {f'{use} protocol, ' if use else ''}{seeds}"
    table = Table(show_header=False)
    table.add_column("metric")
    table.add_column("value", justify="right")
    single = config["seeds"] == 1
    for name, kind in result.measured.items():
        metric, interval = result.metrics[name], ""
        if single and metric.intervals_95:
            low, high = metric.intervals_95[0]
            interval = f"  (95 %: {100 * low:.1f} to {100 * high:.1f})"
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


def redraw_report(folder: Path, out: Path | None) -> None:
    """Write the page of a finished run anew and print where it is.

    Raises:
        UserError: the folder holds no finished run, or the page cannot be written.
    """
    try:
        path = write_report(folder, out)
    except OSError as error:
        raise UserError(f"{out or folder}: the report cannot be written: {error.strerror}") from error
    print(f"Report: {path}")


def compare_runs(folders: Sequence[Path], out: Path | None, html: bool = False) -> None:
    """Print one table of finished runs, and write it with a figure and, where ``html`` says so, a page.

    Raises:
        UserError: a folder holds no finished run, the runs are of different kinds, or ``out`` cannot be written.
    """
    results = load_runs(folders)
    folder = out or next_free_directory("compare")
    header, rows = tabulate(results)
    table = Table(header[0])
    for label in header[1:]:
        table.add_column(label, justify="right", no_wrap=True)
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
    from keras_dnnts.figures.comparison import save_comparison

    with _writable(folder):
        save_comparison(results, folder / "comparison.png")
        if html:
            print(f"Report: {write_comparison(results, folder)}")
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


def list_data(fetch: bool) -> None:
    """Print every data set and where it is, downloading the missing ones first where ``fetch`` says so.

    Raises:
        UserError: a download is not possible.
    """
    table = Table("data set", "for", "where")
    for study in all_studies():
        for title, place in study.data_sets(fetch):
            table.add_row(title, study.name, UserError(place).spelled(spell))
    Console().print(table)
