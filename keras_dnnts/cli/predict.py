"""``keras-dnnts predict``: a run's model, inputs, an answer each. Imports no engine where the study needs none."""

import contextlib
import itertools
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

import click

from keras_dnnts.errors import UserError, option_name
from keras_dnnts.predict.output import WRITERS
from keras_dnnts.running.runtime import progress_logger
from keras_dnnts.running.saved_models import find_saved_model

AS_TRAINED = "as trained"
# A table has no place for it, and what reads stdout expects answers only.
ASSUMED = {
    AS_TRAINED: "prior: class frequencies as the model was trained with (change with --prior)",
    "natural": "prior: natural, class frequencies as among the training names",
    "even": "prior: even, all classes equally frequent",
}


def predict_and_print(
    run: Path,
    inputs: Sequence[str],
    file: Path | None,
    *,
    seed: int | None,
    top: int,
    output: str,
    backend: str | None,
    device: str,
    code: str | None = None,
    prior: str | None = None,
) -> None:
    """Print what a run's model says of the inputs.

    Args:
        run: the run directory.
        inputs: as the study takes them: names or ``-``, images and folders of them, …
        file: likewise, one a line.
        seed: whose model; None is the first.
        top: number of guesses.
        output: ``"table"``, ``"json"`` or ``"csv"``.
        backend: engine, where one is needed; None is the run's own.
        device: where to compute, likewise.
        prior: how frequent classes are taken to be; None is as the model was trained.
        code: where the model comes from a person's own code, that code, named again.

    Raises:
        UserError: the run or an input cannot be used.
    """
    if output == "table":
        progress_logger.setLevel(logging.INFO)
    saved = find_saved_model(run, seed, code)
    top = min(top, len(saved.classes))
    predict, how = saved.result.study.predict, {} if prior is None else {"prior": prior}
    if prior is not None and prior not in saved.result.study.priors:
        raise UserError(f"{run}: {option_name('prior')} {prior} applies only to runs of names: leave it out")
    if predict is None:
        raise UserError(f"{run}: belongs to a study without predictions")
    blocks = predict(saved, inputs, file, top, backend, device, **how)
    # The first block before anything is written: a mistake in the inputs then leaves nothing on stdout.
    first = next(blocks, None)
    if first is None:
        raise UserError(f"nothing to predict: there are no {saved.result.study.example[0]} in the input")
    study = saved.result.study
    assumed = (prior or study.own_prior(saved.result.config) or AS_TRAINED) if study.priors else None
    if output == "table" and assumed is not None:
        with contextlib.suppress(OSError):  # there may be nobody to tell
            click.echo(f"keras-dnnts: {ASSUMED[assumed]}", err=True)
    WRITERS[output](itertools.chain([first], blocks), saved, top, _utf8(sys.stdout), assumed)


def _utf8(out: TextIO) -> TextIO:
    if hasattr(out, "reconfigure"):
        out.reconfigure(encoding="utf-8", errors="replace")
    return out
