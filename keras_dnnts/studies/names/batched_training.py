"""How networks on names are trained in batches: epochs of ``fit`` over the distinct training names."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import keras
import numpy as np
from keras import ops
from threadpoolctl import threadpool_limits

from keras_dnnts import backend
from keras_dnnts.errors import UserError, option_name
from keras_dnnts.random_streams import Purpose, derive_seed
from keras_dnnts.running.callbacks import EpochStart, ModelState, Stateful, restored_checkpoint
from keras_dnnts.running.compilation import compile_steps
from keras_dnnts.running.run import Run
from keras_dnnts.running.seeding import seed_all
from keras_dnnts.studies.names.baselines.base import TrainingNames
from keras_dnnts.studies.names.callbacks import BatchHistory, BatchProgress, SampleHistory
from keras_dnnts.studies.names.config import NamesConfig
from keras_dnnts.studies.names.data import NamesData, is_at_hand, load_data
from keras_dnnts.studies.names.evaluate import build_evaluator
from keras_dnnts.studies.names.illustrate import show_reading
from keras_dnnts.studies.names.measure import measure_beside, measure_sides, sides, split_part_shown
from keras_dnnts.studies.names.models import (
    BUILDERS,
    MembersAdam,
    build_together,
    negative_log_likelihood,
    summed_losses,
)
from keras_dnnts.studies.names.name_batches import FirstBatch, NameBatches
from keras_dnnts.studies.names.sampled import Row, Sampling, build_measure, draw_samples
from keras_dnnts.study import SeedOutcome

WEIGHT_DECAY = 0.01
WARM_UP = 0.2  # of all updates
LARGEST_GRADIENT = 1.0  # the norm of all gradients together
COLUMNS = ["epoch", "loss"]


@dataclass(frozen=True)
class Prepared:
    """A compiled network, or several at once, and the names that it learns from.

    Attributes:
        model: what is trained.
        answering: what answers, with the same weights.
        names: that it learns from.
        batches: of them.
    """

    model: keras.Model
    answering: keras.Model
    names: TrainingNames
    batches: NameBatches


@dataclass(frozen=True)
class Trained:
    """A trained network, its losses by epoch, and accuracies on samples of names."""

    prepared: Prepared
    history: BatchHistory
    samples: SampleHistory


class BatchedTraining:
    """See :class:`keras_dnnts.study.Training`."""

    side_by_side = 1
    unit = "updates"

    def __init__(self, run: Run) -> None:
        self.run = run
        self.config: NamesConfig = run.config
        self.settings = self.config.batched_settings
        self.data: NamesData = run.data
        # Splits differ by a few names.
        self.round_size = max(len(self._make_batches(seed)) for seed in self.config.all_seeds)
        self.steps = self.settings.epochs * self.round_size
        names = len({*zip(self.data.dataset.texts, self.data.dataset.labels.tolist(), strict=True)})
        first = self.data.splits[self.config.seed]
        self.sampling = Sampling.of_training(sides(first), self.settings.epochs, names)
        self.columns = [*COLUMNS, *self.sampling.columns]

    def prepare(self, seed: int) -> Prepared:
        """Build and compile the network of a seed."""
        names, batches = self._names(seed), self._make_batches(seed)
        model, answering = build_models(self.config, names, seed)
        members = self.settings.members
        rate = OneCycle(self.settings.learning_rate, self.settings.epochs * len(batches), WARM_UP)
        optimizer = MembersAdam(rate, weight_decay=WEIGHT_DECAY, global_clipnorm=LARGEST_GRADIENT, members=members)
        # The outputs hold the prior: what the rest of the network learns does without it.
        model.compile(optimizer, loss=negative_log_likelihood if members == 1 else summed_losses)
        return Prepared(model, answering, names, batches)

    def train(self, seed: int, prepared: Prepared) -> Trained:
        """Train the epochs that are left."""
        run = self.run
        learned = ModelState(prepared.model)
        history = BatchHistory(learned, self.settings.members)
        samples = self._sample(seed, prepared, history)
        parts: dict[str, Stateful] = {"history": history, "samples": samples}
        checkpoint = restored_checkpoint(run, seed, learned, parts, self.columns, lambda: self._rows(history, samples))
        run.progress.skip(checkpoint.epochs * self.round_size, run.label(seed))
        if not checkpoint.finished:
            callbacks = [
                EpochStart(seed, [prepared.batches]),
                history,
                samples,
                BatchProgress(run.progress, run.label(seed), self.round_size, history),
                *run.callbacks,
                checkpoint,
            ]
            # A network so small gains nothing from a second thread of torch's, and waits for it after every operation.
            with threadpool_limits(1, user_api="openmp"):
                self._fit(prepared, checkpoint.epochs, history, callbacks)
        return Trained(prepared, history, samples)

    def _fit(
        self, prepared: Prepared, done: int, history: BatchHistory, callbacks: list[keras.callbacks.Callback]
    ) -> None:
        """Train the epochs after the first ``done``."""
        model = prepared.model
        first = backend.batches_of_one_size(FirstBatch(prepared.batches))
        history.compile_seconds += compile_steps(model, lambda: model.fit(first, shuffle=False, verbose=0))
        model.fit(
            backend.batches_of_one_size(prepared.batches),
            initial_epoch=done,
            epochs=self.settings.epochs,
            shuffle=False,
            verbose=0,
            callbacks=callbacks,
        )

    def finish(self, seed: int, trained: Trained) -> SeedOutcome:
        """Save the network, measure it on every side, and pick the names that are shown."""
        model, history, batches = trained.prepared.answering, trained.history, trained.prepared.batches
        rows = self._rows(history, trained.samples)
        self.run.save_history(seed, self.columns, rows)
        # Without the optimizer, whose moments take twice the room of the weights.
        self.run.directory.save_model(keras.Model(model.inputs, model.outputs[0], name=model.name), seed)
        self._check_finite(seed, history)
        dataset, split = self.data.dataset, self.data.splits[seed]
        evaluator = build_evaluator(model, self.config.model)
        counts = trained.prepared.names.counts
        log_probabilities = evaluator.log_probabilities(dataset.letters, dataset.lengths)
        found = measure_sides(
            dataset,
            split,
            log_probabilities,
            counts / counts.sum(),
            measure_beside(dataset, split, self.config.logistic_beside),
        )
        arrays = found.arrays | show_reading(evaluator, dataset, *split_part_shown(split))
        names_an_epoch = len(batches) * batches.batch_size
        sampled, sampled_at = self.sampling.to_arrays(trained.samples.measured, names_an_epoch)
        return SeedOutcome(
            metrics={
                **found.metrics,
                "final_loss": history.losses[-1],
                "train_seconds": sum(history.seconds),
                "steps_per_second": len(history.seconds) * len(batches) / sum(history.seconds),
                "compile_seconds": history.compile_seconds,
            },
            confusions=found.confusions,
            parameters=_count_parameters(model),
            columns=self.columns,
            rows=rows,
            curves={"loss": np.array(history.losses), **found.counts, **sampled},
            details=found.details,
            arrays={"loss_step": names_an_epoch * np.arange(1, len(history.losses) + 1), **sampled_at, **arrays},
        )

    def _names(self, seed: int) -> TrainingNames:
        return TrainingNames.of_lines(self.data.dataset, self.data.splits[seed].train)

    def _make_batches(self, seed: int) -> NameBatches:
        return NameBatches(self._names(seed), self.settings.batch_size, seed)

    def _sample(self, seed: int, prepared: Prepared, history: BatchHistory) -> SampleHistory:
        """What measures samples of a seed's names during training, under the natural prior."""
        samples = draw_samples(self.data.dataset, sides(self.data.splits[seed]), seed)
        evaluator, counts = build_evaluator(prepared.answering, self.config.model), prepared.names.counts

        def prepare(letters: np.ndarray, lengths: np.ndarray) -> Callable[[], np.ndarray]:
            return partial(evaluator.log_probabilities, letters, lengths)

        measure = build_measure(self.data.dataset, samples, prepare, counts, counts)
        return SampleHistory(history, self.sampling.steps, measure)

    def _rows(self, history: BatchHistory, samples: SampleHistory) -> Sequence[Row]:
        return self.sampling.extend_rows(enumerate(history.losses, start=1), samples.measured)

    def _check_finite(self, seed: int, history: BatchHistory) -> None:
        if history.failed_epoch is not None:
            raise UserError(
                f"seed {seed}: the loss is not finite in epoch {history.failed_epoch}: try a lower "
                f"{option_name('learning_rate')} than {self.settings.learning_rate}; {self.run.directory.path} keeps "
                f"the history and the weights up to epoch {history.failed_epoch - 1}"
            )


class OneCycle(keras.optimizers.schedules.LearningRateSchedule):
    """A rate that rises linearly for the first updates and then falls to almost nothing as half a cosine.

    Args:
        rate: the largest.
        updates: of the whole training, N: the rate of update i is ``rate * i / (warm_up * N)`` while it rises, and
            after that falls evenly in the angle, so that update N + 1 would have none.
        warm_up: the share of updates in which it rises.
    """

    def __init__(self, rate: float, updates: int, warm_up: float) -> None:
        super().__init__()
        self.rate, self.updates, self.warm_up = rate, updates, warm_up

    def __call__(self, step: Any) -> Any:
        """The rate of the update after ``step`` others."""
        number, rising = ops.cast(step, "float32") + 1, self.warm_up * self.updates
        fallen = ops.clip((number - rising) / (self.updates + 1 - rising), 0, 1)
        return self.rate * ops.minimum(number / rising, 0.5 * (1 + ops.cos(math.pi * fallen)))

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {"rate": self.rate, "updates": self.updates, "warm_up": self.warm_up}


def build_models(config: NamesConfig, names: TrainingNames, seed: int) -> tuple[keras.Model, keras.Model]:
    """Build a seed's network for its training names: what is trained and what answers, the same if it is one alone.

    The first of several networks starts as the one that there would be alone.
    """
    seed_all(seed)
    members = config.batched_settings.members
    build = partial(BUILDERS[config.model], names, config.alphabet, ngrams=config.batched_settings.ngrams)
    if members == 1:
        model = build(seed=seed)
        return model, model
    seeds = [seed, *(derive_seed(seed, Purpose.MEMBER, number) for number in range(1, members))]
    return build_together([partial(build, seed=one) for one in seeds])


def count_parameters(config: NamesConfig, classes: int) -> int | None:
    """The number of trainable parameters of the first seed's network; None where its names are not at hand.

    It depends on how many n-grams the training names share.
    """
    if not is_at_hand(config):
        return None
    data = load_data(config)
    names = TrainingNames.of_lines(data.dataset, data.splits[config.seed].train)
    return _count_parameters(build_models(config, names, config.seed)[1])


def _count_parameters(model: keras.Model) -> int:
    return sum(math.prod(weight.shape) for weight in model.trainable_weights)
