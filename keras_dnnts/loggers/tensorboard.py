"""A run for TensorBoard, written by tensorboardX: neither TensorFlow nor another engine takes part."""

import json
import shlex
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from tensorboardX import SummaryWriter, summary

from keras_dnnts.loggers.history import Points
from keras_dnnts.results import Result
from keras_dnnts.running.run_directory import FIGURES, TENSORBOARD

FLUSH_SECONDS = 0.1  # two minutes are its own; what a killed process has not flushed is lost


def open_log(folder: Path, experiment: str, config: Mapping[str, Any], identity: str | None) -> "TensorBoardLog":
    """Begin ``tensorboard/seed-…`` in the run's folder, a TensorBoard run a seed, or go on with it."""
    if identity is None:
        shutil.rmtree(folder / TENSORBOARD, ignore_errors=True)
    return TensorBoardLog(folder)


class TensorBoardLog:
    """See :class:`keras_dnnts.loggers.Log`.

    Curves, and the final numbers under ``final/``, are scalars; config, data set and environment are text and, with the
    final numbers, hyperparameters. The first seed has the figures.
    """

    identity = TENSORBOARD

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._writers: dict[int, SummaryWriter] = {}

    def add(self, seed: int, points: Points) -> None:
        """Write points of a seed's curves to its events."""
        writer = self._writer(seed)
        for step, numbers in points:
            for name, value in numbers.items():
                writer.add_scalar(name, value, step)

    def finish(self, result: Result, last: Mapping[int, int]) -> str:
        """Write what the run found; return how to look at it."""
        first = result.config["seed"]
        for place, seed in enumerate(range(first, first + result.config["seeds"])):
            writer = self._writer(seed)
            final = {f"final/{name}": metric.values[place] for name, metric in result.metrics.items()}
            for name, value in final.items():
                writer.add_scalar(name, value, last.get(seed, 0))
            _add_hyperparameters(writer, result.config, final)
            if place == 0:
                _add_texts(writer, result)
                _add_figures(writer, self._folder / FIGURES)
        self.stop()
        return f"tensorboard --logdir {shlex.quote(str(self._folder / TENSORBOARD))}"

    def stop(self) -> None:
        """Close the events."""
        for writer in self._writers.values():
            writer.close()
        self._writers.clear()

    def _writer(self, seed: int) -> SummaryWriter:
        if seed not in self._writers:
            folder = str(self._folder / TENSORBOARD / f"seed-{seed}")
            # Events are in files named by the second, which those of a resumed run must not replace.
            suffix = f".{time.time_ns()}"
            self._writers[seed] = SummaryWriter(folder, flush_secs=FLUSH_SECONDS, filename_suffix=suffix)
        return self._writers[seed]


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
