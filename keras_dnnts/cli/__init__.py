"""The command line: options to a config, one call, one printed summary. Imports no engine."""

import contextlib
import logging
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

import click

from keras_dnnts import __version__
from keras_dnnts.cli.output import CLOSED_PIPE_EXIT_CODE, OutputError, be_patient, noticed_output
from keras_dnnts.config import (
    ARCHITECTURES,
    BACKENDS,
    CELLS,
    DEVICES,
    ENGINES,
    IMAGE_DATASETS,
    NAMES_DATASETS,
    PRECISIONS,
    PROTOCOLS,
    CifarConfig,
    Config,
    NamesConfig,
)
from keras_dnnts.errors import UserError

NAMES_PROTOCOLS = """
\b
Protocols:
  sound      20 % of the distinct names are held out, every copy of a name in
             every language on one side; accuracy is also measured on them.
  reference  the notebook's: all lines are trained on, nothing is held out, and
             accuracy is measured on the training names.
"""

CIFAR_PROTOCOLS = """
\b
Protocols:
  sound      only training images are augmented, with one smooth resampling;
             the weights of the epoch with the lowest validation loss are kept.
  reference  the notebook's: validation and test images are augmented too, by its
             own operations, and the last epoch's weights are kept.
\b
Parts: the training images are split 70/10/20 by class into training, validation
and a rest. Where there are test images (CIFAR-10, a test/ folder) the rest is set
aside; otherwise it is the test part.
"""

PREDICT_EXAMPLES = """
\b
Examples:
  keras-dnnts predict runs/gru Hinton Schmidhuber Satoshi
  keras-dnnts predict runs/gru --csv < names.txt > languages.csv
  keras-dnnts predict runs/alexnet photos/ cat.jpg --top-k 5 --json
"""

Log = tuple[str, ...]


LONGEST_COMPLAINT = 800  # characters


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line; a mistake in what the user gave is one line on stderr and exit code 2."""
    os.environ["MPLBACKEND"] = "agg"  # figures go to files, with or without a screen
    with noticed_output() as output:
        logging.basicConfig(format="keras-dnnts: %(message)s", level=logging.WARNING, force=True)
        try:
            code = _run_command(arguments)
            output.flush()
        except OutputError:
            code = CLOSED_PIPE_EXIT_CODE
        if reason := output.reason_of_loss:
            code = _complain(f"stdout cannot be written: {reason}")
    sys.exit(code)


def _run_command(arguments: Sequence[str] | None) -> int:
    """Run a command and return its exit code."""
    try:
        cli.main(arguments, prog_name="keras-dnnts", standalone_mode=False)
    except click.ClickException as error:
        return _complain(error.format_message())
    except UserError as error:
        return _complain(str(error))
    except (click.Abort, KeyboardInterrupt):
        _tell("interrupted")
        return 130
    except click.exceptions.Exit as error:
        return error.exit_code
    return 0


def _complain(message: str) -> int:
    line = " ".join(message.split())
    # What was wrong may be as long as the user's input.
    _tell(line if len(line) <= LONGEST_COMPLAINT else f"{line[:LONGEST_COMPLAINT]}…")
    return 2


def _tell(line: str) -> None:
    with contextlib.suppress(OSError):  # there may be nobody to tell
        print(f"keras-dnnts: {line}", file=sys.stderr, flush=True)


LOGGERS = ("tensorboard", "mlflow")

HELP_SECTIONS = {
    "Data": ("dataset", "data_dir", "dataset_name", "image_size", "train_images", "letters", "held_out"),
    "Model": ("cell", "arch", "hidden_units", "width"),
    "Training": (
        "protocol",
        "iterations",
        "epochs",
        "batch_size",
        "learning_rate",
        "step_epochs",
        "step_factor",
        "patience",
        "seed",
        "seeds",
    ),
    "Engine": ("backend", "device", "engine", "precision"),
    "Output": ("embedding_images", "out", "overwrite", "resume", "checkpoint_seconds", "quiet", "log"),
}


class SectionedCommand(click.Command):
    """A command whose help lists its options by :data:`HELP_SECTIONS`."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options, a section after the other, and what is in none of them last."""
        records = {option.name: option.get_help_record(ctx) for option in self.get_params(ctx)}
        sections = {
            title: [records.pop(name) for name in names if name in records] for title, names in HELP_SECTIONS.items()
        }
        for title, rows in {**sections, "Other": [*records.values()]}.items():
            with formatter.section(title):
                formatter.write_dl([row for row in rows if row is not None])


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="keras-dnnts")
def cli() -> None:
    """Two studies in Keras 3: CNNs trained from scratch on CIFAR-10, and recurrent cells that tell a surname's
    language, trained one example at a time.
    """


def _options(*decorators: Callable) -> Callable:
    def decorate(command: Callable) -> Callable:
        for decorator in reversed(decorators):
            command = decorator(command)
        return command

    return decorate


def _choice(name: str, choices: Sequence[str], default: str, what: str) -> Callable:
    return click.option(name, type=click.Choice(choices), default=default, show_default=True, help=what)


def _number(name: str, default: float, what: str) -> Callable:
    return click.option(name, type=type(default), default=default, show_default=True, help=what)


def _default_backend() -> str:
    backend = os.environ.get("KERAS_BACKEND") or "torch"
    if backend not in BACKENDS:
        raise UserError(f"KERAS_BACKEND is {backend!r}: set it to one of {', '.join(BACKENDS)}, or use --backend")
    return backend


def _check_loggers(context: click.Context, option: click.Parameter, names: tuple[str, ...]) -> tuple[str, ...]:
    if names:
        from keras_dnnts.loggers import check_loggers

        check_loggers(names)
    return names


output_options = _options(
    click.option("--out", type=click.Path(path_type=Path), help="Run directory.  [default: a new one under runs/]"),
    click.option("--overwrite", is_flag=True, help="Replace an earlier run in --out."),
    click.option("--quiet", is_flag=True, help="No progress, only the summary."),
    click.option(
        "--log",
        type=click.Choice(LOGGERS),
        multiple=True,
        callback=_check_loggers,
        help="Log the finished run there too; may be repeated.",
    ),
)
resume_option = click.option(
    "--resume",
    metavar="RUN",
    type=click.Path(path_type=Path),
    help="Go on with an interrupted run, which knows its options.",
)
engine_options = _options(
    click.option(
        "--backend",
        type=click.Choice(BACKENDS),
        default=_default_backend,
        show_default="$KERAS_BACKEND, else torch",
        help="Engine under Keras.",
    ),
    click.option("--device", type=click.Choice(DEVICES), default="auto", show_default=True, help="Where to compute."),
)
seed_options = _options(
    click.option("--seed", type=int, default=Config.seed, show_default=True, help="First seed."),
    click.option("--seeds", type=int, default=Config.seeds, show_default=True, help="Number of independent runs."),
)


@cli.command(cls=SectionedCommand, epilog=NAMES_PROTOCOLS)
@click.option("--cell", type=click.Choice(CELLS), default=NamesConfig.cell, show_default=True, help="Recurrent cell.")
@click.option(
    "--protocol", type=click.Choice(PROTOCOLS), default=NamesConfig.protocol, show_default=True, help="See below."
)
@click.option(
    "--dataset",
    type=click.Choice(NAMES_DATASETS),
    default=NamesConfig.dataset,
    show_default=True,
    help="Real names, bundled starter names, or auto: the real ones if cached or downloadable, else starter names.",
)
@click.option("--data-dir", type=click.Path(), help="Your own data: a folder of <Category>.txt files, one name a line.")
@click.option("--letters", default=NamesConfig.letters, help="Usable letters.  [default: the reference's 57]")
@click.option(
    "--held-out",
    type=float,
    default=NamesConfig.held_out,
    show_default=True,
    help="Fraction of the distinct names held out (protocol sound).",
)
@click.option("--hidden-units", type=int, default=NamesConfig.hidden_units, show_default=True, help="Recurrent units.")
@click.option(
    "--iterations", type=int, default=NamesConfig.iterations, show_default=True, help="Updates, one example each."
)
@click.option(
    "--learning-rate",
    type=float,
    default=NamesConfig.learning_rate,
    show_default=True,
    help="Step size of weight -= rate * gradient.",
)
@click.option(
    "--engine",
    type=click.Choice(ENGINES),
    default=NamesConfig.engine,
    show_default=True,
    help="fused: one compiled kernel on the CPU; generic: automatic differentiation, any device.",
)
@seed_options
@engine_options
@_number("--checkpoint-seconds", NamesConfig.checkpoint_seconds, "Least time between two checkpoints.")
@resume_option
@output_options
def names(resume: Path | None, out: Path | None, overwrite: bool, quiet: bool, log: Log, **values: Any) -> None:
    """Train a recurrent cell to tell a surname's language, one example at a time."""
    _start_or_resume(NamesConfig, values, resume, out, overwrite, quiet, log)


@cli.command(cls=SectionedCommand, epilog=CIFAR_PROTOCOLS)
@_choice("--arch", tuple(ARCHITECTURES), CifarConfig.arch, "Network.")
@_choice("--protocol", PROTOCOLS, CifarConfig.protocol, "See below.")
@_choice(
    "--dataset",
    IMAGE_DATASETS,
    CifarConfig.dataset,
    "CIFAR-10, scikit-learn's digits, or auto: CIFAR-10 if cached or downloadable, else the digits.",
)
@click.option(
    "--data-dir",
    type=click.Path(),
    help="Your own images: a folder or archive (tar, zip) with a folder a class, or CIFAR-10's original batches.",
)
@click.option("--dataset-name", help="What results and titles call --data-dir.")
@click.option("--train-images", type=int, help="Images to keep in the training part, drawn by class.  [default: all]")
@_number("--image-size", CifarConfig.image_size, "Pixels a side, at least 63 (alexnet) or 33 (resnet50).")
@_number("--width", CifarConfig.width, "Factor on every layer's number of channels or units.")
@_number("--epochs", CifarConfig.epochs, "Most epochs to train.")
@_number("--batch-size", CifarConfig.batch_size, "Images a step.")
@click.option("--learning-rate", type=float, help="Adam's first rate.  [default: 0.001 (alexnet), 0.0001 (resnet50)]")
@_number("--step-epochs", CifarConfig.step_epochs, "Epochs between two changes of the rate.")
@click.option("--step-factor", type=float, help="Factor of such a change.  [default: 1 (alexnet), 0.5 (resnet50)]")
@_number("--patience", CifarConfig.patience, "Epochs without a lower validation loss that end training.")
@_choice("--precision", PRECISIONS, CifarConfig.precision, "Of the computation; weights and loss stay float32.")
@_number("--embedding-images", CifarConfig.embedding_images, "Test images in the t-SNE maps.")
@seed_options
@engine_options
@_number("--checkpoint-seconds", CifarConfig.checkpoint_seconds, "Least time between two checkpoints.")
@resume_option
@output_options
def cifar(resume: Path | None, out: Path | None, overwrite: bool, quiet: bool, log: Log, **values: Any) -> None:
    """Train AlexNet or ResNet50 on CIFAR-10 from scratch."""
    _start_or_resume(CifarConfig, values, resume, out, overwrite, quiet, log)


@cli.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--data-dir", type=click.Path(), help="Data in place of the file's.")
@click.option("--dataset-name", help="What results and titles call --data-dir (cifar).")
@click.option("--seeds", type=int, help="Number of independent runs in place of the file's.")
@click.option("--backend", type=click.Choice(BACKENDS), help="Engine in place of the file's.")
@click.option("--device", type=click.Choice(DEVICES), help="Device in place of the file's.")
@output_options
def run(file: Path, out: Path | None, overwrite: bool, quiet: bool, log: Log, **overrides: Any) -> None:
    """Run the experiment a TOML FILE describes, such as experiments/names_gru.toml or a run's config.toml."""
    from keras_dnnts.config import load_config

    given = {name: value for name, value in overrides.items() if value is not None}
    _run(load_config(file, given), out, overwrite, quiet, log)


@cli.command()
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), help="Where to write.  [default: a new folder under runs/]")
@click.option("--html", is_flag=True, help="Also write report.html: what one may conclude, and every run's details.")
def compare(runs: tuple[Path, ...], out: Path | None, html: bool) -> None:
    """Compare finished RUNS: one table (terminal, Markdown, JSON) and one figure."""
    from keras_dnnts.cli.summary import compare_runs

    be_patient()  # what it prints, it also writes
    compare_runs(runs, out, html)


@cli.command()
@click.argument("run_directory", metavar="RUN", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), help="File to write.  [default: RUN/report.html]")
def report(run_directory: Path, out: Path | None) -> None:
    """Write the HTML page of a finished RUN anew, from its saved results alone."""
    from keras_dnnts.cli.summary import redraw_report

    redraw_report(run_directory, out)


@cli.command(epilog=PREDICT_EXAMPLES)
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("inputs", metavar="[INPUT]...", nargs=-1)
@click.option("--file", metavar="FILE", type=click.Path(path_type=Path), help="Names, one a line.")
@click.option("--top-k", "top", type=click.IntRange(min=1), default=3, show_default=True, help="Guesses an input.")
@click.option("--seed", type=int, help="Whose model, of a run with several seeds.  [default: the first]")
@click.option("--json", "output", flag_value="json", type=str, help="One JSON document, a prediction a line.")
@click.option("--csv", "output", flag_value="csv", type=str, help="A header and a row an input.")
@click.option("--table", "output", flag_value="table", type=str, default="table", help="A line an input (default).")
@click.option("--backend", type=click.Choice(BACKENDS), help="Engine, for images.  [default: the run's]")
@click.option("--device", type=click.Choice(DEVICES), default="auto", show_default=True, help="Where, for images.")
def predict(run: Path, inputs: tuple[str, ...], file: Path | None, **options: Any) -> None:
    """Ask the model of a finished RUN about INPUTs: names, or image files and folders of them.

    Without INPUT, or for the INPUT "-", names are read from standard input, one a line.
    """
    from keras_dnnts.cli.predict import predict_and_print

    predict_and_print(run, inputs, file, **options)


@cli.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--format", type=click.Choice(("onnx",)), required=True, help="What to write.")
@click.option("--out", type=click.Path(path_type=Path), help="File to write.  [default: RUN/model-seed-….onnx]")
@click.option("--seed", type=int, help="Whose model, of a run with several seeds.  [default: the first]")
@click.option(
    "--length",
    type=click.IntRange(min=1),
    help="Letters of the padded names.  [default: the longest of the run's data, at least 19]",
)
@click.option("--backend", type=click.Choice(BACKENDS), help="Engine to compare with.  [default: the run's]")
def export(run: Path, format: str, out: Path | None, **options: Any) -> None:
    """Export the model of a finished RUN, and compare it with the Keras model on the spot."""
    from keras_dnnts.cli.export import export_and_verify

    export_and_verify(run, out, **options)


@cli.command()
@click.option("--fetch", is_flag=True, help="Download and prepare what is not cached yet.")
def data(fetch: bool) -> None:
    """List the data sets and where they are cached."""
    from keras_dnnts.cli.summary import list_data

    list_data(fetch)


def _run(config: Config, out: Path | None, overwrite: bool, quiet: bool, log: Log) -> None:
    # Imported here: --help and --version must not wait for NumPy.
    from keras_dnnts.cli.summary import run_and_summarise

    be_patient()
    run_and_summarise(config, out, overwrite, quiet, log)


def _start_or_resume(
    kind: type[Config],
    values: dict[str, Any],
    resume: Path | None,
    out: Path | None,
    overwrite: bool,
    quiet: bool,
    log: Log,
) -> None:
    if resume is None:
        _run(kind.from_dict(values, where=kind.experiment), out, overwrite, quiet, log)
        return
    if out is not None or overwrite:
        raise UserError(f"--resume {resume}: goes on in that folder, without --out and --overwrite")
    context = click.get_current_context()
    by_hand = click.core.ParameterSource.COMMANDLINE
    given = {name: value for name, value in values.items() if context.get_parameter_source(name) is by_hand}
    from keras_dnnts.cli.summary import resume_and_summarise

    be_patient()
    resume_and_summarise(resume, kind.experiment, given, quiet, log)
