"""The commands. Each imports what it needs once it is called: ``--help`` must not wait for NumPy's friends."""

import importlib
from pathlib import Path
from typing import Any

import click

from keras_dnnts import __version__
from keras_dnnts.cli.options import (
    OUTPUT,
    SectionedCommand,
    add_options,
    check_used,
    config_options,
    default_backend,
    given_model,
    given_values,
    model_options,
    replacing_options,
    setting_option,
    spell,
)
from keras_dnnts.cli.output import be_patient
from keras_dnnts.config import BACKENDS, DEVICES, Config, OtherDataError, config_class, config_from_dict, read_toml
from keras_dnnts.errors import UserError
from keras_dnnts.own_models import check_allowed
from keras_dnnts.ranks import find_ranks
from keras_dnnts.registry import find_study, study_names
from keras_dnnts.study import Study

PREDICT_EXAMPLES = """
\b
Examples:
  keras-dnnts predict runs/gru Hinton Schmidhuber Satoshi
  keras-dnnts predict runs/gru --csv < names.txt > languages.csv
  keras-dnnts predict runs/alexnet photos/ cat.jpg --top-k 5 --json
"""
LOGGERS = ("tensorboard", "mlflow", "wandb")
OUTPUT_NAMES = ("out", "overwrite", "quiet", "log", "dry_run", "cluster")
Log = tuple[str, ...]


class Commands(click.Group):
    """The commands, one of each study among them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The studies first."""
        return [*study_names(), *super().list_commands(ctx)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """A command by its name."""
        if cmd_name in study_names():
            return study_command(find_study(cmd_name))
        return super().get_command(ctx, cmd_name)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="keras-dnnts")
def cli() -> None:
    """Two studies in Keras 3: CNNs trained from scratch on CIFAR-10, and recurrent networks that classify surnames by
    language, trained one example at a time.
    """


def _check_loggers(context: click.Context, option: click.Parameter, names: Log) -> Log:
    if names:
        importlib.import_module("keras_dnnts.loggers").check_loggers(names)
    return names


def cluster_option() -> click.Option:
    """Where runs go."""
    return click.Option(
        ["--cluster"],
        metavar="ADDRESS",
        help="Run on the workers of the Dask scheduler at this address, such as tcp://host:8786, each seed or run of a "
        "sweep on one of them.  [default: here]",
    )


def output_options() -> list[click.Option]:
    """Options of every command that runs something."""
    return [
        click.Option(
            ["--out"], type=click.Path(path_type=Path), help="Run directory.  [default: a new one under runs/]"
        ),
        click.Option(["--overwrite"], is_flag=True, help="Replace an earlier run in --out."),
        click.Option(["--quiet"], is_flag=True, help="Print only the summary, no progress."),
        click.Option(
            ["--log"],
            type=click.Choice(LOGGERS),
            multiple=True,
            callback=_check_loggers,
            help="Also log the run to this tool, while it runs and at its end; may be repeated.",
        ),
        click.Option(
            ["--dry-run"], is_flag=True, help="Only print the complete config, the data and the model's size."
        ),
        cluster_option(),
        setting_option(),
    ]


def _refusing_devices(study: Study) -> click.Option:
    """``--devices`` of a study that computes on one, which says why."""

    def refuse(context: click.Context, option: click.Parameter, value: str | None) -> None:
        if value not in (None, "1"):
            raise UserError(f"{option.opts[0]} {value}: {study.one_device}: leave it out")

    return click.Option(["--devices"], hidden=True, expose_value=False, callback=refuse)


def study_command(study: Study) -> click.Command:
    """The command that runs a study, with an option for every field of its config."""

    def run_study(resume: Path | None, **values: Any) -> None:
        output = {name: values.pop(name) for name in OUTPUT_NAMES}
        given = given_values(values, values.pop("settings"), study.config, study.name)
        if resume is not None:
            _resume(study, resume, given, **output)
            return
        given_by_hand = tuple(given)
        if "backend" not in given:
            given["backend"] = default_backend()
        config = study.config.from_dict(given, where=study.name)
        check_used(study, config, given_by_hand)
        _run(config, **output)

    resume = click.Option(
        ["--resume"],
        metavar="RUN",
        type=click.Path(path_type=Path),
        help="Resume an interrupted run, with the options it was started with.",
    )
    own, shared = config_options(study.config), [resume, *output_options()]
    if study.one_device:
        own.append(_refusing_devices(study))
    sections = {name: about.section for name, about in study.config.options().items()}
    sections |= {old: sections[new] for old, new in study.config.renamed.items()}
    return SectionedCommand(
        study.name,
        callback=run_study,
        params=[*own, *shared],
        help=study.about,
        epilog=study.epilog,
        sections=sections | {option.name or "": OUTPUT for option in shared},
    )


def run(file: Path, settings: tuple[str, ...], allow_other_data: bool, **values: Any) -> None:
    """Run the experiment described by a TOML FILE, such as experiments/names_gru.toml or a run's config.toml."""
    output = {name: values.pop(name) for name in OUTPUT_NAMES}
    written = read_toml(file)
    config_type = config_class(written.get("experiment"), str(file))
    option = config_type.model_option
    if (model := given_model(values)) is not None:
        values[option] = model
    given = given_values(values, settings, config_type, str(file))
    values = {**config_type.with_present_names(written, str(file)), **given}
    if allow_other_data:
        values.pop("content_hash", None)
    config = config_from_dict(values, where=str(file))
    check_used(find_study(config.experiment), config, given)
    check_allowed(config.model, given.get(option), str(file), option)
    try:
        _run(config, **output)
    except OtherDataError as error:
        raise UserError(f"{file}: {error.args[0]}; {spell('allow_other_data')} runs it on other data") from error


ALLOW_OTHER_DATA = click.Option(
    ["--allow-other-data"], is_flag=True, help="Run even if the data do not match the hash in FILE."
)
add_options(run, [*replacing_options(), ALLOW_OTHER_DATA, *output_options()])
cli.command(short_help="Run the experiment of a TOML file.")(
    click.argument("file", type=click.Path(path_type=Path))(run)
)


def sweep(file: Path, settings: tuple[str, ...], **options: Any) -> None:
    """Run the experiment of a TOML FILE under every combination of the settings in its table [sweep].

    Settings are compared on a validation part of the training data; only the chosen ones are judged on held-out or test
    data. Given again with the same --out, a sweep goes on where it was interrupted and repeats nothing.
    """
    names = ("out", "workers", "quiet", "dry_run", "test_all", "figures", "cluster")
    how = {name: options.pop(name) for name in names}
    config_type = config_class(read_toml(file).get("experiment"), str(file))
    if (model := given_model(options)) is not None:
        options[config_type.model_option] = model
    given = given_values(options, settings, config_type, str(file))
    be_patient()
    module = importlib.import_module("keras_dnnts.cli.sweep")
    how["shows_all_final"] = how.pop("test_all")
    if code := module.sweep_and_summarise(file, given, given.get(config_type.model_option), **how):
        raise click.exceptions.Exit(code)


add_options(
    sweep,
    [
        *replacing_options(),
        click.Option(
            ["--out"], type=click.Path(path_type=Path), help="Folder of the sweep.  [default: a new one under runs/]"
        ),
        cluster_option(),
        click.Option(["--workers"], type=click.IntRange(min=1), help="Runs at a time.  [default: one a GPU or core]"),
        click.Option(["--quiet"], is_flag=True, help="Print only the summary, no progress."),
        click.Option(["--dry-run"], is_flag=True, help="Only list the runs."),
        click.Option(["--figures"], is_flag=True, help="Also draw the figures of every run, which takes seconds each."),
        click.Option(
            ["--test-all"],
            is_flag=True,
            help="Judge every combination on held-out or test data, and not the chosen one alone. Whoever chooses by "
            "these numbers has no data left that had no part in the choice: the chosen one's number is then too good.",
        ),
        setting_option(),
    ],
)
cli.command(short_help="Run an experiment under many settings and compare them.")(
    click.argument("file", type=click.Path(path_type=Path))(sweep)
)


class Weights(click.ParamType):
    """Numbers with commas between them."""

    name = "numbers"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Read the numbers."""
        try:
            return tuple(map(float, value.split(","))) if isinstance(value, str) else value
        except ValueError:
            self.fail(f"{value!r}: give numbers with commas between them, such as 1,0.25", param, ctx)


def ensemble(runs: tuple[Path, ...], weights: tuple[float, ...] | None, **options: Any) -> None:
    """Put finished RUNS on the same data, splits and seeds together, to a run like any other, which keeps their models.

    For each seed, the RUNS' log-probabilities are summed, each first brought to even class frequencies.
    """
    moved = {name: value for name in MOVABLE if (value := options.pop(name)) is not None}
    be_patient()
    _experiment(options["quiet"], f"{len(runs)} runs together").put_together_and_summarise(
        runs, weights, moved, **options
    )


MOVABLE = ("data_dir", "backend", "device")
add_options(
    ensemble,
    [
        click.Option(
            ["--weights"],
            type=Weights(),
            metavar="W,W,…",
            help="What each RUN's log-probabilities are multiplied by.  [default: equal weights that add up to 1]",
        ),
        click.Option(["--data-dir"], type=click.Path(), help="Where the data are now.  [default: the first RUN's]"),
        click.Option(
            ["--backend"], type=click.Choice(BACKENDS), help="Engine, where one is needed.  [default: likewise]"
        ),
        click.Option(
            ["--device"], type=click.Choice(DEVICES), help="Device, where an engine is needed.  [default: likewise]"
        ),
        *(option for option in output_options() if option.name not in ("dry_run", "settings", "cluster")),
    ],
)
cli.command(short_help="Put finished runs together to one.")(
    click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path))(ensemble)
)


@cli.command(short_help="Compare finished runs in a table, a figure and a page.")
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), help="Folder to write to.  [default: a new folder under runs/]")
@click.option("--html", is_flag=True, help="Also write report.html with conclusions and every run's details.")
@click.option("--all", "details", is_flag=True, help="Print all metrics, not only those that runs are judged by.")
def compare(runs: tuple[Path, ...], out: Path | None, html: bool, details: bool) -> None:
    """Compare finished RUNS: one table (terminal, Markdown, JSON) and one figure."""
    be_patient()  # what it prints, it also writes
    _summary().compare_runs(runs, out, html, details)


@cli.command(short_help="Write the HTML page of a finished run again.")
@click.argument("run_directory", metavar="RUN", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), help="File to write.  [default: RUN/report.html]")
@click.option("--open", "show", is_flag=True, help="Open the page in a browser.")
def report(run_directory: Path, out: Path | None, show: bool) -> None:
    """Write the HTML page of a finished RUN again, from its saved results."""
    _summary().redraw_report(run_directory, out, show)


def predict(run: Path, inputs: tuple[str, ...], file: Path | None, **options: Any) -> None:
    """Classify INPUTs with the model of a finished RUN: names, or image files and folders of them.

    Without INPUT, or if INPUT is "-", names are read from standard input, one per line.
    """
    code = given_model(options)
    importlib.import_module("keras_dnnts.cli.predict").predict_and_print(run, inputs, file, code=code, **options)


add_options(
    predict,
    [
        click.Option(["--file"], metavar="FILE", type=click.Path(path_type=Path), help="File of names, one per line."),
        click.Option(
            ["--top-k", "top"], type=click.IntRange(min=1), default=3, show_default=True, help="Guesses per input."
        ),
        click.Option(["--seed"], type=int, help="Seed of the model to use.  [default: the run's first]"),
        click.Option(
            ["--json", "output"], flag_value="json", type=str, help="One JSON document, one prediction per line."
        ),
        click.Option(["--csv", "output"], flag_value="csv", type=str, help="A header and one row per input."),
        click.Option(
            ["--table", "output"], flag_value="table", type=str, default="table", help="One line per input (default)."
        ),
        click.Option(["--backend"], type=click.Choice(BACKENDS), help="Engine, for images.  [default: the run's]"),
        click.Option(
            ["--device"],
            type=click.Choice(DEVICES),
            default="auto",
            show_default=True,
            help="Device, for images.",
        ),
        click.Option(
            ["--prior"],
            type=click.Choice(("natural", "even")),
            help="Language frequencies to assume: as in training, or all equal.  [default: the model's]",
        ),
        *model_options(),
    ],
)
click.argument("inputs", metavar="[INPUT]...", nargs=-1)(predict)
cli.command(epilog=PREDICT_EXAMPLES, short_help="Classify names or images with a run's model.")(
    click.argument("run", type=click.Path(path_type=Path))(predict)
)


def export(run: Path, format: str, out: Path | None, **options: Any) -> None:
    """Export the model of a finished RUN and check its outputs against the Keras model's."""
    code = given_model(options)
    importlib.import_module("keras_dnnts.cli.export").export_and_print(run, out, code=code, **options)


add_options(
    export,
    [
        click.Option(["--format"], type=click.Choice(("onnx",)), required=True, help="File format."),
        click.Option(
            ["--out"], type=click.Path(path_type=Path), help="File to write.  [default: RUN/model-seed-….onnx]"
        ),
        click.Option(["--seed"], type=int, help="Seed of the model to use.  [default: the run's first]"),
        click.Option(
            ["--length"],
            type=click.IntRange(min=1),
            help="Length to which names are padded.  [default: the longest name in the run's data, at least 19]",
        ),
        click.Option(
            ["--backend"],
            type=click.Choice(BACKENDS),
            help="Engine to compare with.  [default: the run's; torch for your own model]",
        ),
        *model_options(),
    ],
)
cli.command(short_help="Export a run's model to ONNX.")(click.argument("run", type=click.Path(path_type=Path))(export))


@cli.command(short_help="List data sets and cached images.")
@click.option("--fetch", is_flag=True, help="Download and prepare what is not cached yet.")
@click.option("--clear-cache", is_flag=True, help="Remove the cached decoded images of your own data.")
def data(fetch: bool, clear_cache: bool) -> None:
    """List the data sets and where they are kept, and the decoded images of your own data."""
    module = importlib.import_module("keras_dnnts.cli.data")
    if clear_cache:
        module.clear_cache()
    if fetch or not clear_cache:
        module.list_data(fetch)


@cli.command(short_help="List runs, how far they have come, and how to resume them.")
@click.argument("folder", default="runs", type=click.Path(path_type=Path))
def runs(folder: Path) -> None:
    """List the runs in FOLDER ("runs" if it is left out) and below: model, result, seeds and state.

    Below the table stands how to resume what was interrupted, and why runs failed.
    """
    importlib.import_module("keras_dnnts.cli.runs").list_runs(folder)


@cli.command(short_help="Say which engines, devices, caches and extras there are.")
def doctor() -> None:
    """Say which engines, devices, threads, caches, data sets and extras there are, and what is missing for what."""
    importlib.import_module("keras_dnnts.cli.doctor").print_diagnosis()


def _summary() -> Any:
    return importlib.import_module("keras_dnnts.cli.summary")


def _experiment(quiet: bool, what: str) -> Any:
    if not quiet and not find_ranks().follows:  # imports take seconds
        print(f"{what}: reading the data", flush=True)
    return importlib.import_module("keras_dnnts.cli.experiment")


def _run(
    config: Config,
    out: Path | None,
    overwrite: bool,
    quiet: bool,
    log: Log,
    dry_run: bool,
    cluster: str | None,
) -> None:
    if dry_run:
        if not find_ranks().follows:
            importlib.import_module("keras_dnnts.cli.dry_run").print_plan(config)
        return
    be_patient()
    study, values = find_study(config.experiment), config.to_dict()
    what = ", ".join(filter(None, [study.model_title(values), study.use(values)]))
    _experiment(quiet, what).run_and_summarise(config, out, overwrite, quiet, log, cluster)


def _resume(
    study: Study,
    path: Path,
    given: dict[str, Any],
    out: Path | None,
    overwrite: bool,
    quiet: bool,
    log: Log,
    dry_run: bool,
    cluster: str | None,
) -> None:
    if out is not None or overwrite or dry_run:
        refused = ", ".join(map(spell, ("out", "overwrite")))
        raise UserError(f"{spell('resume')} {path}: cannot be combined with {refused} or {spell('dry_run')}")
    be_patient()
    _experiment(quiet, f"{path}, resumed").resume_and_summarise(path, study.name, given, quiet, log, cluster)
