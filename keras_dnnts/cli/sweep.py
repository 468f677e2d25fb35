"""``keras-dnnts sweep``: an experiment under many settings."""

import logging
import os
import shlex
import sys
from collections.abc import Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from keras_dnnts.cli.options import spell
from keras_dnnts.cli.workers import open_pool
from keras_dnnts.config import Config
from keras_dnnts.errors import PassingError, UserError
from keras_dnnts.own_models import check_allowed
from keras_dnnts.results.sweeps import SweepResult, tabulate_sweep
from keras_dnnts.running.console import SEPARATOR, fit_line, format_seconds
from keras_dnnts.running.interruption import EXIT_CODE, Interrupted, Interruption, interruptible
from keras_dnnts.running.pools import FAILED, FINISHED, Outcome, Standing
from keras_dnnts.running.run_directory import REPORT, keep_out_of_data, next_free_directory
from keras_dnnts.running.runtime import choose_backend
from keras_dnnts.running.together import refuse_launch
from keras_dnnts.sweeping.folders import SweepDirectory
from keras_dnnts.sweeping.plan import Condition, Sweep, read_sweep
from keras_dnnts.sweeping.run import Place, resolve_conditions, run_sweep

logger = logging.getLogger("keras_dnnts")


def sweep_and_summarise(
    file: Path,
    given: Mapping[str, Any],
    own_model: str | None,
    out: Path | None,
    workers: int | None,
    quiet: bool,
    dry_run: bool,
    shows_all_final: bool,
    figures: bool,
    cluster: str | None,
) -> int:
    """Run a sweep, print its table and conclusions, and return the exit code: 1 where runs failed.

    Raises:
        UserError: something in what the user gave cannot be used; nothing is left then.
    """
    refuse_launch("a sweep")
    sweep = read_sweep(file, given)
    _check_models(sweep, own_model)
    if dry_run:
        _print_plan(sweep)
        return 0
    directory = SweepDirectory(out or next_free_directory(f"sweep-{file.stem}"))
    directory.check()
    _check_engines(sweep, directory.path)
    if not quiet:
        print(f"{_describe(sweep)}: {directory.path}", flush=True)
        print(f"each run's page, also during training: {directory.path / '<run>' / REPORT}", flush=True)
    conditions = resolve_conditions(sweep)
    backend, device = _engine_of(sweep)
    pool = open_pool(cluster, workers, len(conditions), directory.path, backend, device)
    listener = SweepProgress(None if quiet else Console())
    place = Place(directory, pool, Interruption(), listener, None if cluster else os.getpid(), figures)
    again = _command(file, directory.path, cluster)
    try:
        result = _run(sweep, conditions, place, shows_all_final, again)
    except Interrupted:  # the pool is closed, so that nothing is left of it
        print(f"keras-dnnts: interrupted: {again}", file=sys.stderr)
        return EXIT_CODE
    except PassingError as error:
        raise UserError(f"{error.args[0]}; {again}") from error
    _summarise(result, directory.path)
    return 1 if result.problems else 0


def _check_models(sweep: Sweep, own_model: str | None) -> None:
    option = sweep.study.config.model_option
    for model in dict.fromkeys(condition.config.model for condition in sweep.conditions):
        check_allowed(model, own_model, sweep.where, option)


def _check_engines(sweep: Sweep, path: Path) -> None:
    """Find out before anything runs that an engine or a device is missing, or that runs would lie within the data."""
    for condition in sweep.conditions:
        keep_out_of_data(condition.config, path)
    if (config := _trained_config(sweep)) is not None:
        choose_backend(config.backend, config.device)


def _trained_config(sweep: Sweep) -> Config | None:
    """The first condition's that is trained on an engine, which is the same for all; None where none is."""
    return next((one.config for one in sweep.conditions if sweep.study.trains(one.config.to_dict())), None)


def _engine_of(sweep: Sweep) -> tuple[str | None, str]:
    """The engine that the runs need, or None, and the device."""
    config = _trained_config(sweep)
    return (None, "cpu") if config is None else (config.backend, config.device)


def _print_plan(sweep: Sweep) -> None:
    """Print the runs of a sweep."""
    for condition in sweep.conditions:
        print(condition.label)
    print(f"# {_describe(sweep)}")


def _describe(sweep: Sweep) -> str:
    """What a sweep does, in a few words."""
    first = sweep.conditions[0].config
    seeds = f"{first.seeds} seeds each" if first.seeds > 1 else "one seed each"
    return f"{len(sweep.conditions)} runs, {seeds}, compared by {sweep.selection.words}"


def _command(file: Path, folder: Path, cluster: str | None) -> str:
    where = f" {spell('cluster')} {shlex.quote(cluster)}" if cluster else ""
    return f"go on with: keras-dnnts sweep {shlex.quote(str(file))} {spell('out')} {shlex.quote(str(folder))}{where}"


def _run(sweep: Sweep, conditions: list[Condition], place: Place, shows_all_final: bool, again: str) -> SweepResult:
    from keras_dnnts.sweeping.output import save_sweep  # here: it draws, and half of what it imports is Matplotlib

    plan = sweep.to_toml()
    with interruptible(lambda: again) as interruption:
        place = replace(place, interruption=interruption)
        with place.directory.open(plan), closing(place.pool):
            with place.listener, interruption.after_step():
                result = run_sweep(sweep, conditions, place, shows_all_final)
            save_sweep(result, place.directory.path, plan)
    return result


def _summarise(result: SweepResult, folder: Path) -> None:
    console = Console()
    header, rows = tabulate_sweep(result, is_short=True)
    table = Table()
    for i, title in enumerate(header):
        table.add_column(title, justify="left" if i < len(result.options) else "right", overflow="fold")
    for row in rows:
        table.add_row(*row)
    console.print(table)
    for line in (*result.conclusions, result.method):
        if line:
            console.print(line, highlight=False, markup=False, soft_wrap=True)
    for label, problem in result.problems.items():
        line = f"{label}: {UserError(problem).spelled(spell)}"
        logger.warning("%s", UserError(line))
    console.print(f"Table, figures, page and runs: {folder}", highlight=False, markup=False, soft_wrap=True)


class SweepProgress:
    """A line a run that ended, and on a terminal, below them, how far everything is. A context manager."""

    def __init__(self, console: Console | None) -> None:
        self.console = console
        self._already, self._total = 0, 0
        self._said: set[str] = set()
        self._status = console.status("") if console is not None and console.is_terminal else None

    def __enter__(self) -> "SweepProgress":
        if self._status:
            self._status.start()
        return self

    def __exit__(self, *error: object) -> None:
        if self._status:
            self._status.stop()

    def begin(self, total: int, done: int, is_final: bool = False) -> None:
        """Say what is about to begin, and what of it is done already."""
        self._already, self._total = done, total
        if is_final and total:
            self._print(f"judging {'the chosen condition' if total == 1 else 'all'} on data kept back from the choice")
        if done:
            self._print(f"{done} of {total} runs are finished already")

    def tick(self, standing: Standing) -> None:
        """Show how far everything is."""
        if self._status:
            self._status.update(SEPARATOR.join(self._facts(standing)))

    def ended(self, name: str, outcome: Outcome, standing: Standing) -> None:
        """Print a line of a run that ended, and of each new warning."""
        for warning in outcome.warnings:
            if warning not in self._said:
                self._said.add(warning)
                logger.warning("%s", UserError(warning))
        said = {FINISHED: outcome.line, FAILED: f"failed: {UserError(outcome.line).spelled(spell)}"}
        found = said.get(outcome.state, outcome.state)
        self._print(SEPARATOR.join(filter(None, [name, found, *self._facts(standing)])))

    def _facts(self, standing: Standing) -> list[str]:
        done = self._already + standing.finished
        facts = [f"{done} of {self._total} done", f"{standing.running} running"]
        if standing.failed:
            facts.append(f"{standing.failed} failed")
        if standing.seconds_left:
            facts.append(f"{format_seconds(standing.seconds_left)} left")
        return facts

    def _print(self, line: str) -> None:
        if self.console is not None:
            text = fit_line(line, self.console.width)
            self.console.print(text, highlight=False, markup=False, soft_wrap=True)
