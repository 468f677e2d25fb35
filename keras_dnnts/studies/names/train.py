"""How the names study trains: exact updates, one example at a time, in chunks that are the epochs of ``fit``."""

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

import keras
import numpy as np

from keras_dnnts.errors import UserError, option_name
from keras_dnnts.own_models import build_own_model, describe_code, is_own_model
from keras_dnnts.running.callbacks import ModelState, Stateful, restored_checkpoint
from keras_dnnts.running.compilation import compile_steps, measure_seconds
from keras_dnnts.running.run import Run
from keras_dnnts.running.seeding import seed_all
from keras_dnnts.studies.names.baselines.base import TrainingNames
from keras_dnnts.studies.names.callbacks import SampleHistory, UpdateHistory, UpdateProgress
from keras_dnnts.studies.names.config import NamesConfig, NetworkSettings
from keras_dnnts.studies.names.data import NamesData
from keras_dnnts.studies.names.evaluate import build_evaluator, build_numpy_model
from keras_dnnts.studies.names.illustrate import show_reading
from keras_dnnts.studies.names.measure import measure_beside, measure_sides, sides, split_part_shown
from keras_dnnts.studies.names.models import (
    PerExampleModel,
    build_char_rnn,
    compile_char_rnn,
    compile_kernel,
    compile_per_example,
    runs_fused,
)
from keras_dnnts.studies.names.numpy_model import Prefixes
from keras_dnnts.studies.names.sampled import Row, Sampling, build_measure, draw_samples
from keras_dnnts.studies.names.stream import class_shares, distinct_lines, draw_examples
from keras_dnnts.study import SeedOutcome

CHUNK_SIZE = 1000  # updates a training step, and a point of the loss curve
COLUMNS = ["step", "loss"]


@dataclass(frozen=True)
class Trained:
    """A trained model, its losses by chunk, accuracies on samples of names, and what made the updates."""

    model: Any
    history: UpdateHistory
    samples: SampleHistory
    updater: str


class NamesTraining:
    """See :class:`keras_dnnts.study.Training`."""

    unit = "steps"
    round_size = None

    def __init__(self, run: Run) -> None:
        self.run = run
        self.config: NamesConfig = run.config
        self.settings = self.config.settings
        self.data: NamesData = run.data
        self.steps = self.settings.iterations
        if is_own_model(self.config.model):  # before there is a run folder: it may not fit
            build_model(self.config, len(self.data.dataset.classes), self.config.seed)
        # Of a person's own model, which may be slow, nothing is measured during training.
        sampled = () if is_own_model(self.config.model) else sides(self.data.splits[self.config.seed])
        self.sampling = Sampling.of_training(sampled, self.steps)
        self.columns = [*COLUMNS, *self.sampling.columns]
        # The fused kernel leaves Python free.
        self.side_by_side = self.config.seeds if self._is_fused() else 1
        self._beside: dict[int, Future[dict[str, np.ndarray]]] = {}
        self._meanwhile = ThreadPoolExecutor(1)

    def prepare(self, seed: int) -> tuple[Any, str, float]:
        """The compiled model of a seed, what will make its updates, and how long its kernel took to compile."""
        model = build_model(self.config, len(self.data.dataset.classes), seed)
        if is_own_model(self.config.model):
            return model, compile_per_example(model, learning_rate(self.settings)), 0.0
        updater = compile_char_rnn(model, learning_rate(self.settings), self.settings.engine)
        seconds = measure_seconds(lambda: compile_kernel(model)) if updater == "fused" else 0.0
        return model, updater, seconds

    def train(self, seed: int, prepared: tuple[Any, str, float]) -> Trained:
        """Make the updates that are left."""
        model, updater, kernel_seconds = prepared
        of_split = self.data.dataset, self.data.splits[seed], self.config.logistic_beside
        self._beside[seed] = self._meanwhile.submit(measure_beside, *of_split)
        iterations, dataset, lines = self.settings.iterations, self.data.dataset, self._lines(seed)
        stream = lines[draw_examples(dataset.labels[lines], iterations, seed, self.settings.draw_classes)]
        learned = ModelState(model)
        history = UpdateHistory(iterations, CHUNK_SIZE, learned)
        history.compile_seconds = kernel_seconds

        samples = self._sample(seed, model, history)
        parts: dict[str, Stateful] = {"history": history, "samples": samples}
        rows = partial(self._rows, history, samples)
        checkpoint = restored_checkpoint(self.run, seed, learned, parts, self.columns, rows)
        done = min(checkpoint.epochs * CHUNK_SIZE, iterations)
        self.run.progress.skip(done, self.run.label(seed))
        if not checkpoint.finished:
            progress = UpdateProgress(self.run.progress, self.run.label(seed), dataset, stream, history)
            left = stream[done:]
            history.compile_seconds += self._compile_steps(model, left)
            model.fit(
                x=(dataset.letters[left], dataset.lengths[left]),
                y=dataset.labels[left],
                batch_size=min(CHUNK_SIZE, iterations),
                steps_per_epoch=1,
                initial_epoch=checkpoint.epochs,
                epochs=-(-iterations // CHUNK_SIZE),
                shuffle=False,
                verbose=0,
                callbacks=[history, samples, progress, *self.run.callbacks, checkpoint],
            )
        self.run.save_history(seed, self.columns, rows())
        return Trained(model, history, samples, updater)

    def finish(self, seed: int, trained: Trained) -> SeedOutcome:
        """Save the model, measure it on every side, and pick the names that are shown."""
        model, history = trained.model, trained.history
        self.run.directory.save_model(model, seed)
        self._check_finite(seed, history)
        dataset, split = self.data.dataset, self.data.splits[seed]
        evaluator = build_evaluator(model, self.config.model)
        log_probabilities = evaluator.log_probabilities(dataset.letters, dataset.lengths)
        found = measure_sides(
            dataset, split, log_probabilities, self._trained_shares(seed), self._beside.pop(seed).result()
        )
        arrays = found.arrays | show_reading(evaluator, dataset, *split_part_shown(split))
        rows = self._rows(history, trained.samples)
        sampled, sampled_at = self.sampling.to_arrays(trained.samples.measured)
        return SeedOutcome(
            metrics={
                **found.metrics,
                "final_loss": history.losses[-1],
                "train_seconds": sum(history.seconds),
                "steps_per_second": history.updates_per_second,
                "compile_seconds": history.compile_seconds,
            },
            confusions=found.confusions,
            parameters=model.count_params(),
            columns=self.columns,
            rows=rows,
            curves={"loss": np.array(history.losses), **found.counts, **sampled},
            details=found.details,
            arrays={"loss_step": np.array([row[0] for row in rows], np.int64), **sampled_at, **arrays},
            environment={"engine": trained.updater, **describe_code(self.config.model)},
        )

    def _compile_steps(self, model: PerExampleModel, stream: np.ndarray) -> float:
        """Compile the step for chunks of every size that the stream has; seconds."""
        dataset = self.data.dataset
        sizes = {min(CHUNK_SIZE, len(stream)), len(stream) % CHUNK_SIZE} - {0}

        def train_briefly() -> None:
            for size in sizes:
                lines = stream[:size]
                inputs = dataset.letters[lines], dataset.lengths[lines]
                model.fit(inputs, dataset.labels[lines], batch_size=size, shuffle=False, verbose=0)

        return compile_steps(model, train_briefly)

    def _lines(self, seed: int) -> np.ndarray:
        """The lines that updates are drawn from."""
        dataset, lines = self.data.dataset, self.data.splits[seed].train
        return distinct_lines(dataset.texts, dataset.labels, lines) if self.settings.draw_from == "names" else lines

    def _trained_shares(self, seed: int) -> np.ndarray:
        """(K,) float64: how often each class is drawn."""
        dataset = self.data.dataset
        sizes = np.bincount(dataset.labels[self._lines(seed)], minlength=len(dataset.classes))
        return class_shares(sizes, self.settings.draw_classes)

    def _is_fused(self) -> bool:
        return not is_own_model(self.config.model) and runs_fused(self.settings.engine)

    def _sample(self, seed: int, model: PerExampleModel, history: UpdateHistory) -> SampleHistory:
        """What measures samples of a seed's names during training, under the natural prior."""
        if not self.sampling.sides:
            return SampleHistory(history, (), tuple)
        dataset, split = self.data.dataset, self.data.splits[seed]
        samples = draw_samples(dataset, sides(split), seed)
        trained, names = self._trained_shares(seed), TrainingNames.of_lines(dataset, split.train).counts

        def prepare(letters: np.ndarray, lengths: np.ndarray) -> Callable[[], np.ndarray]:
            prefixes = Prefixes.of_names(letters, lengths)
            workspace = build_numpy_model(model, self.config.model).make_workspace(prefixes)
            return lambda: build_numpy_model(model, self.config.model).logits_of(prefixes, workspace)

        return SampleHistory(history, self.sampling.steps, build_measure(dataset, samples, prepare, trained, names))

    def _rows(self, history: UpdateHistory, samples: SampleHistory) -> Sequence[Row]:
        rows = ((history.step_after(chunk), loss) for chunk, loss in enumerate(history.losses))
        return self.sampling.extend_rows(rows, samples.measured)

    def _check_finite(self, seed: int, history: UpdateHistory) -> None:
        if history.failed:
            raise UserError(
                f"seed {seed}: the loss is not finite at step {history.failed_update}: try a lower "
                f"{option_name('learning_rate')} than {self.settings.learning_rate}; {self.run.directory.path} keeps "
                f"the history and the weights up to step {len(history.losses) * CHUNK_SIZE}"
            )


def learning_rate(settings: NetworkSettings) -> float | keras.optimizers.schedules.LearningRateSchedule:
    """The learning rate of every update: that of update i of N is ``rate * (1 - i / N)`` where it falls linearly."""
    rate, updates = settings.learning_rate, settings.iterations
    schedules = {
        "linear": keras.optimizers.schedules.PolynomialDecay(rate, updates, end_learning_rate=0.0),
        "cosine": keras.optimizers.schedules.CosineDecay(rate, updates),
    }
    return schedules.get(settings.schedule, rate)


def build_model(config: NamesConfig, classes: int, seed: int) -> PerExampleModel:
    """Build a seed's model, this package's or a person's own.

    Raises:
        UserError: the person's own cannot be used.
    """
    width = len(config.alphabet) + 1
    if not is_own_model(config.model):
        return build_char_rnn(config.model, width, classes, config.settings.hidden_units, seed)
    seed_all(seed)
    built = build_own_model(
        config.model, (width, classes, config.settings.hidden_units, seed), check=_check_own(classes)
    )
    return PerExampleModel(inputs=built.inputs, outputs=built.outputs[0], name=built.name)


def count_parameters(config: NamesConfig, classes: int) -> int:
    """The number of parameters of a config's model."""
    return build_model(config, classes, config.seed).count_params()


def _check_own(classes: int) -> Any:
    """What a person's model must look like: a function of the model that says what is wrong, or None."""

    def check(model: keras.Model) -> str | None:
        if len(model.inputs) != 2 or len(model.inputs[0].shape) != 2 or len(model.inputs[1].shape) != 1:
            return "its inputs must be letters (batch, time) and lengths (batch,)"
        if len(model.outputs) != 1 or tuple(model.outputs[0].shape) != (None, classes):
            shapes = ", ".join(str(tuple(output.shape)) for output in model.outputs)
            return f"its output has shape {shapes}: it must be log-probabilities (None, {classes})"
        return None

    return check
