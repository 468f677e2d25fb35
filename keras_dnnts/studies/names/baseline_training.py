"""How a baseline becomes a run: fitted at once to every seed's training names, in NumPy; no engine is imported."""

import time
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from keras_dnnts.running.run import Run
from keras_dnnts.running.saved_models import ARRAYS_MODEL
from keras_dnnts.studies.names.baselines import fit_baseline, save_baseline
from keras_dnnts.studies.names.baselines.base import Baseline, TrainingNames
from keras_dnnts.studies.names.config import NamesConfig
from keras_dnnts.studies.names.data import NamesData
from keras_dnnts.studies.names.illustrate import show_reading
from keras_dnnts.studies.names.measure import measure_beside, measure_sides, split_part_shown
from keras_dnnts.study import SeedOutcome


@dataclass(frozen=True)
class Fitted:
    """A fitted baseline and how long that took."""

    model: Baseline
    seconds: float


class BaselineTraining:
    """See :class:`keras_dnnts.study.Training`. A seed is a split: nothing else is random."""

    unit = "fits"
    round_size = None
    steps = 1
    side_by_side = 1  # Python is kept busy

    def __init__(self, run: Run) -> None:
        self.run = run
        self.config: NamesConfig = run.config
        self.data: NamesData = run.data

    def prepare(self, seed: int) -> TrainingNames:
        """The distinct training names of a seed."""
        return TrainingNames.of_lines(self.data.dataset, self.data.splits[seed].train)

    def train(self, seed: int, prepared: TrainingNames) -> Fitted:
        """Fit."""
        started = time.perf_counter()
        model = fit_baseline(self.config.model, prepared)
        self.run.progress.advance(1, self.run.label(seed), "")
        return Fitted(model, time.perf_counter() - started)

    def finish(self, seed: int, trained: Fitted) -> SeedOutcome:
        """Save the model, measure it on every side, and pick the names that are shown."""
        model, dataset, split = trained.model, self.data.dataset, self.data.splits[seed]
        save_baseline(model, self.run.directory.path / f"model-seed-{seed}{ARRAYS_MODEL}")
        said = model.log_probabilities(dataset.letters, dataset.lengths)
        shares = model.names / model.names.sum()
        beside = measure_beside(dataset, split, self.config.logistic_beside, {self.config.model: model})
        found = measure_sides(dataset, split, said, shares, beside)
        arrays = found.arrays
        if self.config.model != "majority":  # which reads nothing
            arrays |= show_reading(PrefixReader(model), dataset, *split_part_shown(split))
        return SeedOutcome(
            metrics={**found.metrics, "train_seconds": trained.seconds},
            confusions=found.confusions,
            parameters=model.parameters,
            columns=[],
            rows=[],
            curves=found.counts,
            details=found.details,
            arrays=arrays,
        )


class SpeakingModel(Protocol):
    """A model that answers in NumPy."""

    def log_probabilities(self, letters: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        """(N, K) float32 log-probabilities."""


class PrefixReader:
    """Computes what any model says of names' prefixes; see :class:`keras_dnnts.studies.names.evaluate.Evaluator`."""

    def __init__(self, model: SpeakingModel) -> None:
        self.model = model

    def log_probabilities(self, letters: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        """(N, K) float32 log-probabilities."""
        return self.model.log_probabilities(letters, lengths)

    def read_letter_by_letter(self, letters: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        """(N, T, K) float32 probabilities of every name's prefixes, each as if it were a whole name; NaN after it."""
        rows, ends = np.nonzero(np.arange(letters.shape[1]) < lengths[:, None])
        said = self.model.log_probabilities(letters[rows], ends + 1)
        probabilities = np.full((*letters.shape, said.shape[1]), np.nan, np.float32)
        probabilities[rows, ends] = np.exp(said)
        return probabilities
