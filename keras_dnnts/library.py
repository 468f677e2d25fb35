"""What a Python program calls in place of the commands."""

import contextlib
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from keras_dnnts import report
from keras_dnnts.config import Config
from keras_dnnts.errors import UserError, option_name
from keras_dnnts.export.verified import export_verified
from keras_dnnts.results import Result, load_result
from keras_dnnts.results.comparison import describe_comparison, label_folders, load_runs, save_tables
from keras_dnnts.running.ensembles import load_ensemble
from keras_dnnts.running.resuming import resumed_config
from keras_dnnts.running.run import run_study
from keras_dnnts.running.run_directory import RunDirectory
from keras_dnnts.running.together import directory_class

NAMES = {"out": "folder"}  # arguments that have another name than the command's option


def run(
    config: Config,
    folder: str | Path | None = None,
    console: Console | None = None,
    *,
    overwrite: bool = False,
    resume: bool = False,
    callbacks: Sequence[Any] = (),
) -> Result:
    """Train, evaluate and illustrate the models of a config: the study's command without its figures.

    Args:
        config: all options; a study's config without arguments has its command's defaults.
        folder: where config, history, models and results go; new or empty. None leaves no files.
        console: shows progress, e.g. ``rich.console.Console()``; None shows none.
        overwrite: replace an earlier run in ``folder``.
        resume: continue the interrupted run of this config in ``folder``; of a finished one, return what it found.
        callbacks: Keras callbacks for every seed's ``fit``, whose seeds then train one after the other. An epoch of
            ``fit`` is an epoch, or 1,000 updates where a model is trained one example at a time. Their state is not
            part of checkpoints.

    Raises:
        UserError: data, backend, device or folder cannot be used, the run to resume is another one, or the loss
            stopped being finite.

    >>> from keras_dnnts import NamesConfig, run
    >>> config = NamesConfig(dataset="starter", model="rnn", hidden_units=8, iterations=200)
    >>> result = run(config, "runs/small", overwrite=True)
    >>> 0 <= result.metrics["held_out_accuracy_by_class"].mean <= 1
    True
    >>> run(config, "runs/small", resume=True).metrics == result.metrics  # it is finished
    True
    """
    with _library_names(), _directory(folder, config.experiment, overwrite, resume) as directory:
        if resume:
            given = {name: value for name, value in config.to_dict().items() if name in config.options()}
            config = resumed_config(directory, config.experiment, given)
            if directory.is_finished:
                return load_result(directory.path)
        return run_study(config, directory, console, callbacks=callbacks)


@contextlib.contextmanager
def _directory(folder: str | Path | None, label: str, overwrite: bool, resume: bool) -> Iterator[RunDirectory]:
    if folder is None:
        if resume:
            raise UserError(f"{option_name('resume')} needs a {option_name('folder')}")
        with tempfile.TemporaryDirectory(prefix="keras-dnnts-") as temporary:
            yield directory_class().new(Path(temporary) / "run", label)
    elif resume:
        if overwrite:
            raise UserError(f"give either {option_name('resume')} or {option_name('overwrite')}")
        yield directory_class().resumed(Path(folder))
    else:
        yield directory_class().new(Path(folder), label, overwrite)


@contextlib.contextmanager
def _library_names() -> Iterator[None]:
    """Errors speak of this module's arguments where the command's options have other names."""
    try:
        yield
    except UserError as error:
        error.args = (error.spelled(lambda name: option_name(NAMES.get(name, name))),)
        raise


def write_report(run: str | Path, out: str | Path | None = None) -> Path:
    """Write the HTML page of a finished run from its saved results: ``keras-dnnts report``. Returns its path.

    Args:
        run: the run directory.
        out: file to write; None is ``report.html`` in the run directory.

    Raises:
        UserError: there is no finished run, or the page cannot be written.

    >>> from keras_dnnts import write_report
    >>> write_report("runs/gru").name
    'report.html'
    """
    path = None if out is None else Path(out)
    with _writable(path or Path(run)):
        return report.write_report(Path(run), path)


def compare_runs(runs: Sequence[str | Path], out: str | Path | None = None, html: bool = False) -> dict[str, Any]:
    """Compare finished runs of one study: ``keras-dnnts compare``.

    Args:
        runs: the run directories.
        out: folder that gets the tables and the figure; None writes nothing.
        html: also write ``report.html`` there.

    Returns:
        the content of ``comparison.json``: ``runs`` by name with their metrics, ``warnings`` and ``conclusions``.

    Raises:
        UserError: a run is not finished, the runs are of different studies, or ``out`` cannot be written.

    >>> from keras_dnnts import compare_runs
    >>> list(compare_runs(["runs/gru"])["runs"])
    ['gru']
    """
    folders = [Path(run) for run in runs]
    results = load_runs(folders)
    if out is not None:
        # Matplotlib takes a second to import.
        from keras_dnnts.figures.comparison import save_comparison

        folder = Path(out)
        with _writable(folder):
            folder.mkdir(parents=True, exist_ok=True)
            save_tables(results, folder)
            save_comparison(results, folder / "comparison.png")
            if html:
                report.write_comparison(results, folder, label_folders(folders))
    return describe_comparison(results)


def ensemble_runs(
    runs: Sequence[str | Path],
    folder: str | Path,
    weights: Sequence[float] | None = None,
    *,
    overwrite: bool = False,
) -> Result:
    """Put finished runs on the same data, splits and seeds together: ``keras-dnnts ensemble`` without its figures.

    Args:
        runs: the run directories, at least two.
        folder: where the run that they become goes, with their models; new or empty.
        weights: what each run's log-probabilities are multiplied by; None is equal weights that add up to 1.
        overwrite: replace an earlier run in ``folder``.

    Raises:
        UserError: the runs do not fit together, or their data or ``folder`` cannot be used.

    >>> from keras_dnnts import NamesConfig, ensemble_runs, run
    >>> for model in ("naive-bayes", "markov"):
    ...     result = run(NamesConfig(dataset="starter", model=model), f"runs/{model}", overwrite=True)
    >>> ensemble_runs(["runs/naive-bayes", "runs/markov"], "runs/both", [1, 0.25], overwrite=True).model_name
    'Naive Bayes + 0.25 × Markov model'
    """
    with _library_names():
        ensemble = load_ensemble([Path(run) for run in runs], weights)
        directory = RunDirectory.new(Path(folder), ensemble.config.experiment, overwrite)
        ensemble.check_kept_apart(directory.path)
        return run_study(ensemble.config, directory, training=ensemble.training)


def export_model(
    run: str | Path,
    out: str | Path | None = None,
    seed: int | None = None,
    length: int | None = None,
    backend: str | None = None,
    code: str | None = None,
) -> Path:
    """Write a run's model as ONNX, compared with the Keras model: ``keras-dnnts export``. Returns the file's path.

    Args:
        run: the run directory.
        out: file to write; None is beside the model.
        seed: whose model; None is the first.
        length: letters of the padded names; None is the longest of the run's data, at least 19.
        backend: engine to compare with; None is the run's own, or torch for a model of your own.
        code: where the model comes from your own code, that code, ``FILE.py:FUNCTION``.

    Raises:
        UserError: the run, its model or ``out`` cannot be used, ``keras_dnnts[onnx]`` is not installed, or the outputs
            differ.

    >>> from keras_dnnts import export_model
    >>> export_model("runs/gru").name
    'model-seed-0.onnx'
    """
    return export_verified(Path(run), None if out is None else Path(out), seed, length, backend, code).path


@contextlib.contextmanager
def _writable(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UserError(f"{path}: cannot be written: {error.strerror or error}") from error
