"""What a Python program calls in place of the commands, for names."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from keras_dnnts.errors import UserError
from keras_dnnts.library import run
from keras_dnnts.predict import Prediction
from keras_dnnts.results import Result
from keras_dnnts.running.saved_models import find_saved_model
from keras_dnnts.studies.names.config import NamesConfig
from keras_dnnts.studies.names.predict import build_answerer


def run_names(
    config: NamesConfig,
    folder: str | Path | None = None,
    console: Console | None = None,
    *,
    overwrite: bool = False,
    resume: bool = False,
    callbacks: Sequence[Any] = (),
) -> Result:
    """Train, evaluate and illustrate a network or a baseline on names: ``keras-dnnts names`` without its figures.

    Args:
        config: all options; ``NamesConfig()`` has the command's defaults.
        folder, console, overwrite, resume, callbacks: as for :func:`keras_dnnts.run`.

    Raises:
        UserError: as for :func:`keras_dnnts.run`.

    >>> from keras_dnnts import NamesConfig, run_names
    >>> result = run_names(NamesConfig(dataset="starter", model="rnn", hidden_units=8, iterations=200))
    >>> 0 <= result.metrics["held_out_accuracy_by_class"].mean <= 1
    True
    """
    return run(config, folder, console, overwrite=overwrite, resume=resume, callbacks=callbacks)


def predict_names(
    run: str | Path,
    names: Sequence[str],
    top: int = 3,
    seed: int | None = None,
    cell: str | None = None,
    prior: str | None = None,
) -> list[Prediction]:
    """Predict the languages of names with a finished run: ``keras-dnnts predict``, without an engine.

    Args:
        run: the run directory.
        names: in any spelling; letters the model does not know are left out, and said to be.
        top: number of guesses per name.
        seed: whose model; None for the run's first.
        prior: ``"natural"``, languages as frequent as in training, or ``"even"``, all equal; None is as the model
            was trained.
        cell: of a run whose model comes from your own code, that code again.

    Raises:
        UserError: there is no such run or model, or it is one of another study.

    >>> from keras_dnnts import predict_names
    >>> hinton, = predict_names("runs/gru", ["Hinton"], top=2)
    >>> hinton.input, len(hinton.guesses)
    ('Hinton', 2)
    """
    saved = find_saved_model(Path(run), seed, cell)
    if not isinstance(saved.config, NamesConfig):
        raise UserError(f"{run}: is not a model of names")
    return build_answerer(saved, min(top, len(saved.classes)), prior=prior)(names)
