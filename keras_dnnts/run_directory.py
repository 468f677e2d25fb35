"""The folder a run writes to."""

import csv
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from keras_dnnts.config import Config
from keras_dnnts.errors import UserError
from keras_dnnts.results import ARRAYS, RESULTS

CONFIG, HISTORY, FIGURES = "config.toml", "history.csv", "figures"
MODELS = "model-seed-*.keras"


def choose_run_directory(out: Path | None, label: str, overwrite: bool) -> Path:
    """Return the folder a run may write to, without creating it: ``out``, or the next free ``runs/<label>-<number>``.

    Raises:
        UserError: ``out`` is a file, or is not empty and may not be overwritten.
    """
    if out is None:
        return next_free_directory(label)
    if out.exists() and not out.is_dir():
        raise UserError(f"--out {out}: is a file; name a folder")
    try:
        occupied = out.is_dir() and any(out.iterdir())
    except OSError as error:
        raise UserError(f"--out {out}: cannot be read: {error.strerror}") from error
    if occupied and not overwrite:
        raise UserError(f"--out {out}: is not empty; name another folder, or add --overwrite to replace the run in it")
    return out


def next_free_directory(label: str) -> Path:
    """Return the first of ``runs/<label>-001``, ``-002``, … that does not exist."""
    number = 1
    while (folder := Path("runs") / f"{label}-{number:03}").exists():
        number += 1
    return folder


def open_run_directory(folder: Path, config: Config) -> None:
    """Create the folder, remove what an earlier run left in it, and save the complete config.

    Raises:
        UserError: the folder cannot be written.
    """
    created = [parent for parent in (folder, *folder.parents) if not parent.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name in (RESULTS, ARRAYS, HISTORY):
            (folder / name).unlink(missing_ok=True)
        for model in folder.glob(MODELS):
            model.unlink()
        shutil.rmtree(folder / FIGURES, ignore_errors=True)
        (folder / CONFIG).write_text(config.to_toml(), encoding="utf-8")
    except OSError as error:
        for parent in created:
            shutil.rmtree(parent, ignore_errors=True)
        raise UserError(f"--out {folder}: cannot be written: {error.strerror}") from error


def save_model(model: Any, folder: Path, seed: int) -> None:
    """Save a Keras model as ``model-seed-<seed>.keras``, whole or not at all."""
    unfinished = folder / f"unfinished-seed-{seed}.keras"
    try:
        model.save(unfinished)
        unfinished.replace(folder / f"model-seed-{seed}.keras")
    finally:
        unfinished.unlink(missing_ok=True)


def append_history(folder: Path, seed: int, columns: Sequence[str], rows: Sequence[Sequence[float]]) -> None:
    """Add one seed's rows to ``history.csv``; its first column is the seed."""
    path = folder / HISTORY
    is_new = not path.exists()
    with path.open("a", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        if is_new:
            writer.writerow(["seed", *columns])
        writer.writerows([seed, *row] for row in rows)
