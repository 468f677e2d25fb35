"""The command line: options to a config, one call, one printed summary. Imports no engine."""

import logging
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

import click

from keras_dnnts import __version__
from keras_dnnts.config import BACKENDS, CELLS, DEVICES, ENGINES, NAMES_DATASETS, PROTOCOLS, Config, NamesConfig
from keras_dnnts.errors import UserError

NAMES_PROTOCOLS = """
\b
Protocols:
  sound      20 % of the distinct names are held out, every copy of a name in
             every language on one side; accuracy is also measured on them.
  reference  the notebook's: all lines are trained on, nothing is held out, and
             accuracy is measured on the training names.
"""


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line; a mistake in what the user gave is one line on stderr and exit code 2."""
    logging.basicConfig(format="keras-dnnts: %(message)s", level=logging.WARNING, force=True)
    try:
        cli.main(arguments, prog_name="keras-dnnts", standalone_mode=False)
    except click.ClickException as error:
        _fail(error.format_message())
    except UserError as error:
        _fail(str(error))
    except (click.Abort, KeyboardInterrupt):
        print("keras-dnnts: interrupted", file=sys.stderr)
        sys.exit(130)
    except click.exceptions.Exit as error:
        sys.exit(error.exit_code)
    sys.exit(0)


def _fail(message: str) -> NoReturn:
    print(f"keras-dnnts: {' '.join(message.split())}", file=sys.stderr)
    sys.exit(2)


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


def _default_backend() -> str:
    return os.environ.get("KERAS_BACKEND") or "torch"


output_options = _options(
    click.option("--out", type=click.Path(path_type=Path), help="Run directory.  [default: a new one under runs/]"),
    click.option("--overwrite", is_flag=True, help="Replace an earlier run in --out."),
    click.option("--quiet", is_flag=True, help="No progress, only the summary."),
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


@cli.command(epilog=NAMES_PROTOCOLS)
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
@output_options
def names(out: Path | None, overwrite: bool, quiet: bool, **values: Any) -> None:
    """Train a recurrent cell to tell a surname's language, one example at a time."""
    _run(NamesConfig.from_dict(values, where="names"), out, overwrite, quiet)


@cli.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--data-dir", type=click.Path(), help="Data in place of the file's.")
@click.option("--seeds", type=int, help="Number of independent runs in place of the file's.")
@click.option("--backend", type=click.Choice(BACKENDS), help="Engine in place of the file's.")
@click.option("--device", type=click.Choice(DEVICES), help="Device in place of the file's.")
@output_options
def run(file: Path, out: Path | None, overwrite: bool, quiet: bool, **overrides: Any) -> None:
    """Run the experiment a TOML FILE describes, such as experiments/names_gru.toml or a run's config.toml."""
    from keras_dnnts.config import load_config

    given = {name: value for name, value in overrides.items() if value is not None}
    _run(load_config(file, given), out, overwrite, quiet)


@cli.command()
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), help="Where to write.  [default: a new folder under runs/]")
def compare(runs: tuple[Path, ...], out: Path | None) -> None:
    """Compare finished RUNS: one table (terminal, Markdown, JSON) and one figure."""
    from keras_dnnts.summary import compare_runs

    compare_runs(runs, out)


@cli.command()
@click.option("--fetch", is_flag=True, help="Download and prepare what is not cached yet.")
def data(fetch: bool) -> None:
    """List the data sets and where they are cached."""
    from keras_dnnts.summary import list_data

    list_data(fetch)


def _run(config: Config, out: Path | None, overwrite: bool, quiet: bool) -> None:
    # Imported here: --help and --version must not wait for NumPy.
    from keras_dnnts.summary import run_and_summarise

    run_and_summarise(config, out, overwrite, quiet)
