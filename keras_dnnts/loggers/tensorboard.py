"""A finished run for TensorBoard, written by tensorboardX: neither TensorFlow nor another engine takes part."""

import json
import shlex
import shutil
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from tensorboardX import SummaryWriter, summary

from keras_dnnts.loggers.history import read_history
from keras_dnnts.results import Result
from keras_dnnts.running.run_directory import FIGURES, TENSORBOARD


def log(result: Result, folder: Path) -> str:
    """Write ``tensorboard/seed-…`` in the run's folder, a TensorBoard run a seed; return how to look at it.

    Curves, and the final numbers under ``final/``, are scalars; config, data set and environment are text and, with the
    final numbers, hyperparameters. The first seed has the figures.
    """
    shutil.rmtree(folder / TENSORBOARD, ignore_errors=True)
    history = read_history(folder) if result.study.trains(result.config) else {}
    first = result.config["seed"]
    for place, seed in enumerate(range(first, first + result.config["seeds"])):
        rows = history.get(seed, [])
        with SummaryWriter(str(folder / TENSORBOARD / f"seed-{seed}")) as writer:
            for step, numbers in rows:
                for name, value in numbers.items():
                    writer.add_scalar(name, value, step)
            final = {f"final/{name}": metric.values[place] for name, metric in result.metrics.items()}
            for name, value in final.items():
                writer.add_scalar(name, value, rows[-1][0] if rows else 0)
            _add_hyperparameters(writer, result.config, final)
            if place == 0:
                _add_texts(writer, result)
                _add_figures(writer, folder / FIGURES)
    return f"tensorboard --logdir {shlex.quote(str(folder / TENSORBOARD))}"


def _add_hyperparameters(writer: SummaryWriter, config: dict[str, Any], final: dict[str, float]) -> None:
    # SummaryWriter.add_hparams would make a TensorBoard run of its own for them.
    known = {name: value for name, value in config.items() if value is not None}
    for record in summary.hparams(known, final):
        writer.file_writer.add_summary(record)


def _add_texts(writer: SummaryWriter, result: Result) -> None:
    texts = {"config": result.config, "dataset": result.dataset, "environment": result.environment}
    for name, plain in texts.items():
        lines = json.dumps(plain, indent=2, ensure_ascii=False).splitlines()
        # Indented by four, Markdown takes it as it is.
        writer.add_text(name, "\n".join(f"    {line}" for line in lines))


def _add_figures(writer: SummaryWriter, folder: Path) -> None:
    for path in sorted(folder.glob("*.png")):
        with Image.open(path) as image:
            writer.add_image(path.stem, np.asarray(image.convert("RGB")), dataformats="HWC")
