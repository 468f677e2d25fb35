"""What the commands that run something do between their options and the summary: choose the folder, run, draw."""

import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

from rich.console import Console

from keras_dnnts.cli.finishing import Finishers
from keras_dnnts.cli.options import spell
from keras_dnnts.cli.summary import print_summary
from keras_dnnts.config import Config
from keras_dnnts.errors import PassingError, UserError
from keras_dnnts.loggers import Loggers
from keras_dnnts.ranks import find_ranks, may_speak
from keras_dnnts.registry import find_study
from keras_dnnts.report import write_live_page
from keras_dnnts.results import Result, load_result
from keras_dnnts.running.console import RunProgress
from keras_dnnts.running.ensembles import load_ensemble
from keras_dnnts.running.interruption import Interrupted, Interruption, exit_interrupted, interruptible
from keras_dnnts.running.live import Live
from keras_dnnts.running.resuming import resumed_config
from keras_dnnts.running.run import run_study
from keras_dnnts.running.run_directory import RunDirectory, keep_out_of_data
from keras_dnnts.running.runtime import explain_engine_failure
from keras_dnnts.running.together import check_launch, directory_class, ending_with, refuse_launch


def run_and_summarise(
    config: Config,
    out: Path | None,
    overwrite: bool,
    quiet: bool,
    log: Sequence[str] = (),
    cluster: str | None = None,
) -> None:
    """Run an experiment, draw its figures, print what it found and log it to the loggers named.

    Its seeds are trained on a ``cluster``, where the address of a Dask scheduler is given.

    Raises:
        UserError: something in what the user gave cannot be used.
    """
    directory = directory_class().new(out, f"{config.experiment}-{_file_name(config.model)}", overwrite)
    keep_out_of_data(config, directory.path)
    _run_to_the_end(config, directory, quiet, log, cluster=cluster)


def put_together_and_summarise(
    runs: Sequence[Path],
    weights: Sequence[float] | None,
    moved: Mapping[str, Any],
    out: Path | None,
    overwrite: bool,
    quiet: bool,
    log: Sequence[str] = (),
) -> None:
    """Put finished runs together to one, to end as :func:`run_and_summarise` does.

    Args:
        runs: their folders.
        weights: one a run; None is equal ones.
        moved: options that replace those of the first run's config, such as where the data are now.
        out, overwrite, quiet, log: as for a run.

    Raises:
        UserError: the runs, the weights, the data or ``out`` cannot be used.
    """
    refuse_launch("an ensemble")
    ensemble = load_ensemble(runs, weights, moved)
    directory = RunDirectory.new(out, f"{ensemble.config.experiment}-ensemble", overwrite)
    ensemble.check_kept_apart(directory.path)
    keep_out_of_data(ensemble.config, directory.path)
    _run_to_the_end(ensemble.config, directory, quiet, log, partial(run_study, training=ensemble.training))


def _file_name(model: str) -> str:
    """A model as part of a folder's name: of a person's own, the function's."""
    return model.rpartition(":")[2]


def resume_and_summarise(
    path: Path,
    experiment: str,
    given: Mapping[str, Any],
    quiet: bool,
    log: Sequence[str] = (),
    cluster: str | None = None,
) -> None:
    """Resume an interrupted run, to end as :func:`run_and_summarise` would have.

    Args:
        path: the run directory.
        experiment: the one whose command was called.
        given: the options that were given by hand, by name.
        quiet: no progress.
        log: loggers, by name.
        cluster: where seeds are trained, as for a run.

    Raises:
        UserError: there is no such run, or an option would change its results.
    """
    directory = directory_class().resumed(path)
    _run_to_the_end(resumed_config(directory, experiment, given), directory, quiet, log, cluster=cluster)


def _run_to_the_end(
    config: Config,
    directory: RunDirectory,
    quiet: bool,
    log: Sequence[str],
    run: Callable[..., Result] = run_study,
    cluster: str | None = None,
) -> None:
    check_launch(find_study(config.experiment), config)
    if cluster is not None:
        refuse_launch(spell("cluster"))
    if find_ranks().follows:
        _follow(config, directory, run)
        return
    finishers = Finishers(type(config).__module__.rpartition(".")[0])
    progress, loggers = RunProgress(None if quiet else Console()), Loggers(log)
    if directory.resumes:
        loggers.take_up(directory.path)
    run = partial(run, live=Live([write_live_page, loggers.follow]))
    with interruptible(lambda: directory.resume_command) as interruption, ending_with(directory):
        if not finishers.there_are_some:
            run = partial(run, meanwhile=_import_drawing)
        with _on_cluster(run, config, directory, cluster) as run:
            result = _run_unless_finished(config, directory, progress.console, interruption, run)
        progress.stage("drawing the figures")
        progress.stage("writing the report")
        finishers.finish(result, directory.path)
    print_summary(result, directory.path)
    loggers.finish(result, directory.path)


def _follow(config: Config, directory: RunDirectory, run: Callable[..., Result]) -> None:
    """Do this process's part of a run that another one leads."""
    with ending_with(directory):
        if not directory.is_finished:
            _run_unless_finished(config, directory, None, Interruption(), run)


@contextmanager
def _on_cluster(
    run: Callable[..., Result], config: Config, directory: RunDirectory, cluster: str | None
) -> Iterator[Callable[..., Result]]:
    """What runs an experiment whose seeds are trained on a cluster, where one is given."""
    if cluster is None or directory.is_finished:
        yield run
        return
    backend = config.backend if find_study(config.experiment).trains(config.to_dict()) else None
    # What starts processes is not imported for every run.
    open_pool = import_module("keras_dnnts.cli.workers").open_pool
    train_elsewhere = import_module("keras_dnnts.running.seeds_elsewhere").SeedsElsewhere
    with closing(open_pool(cluster, None, config.seeds, directory.path, backend, config.device)) as pool:
        try:
            yield partial(run, elsewhere=train_elsewhere(pool))
        except PassingError as error:
            raise _stopped_by(error.args[0], directory, f" {spell('cluster')} {shlex.quote(cluster)}") from error


def _run_unless_finished(
    config: Config,
    directory: RunDirectory,
    console: Console | None,
    interruption: Interruption,
    run: Callable[..., Result],
) -> Result:
    if directory.resumes and directory.is_finished:
        directory.tidy()
        print(f"{directory.path}: is finished; nothing is left to train")
        return load_result(directory.path)
    try:
        return run(config, directory, console, interruption, spell=spell)
    except Interrupted:
        may_speak()  # or other processes would speak of this one's end
        exit_interrupted(directory.resume_command)
    except OSError as error:
        raise _stopped_by(f"{directory.path}: {error.strerror or error}", directory) from error
    except Exception as error:
        if problem := explain_engine_failure(error):
            raise _stopped_by(problem, directory) from error
        raise


def _stopped_by(problem: str, directory: RunDirectory, more: str = "") -> UserError:
    advice = directory.resume_command
    return UserError("; ".join(filter(None, [problem, advice and advice + more])))


def _import_drawing() -> None:
    """Import what draws figures, which takes a second; what is wrong with it will be said where they are drawn."""
    with suppress(Exception):
        import_module("keras_dnnts.figures")
